//! Prometheus' text format.
//!
//! A row is one value of a label; the caller bounds their number. Source of the format and of the names' suffixes: Prometheus,
//! "Exposition formats" and "Metric and label naming".

use crate::figures::{Figure, Figures, Unit};
use crate::histogram::{BOUNDS, Count, ENTITY_BOUNDS, Totals};
use crate::json::write_decimal;

/// Appends figures, with one sample of each row. Names begin with `featheredge_` and `prefix`. `label` distinguishes the rows, and is empty
/// if there is only one.
pub fn write_figures<T: Figures>(out: &mut Vec<u8>, prefix: &str, label: &str, rows: &[(&str, T)]) {
    let rows: Vec<_> = rows.iter().map(|(value, figures)| (*value, figures.values())).collect();
    write_columns(out, prefix, label, T::FIGURES, &rows);
}

fn write_columns(out: &mut Vec<u8>, prefix: &str, label: &str, figures: &[Figure], rows: &[(&str, Vec<u64>)]) {
    for (column, &Figure { name, unit, help }) in figures.iter().enumerate() {
        let (own, suffix, kind, decimals) = match unit {
            Unit::Total => ("", "_total", "counter", 0),
            Unit::Gauge => ("", "", "gauge", 0),
            Unit::QuantileMillis => continue,
            Unit::Micros => ("_ms", "_seconds", "gauge", 6),
            Unit::Ratio => ("_ratio", "_ratio", "gauge", 6),
            Unit::Rate => ("", "", "gauge", 3),
            Unit::MicroDollars => ("", "_total", "counter", 6),
        };
        let name = ["featheredge_", prefix, name.strip_suffix(own).unwrap_or(name), suffix].concat();
        // A doc comment begins with a space.
        write_head(out, &name, help.trim_start(), kind);
        for (value, values) in rows {
            let labels: &[(&str, &str)] = if label.is_empty() { &[] } else { &[(label, value)] };
            write_sample(out, &name, labels, values.get(column).copied().unwrap_or_default(), decimals);
        }
    }
}

/// Appends a histogram of latencies in seconds of each row: cumulative buckets, sum and count since the start. `label` distinguishes the
/// rows, and is empty if there is only one.
pub fn write_histogram(out: &mut Vec<u8>, name: &str, help: &str, label: &str, rows: &[(&str, Totals)]) {
    write_head(out, name, help, "histogram");
    let [bucket, sum, count] = ["_bucket", "_sum", "_count"].map(|suffix| [name, suffix].concat());
    for (value, totals) in rows {
        let own: &[(&str, &str)] = if label.is_empty() { &[] } else { &[(label, value)] };
        let mut write_bucket = |le: &str, below: u64| match own {
            [own] => write_sample(out, &bucket, &[*own, ("le", le)], below, 0),
            _ => write_sample(out, &bucket, &[("le", le)], below, 0),
        };
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(totals.bounds) {
            below += count;
            let mut le = Vec::new();
            write_decimal(&mut le, *bound, 3);
            write_bucket(str::from_utf8(&le).unwrap_or_default(), below);
        }
        let requests = totals.of(Count::Requests);
        write_bucket("+Inf", requests);
        write_sample(out, &sum, own, totals.of(Count::Millis), 3);
        write_sample(out, &count, own, requests, 0);
    }
}

/// Appends requests, latencies and entities under the names of Feast's server, so that its dashboards show them. Source of names and buckets: `sdk/python/feast/metrics.py`.
pub fn write_feast(out: &mut Vec<u8>, endpoints: &[(&str, Totals)], all: &Totals) {
    let name = "feast_feature_server_request_total";
    write_head(out, name, "Requests by endpoint and result.", "counter");
    for (endpoint, totals) in endpoints {
        let (requests, failed) = (totals.of(Count::Requests), totals.of(Count::Unavailable));
        for (status, value) in [("success", requests - failed), ("error", failed)] {
            write_sample(out, name, &[("endpoint", endpoint), ("status", status)], value, 0);
        }
    }
    let name = "feast_feature_server_request_latency_seconds";
    write_histogram(out, name, "Latency of requests.", "endpoint", endpoints);
    let name = "feast_online_features_entity_count";
    write_head(out, name, "Entities in a request for features.", "histogram");
    let bucket = [name, "_bucket"].concat();
    let mut below = 0;
    let bounds = ENTITY_BOUNDS.iter().map(u64::to_string).chain(["+Inf".to_owned()]);
    for (le, count) in bounds.zip(all.entity_buckets()) {
        below += count;
        write_sample(out, &bucket, &[("le", &le)], below, 0);
    }
    write_sample(out, &[name, "_sum"].concat(), &[], all.of(Count::Entities), 0);
    write_sample(out, &[name, "_count"].concat(), &[], below, 0);
}

fn write_head(out: &mut Vec<u8>, name: &str, help: &str, kind: &str) {
    for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn write_sample(out: &mut Vec<u8>, name: &str, labels: &[(&str, &str)], value: u64, decimals: u32) {
    out.extend_from_slice(name.as_bytes());
    for (index, (label, value)) in labels.iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        out.extend_from_slice(label.as_bytes());
        out.push(b'=');
        out.push(b'"');
        for byte in value.bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                _ => out.push(byte),
            }
        }
        out.push(b'"');
    }
    if !labels.is_empty() {
        out.push(b'}');
    }
    out.push(b' ');
    write_decimal(out, value, decimals);
    out.push(b'\n');
}
