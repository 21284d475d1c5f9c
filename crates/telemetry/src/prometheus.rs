//! Tables of numbers, each written once for Prometheus and once as JSON.
//!
//! A table's columns have names, units and help; its rows are the values of one label, whose number is bounded by whoever makes the
//! table. Source of the form and of the names' suffixes: Prometheus, "Exposition formats" and "Metric and label naming".

use crate::histogram::{BOUNDS, Count, ENTITY_BOUNDS, Summary, Totals};
use crate::json::{Json, write_decimal, write_string};
use crate::sla::share;

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count since the start.
    Total,
    /// A number that goes up and down.
    Gauge,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Millionths of a whole.
    Share,
    /// Millionths of a US dollar, since the start.
    MicroDollars,
}

/// Where a number of a row comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<T> {
    /// A count since the start.
    Total(Count),
    /// The window's median, in milliseconds.
    P50,
    /// The window's 95th percentile.
    P95,
    /// The window's 99th percentile.
    P99,
    /// The window's first count by the second, in thousandths.
    Mean(Count, Count),
    /// The window's first count by the second, in millionths.
    Share(Count, Count),
    /// What the row says beside its series.
    Given(fn(&T) -> u64),
}

/// A column of a table whose rows say a `T` beside their series.
#[derive(Clone, Copy, Debug)]
pub struct Column<T = ()> {
    /// Its name, without prefix and unit.
    pub name: &'static str,
    /// What it is.
    pub unit: Unit,
    /// Where its numbers come from.
    pub source: Source<T>,
    /// What it tells, for people.
    pub help: &'static str,
}

impl<T> Column<T> {
    /// A column.
    #[must_use]
    pub const fn new(name: &'static str, unit: Unit, source: Source<T>, help: &'static str) -> Column<T> {
        Column { name, unit, source, help }
    }
}

/// A row of a table.
#[derive(Clone, Debug, Default)]
pub struct Row<'a, T = ()> {
    /// The value of the label.
    pub label: &'a str,
    /// What was counted since the start.
    pub totals: Totals,
    /// What the window says.
    pub window: Summary,
    /// What else there is to say.
    pub given: T,
}

impl<T> Row<'_, T> {
    fn number(&self, source: &Source<T>) -> u64 {
        let window = &self.window;
        match *source {
            Source::Total(count) => self.totals.of(count),
            Source::P50 => window.p50,
            Source::P95 => window.p95,
            Source::P99 => window.p99,
            Source::Mean(of, by) => share(window.of(of), window.of(by)) / 1_000,
            Source::Share(of, by) => share(window.of(of), window.of(by)),
            Source::Given(of) => of(&self.given),
        }
    }
}

/// Numbers by one label.
#[derive(Clone, Debug)]
pub struct Table<'a> {
    prefix: &'static str,
    key: &'static str,
    label: &'static str,
    columns: Vec<(&'static str, Unit, &'static str)>,
    rows: Vec<(&'a str, Vec<u64>)>,
}

impl<'a> Table<'a> {
    /// A table of these columns: in Prometheus' format their names begin with `prefix` behind `featheredge_`, in JSON the table has a
    /// `key`. `label` is what tells its rows apart; it is empty where there is one row.
    #[must_use]
    pub fn new<T>(
        prefix: &'static str,
        key: &'static str,
        label: &'static str,
        columns: &[Column<T>],
        rows: &[Row<'a, T>],
    ) -> Table<'a> {
        let numbers = |row: &Row<'a, T>| columns.iter().map(|column| row.number(&column.source)).collect();
        Table {
            prefix,
            key,
            label,
            columns: columns.iter().map(|column| (column.name, column.unit, column.help)).collect(),
            rows: rows.iter().map(|row| (row.label, numbers(row))).collect(),
        }
    }

    /// Appends the table in Prometheus' text format.
    pub fn write_prometheus(&self, out: &mut Vec<u8>) {
        for (place, &(name, unit, help)) in self.columns.iter().enumerate() {
            let (suffix, kind, decimals) = match unit {
                Unit::Total => ("_total", "counter", 0),
                Unit::Gauge => ("", "gauge", 0),
                Unit::Millis => ("_seconds", "gauge", 3),
                Unit::Micros => ("_seconds", "gauge", 6),
                Unit::Share => ("_ratio", "gauge", 6),
                Unit::MicroDollars => ("_usd_total", "counter", 6),
            };
            let name = ["featheredge_", self.prefix, name, suffix].concat();
            write_head(out, &name, help, kind);
            for (value, numbers) in &self.rows {
                let labels: &[(&str, &str)] = if self.label.is_empty() { &[] } else { &[(self.label, value)] };
                write_sample(out, &name, labels, numbers.get(place).copied().unwrap_or_default(), decimals);
            }
        }
    }

    /// Writes the table as an object: of its columns where it has one row, of its rows else.
    pub fn write_json(&self, json: &mut Json) {
        json.open(self.key);
        for (value, numbers) in &self.rows {
            if !self.label.is_empty() {
                json.open(value);
            }
            for ((name, unit, _), number) in self.columns.iter().zip(numbers) {
                let (suffix, decimals) = match unit {
                    Unit::Total | Unit::Gauge => ("", 0),
                    Unit::Millis => ("_ms", 0),
                    Unit::Micros => ("_ms", 3),
                    Unit::Share => ("", 6),
                    Unit::MicroDollars => ("_usd", 6),
                };
                json.decimal(&[name, suffix].concat(), *number, decimals);
            }
            if !self.label.is_empty() {
                json.close();
            }
        }
        json.close();
    }
}

/// Appends the latencies of all requests, how many there were, and for how many entities, under the names that Feast's server has for
/// them, so that its dashboards show them. Source of names and buckets: `sdk/python/feast/metrics.py`.
pub fn write_feast(out: &mut Vec<u8>, endpoints: &[Row<'_>], all: Option<&Totals>) {
    let name = "feast_feature_server_request_total";
    write_head(out, name, "Requests, by what became of them.", "counter");
    for Row { label: endpoint, totals, .. } in endpoints {
        let (requests, failed) = (totals.of(Count::Requests), totals.of(Count::Unavailable));
        for (status, number) in [("success", requests - failed), ("error", failed)] {
            write_sample(out, name, &[("endpoint", endpoint), ("status", status)], number, 0);
        }
    }
    let name = "feast_feature_server_request_latency_seconds";
    write_head(out, name, "How long requests took.", "histogram");
    let bucket = [name, "_bucket"].concat();
    for Row { label: endpoint, totals, .. } in endpoints {
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(totals.bounds) {
            below += count;
            let mut le = Vec::new();
            write_decimal(&mut le, *bound, 3);
            let le = str::from_utf8(&le).unwrap_or_default();
            write_sample(out, &bucket, &[("endpoint", endpoint), ("le", le)], below, 0);
        }
        let requests = totals.of(Count::Requests);
        write_sample(out, &bucket, &[("endpoint", endpoint), ("le", "+Inf")], requests, 0);
        write_sample(out, &[name, "_sum"].concat(), &[("endpoint", endpoint)], totals.of(Count::Millis), 3);
        write_sample(out, &[name, "_count"].concat(), &[("endpoint", endpoint)], requests, 0);
    }
    let Some(all) = all else { return };
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

fn write_sample(out: &mut Vec<u8>, name: &str, labels: &[(&str, &str)], number: u64, decimals: u32) {
    out.extend_from_slice(name.as_bytes());
    for (place, (label, value)) in labels.iter().enumerate() {
        out.push(if place == 0 { b'{' } else { b',' });
        out.extend_from_slice(label.as_bytes());
        out.push(b'=');
        write_string(out, value);
    }
    if !labels.is_empty() {
        out.push(b'}');
    }
    out.push(b' ');
    write_decimal(out, number, decimals);
    out.push(b'\n');
}
