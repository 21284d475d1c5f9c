//! The synthetic origin: computes features from their names, as the original specification does, so that everything can be tried
//! without a backend. Invariant: the same entity and feature always have the same value.
//!
//! `…embedding…` gives 128 floats, `…score…` a float from 0 to 1, `…count…` an integer below 1,000, anything else a text.
//! Every feature service `s` has the members `s__score`, `s__count`, `s__label` and `s__embedding`.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use config::Limits;
use model::request_error::RequestError;
use model::sort::sorted;
use model::time::{EventTime, Timestamp};
use protocol::feast;
use protocol::feature_request;
use protocol::parsed_request::ParsedRequest;
use protocol::response_buffer::ResponseBuffer;

/// The length of an embedding, in floats.
const EMBEDDING: usize = 128;

/// Members of every feature service.
const MEMBERS: [&str; 4] = ["score", "count", "label", "embedding"];

/// Answers a Feast request at `now`: status and body.
#[must_use]
pub fn answer(body: &[u8], limits: &Limits, now: Timestamp) -> (u16, Vec<u8>) {
    let mut fields = Box::default();
    match feast::read(body, limits, &mut fields) {
        Ok(()) => compute(&ParsedRequest { fields, body: body.into() }, now),
        Err(error) => (error.status(), feast::request_error(&error, body)),
    }
}

fn compute(request: &ParsedRequest<'_>, now: Timestamp) -> (u16, Vec<u8>) {
    let (fields, body) = request.parts();
    let mut references = Vec::new();
    match (fields.service, fields.features) {
        (Some(service), _) => {
            let mut scratch = String::new();
            let service = service.string(body, &mut scratch);
            references.extend(MEMBERS.iter().map(|member| (service.to_owned(), (*member).to_owned())));
        }
        (None, Some(features)) => {
            let mut malformed = None;
            feature_request::for_each_string(features, body, |reference| match reference.split_once(':') {
                Some((view, feature)) => references.push((view.to_owned(), feature.to_owned())),
                None => malformed = Some(reference.to_owned()),
            });
            if let Some(reference) = malformed {
                let message = format!("`{reference}` is no feature reference; one is written `view:feature`");
                let error = RequestError::field(&["body", "features"], "value_error", message);
                return (error.status(), feast::request_error(&error, body));
            }
        }
        (None, None) => {
            let error = RequestError::field(&["body", "features"], "missing", "Field required");
            return (error.status(), feast::request_error(&error, body));
        }
    }
    (200, write(request, &references, now))
}

fn write(request: &ParsedRequest<'_>, references: &[(String, String)], now: Timestamp) -> Vec<u8> {
    let (fields, body) = request.parts();
    let mut buffer = ResponseBuffer::default();
    buffer.push(b"{\"results\":[");
    for column in 0..fields.columns.len() {
        buffer.push(b"{\"values\":[");
        for row in 0..fields.rows {
            buffer.push(fields.value(column, row).map_or(b"null", |value| value.bytes(body)));
            buffer.push(b",");
        }
        finish_column(&mut buffer, fields.rows, EventTime::ZERO);
    }
    // Features are materialised once an hour, on the hour, as a batch job would.
    let hour = i64::try_from(now.0 / 3_600_000).unwrap_or_default();
    let event_time = EventTime(hour.saturating_mul(3_600_000_000));
    let entities: Vec<String> = (0..fields.rows).map(|row| entity(request, row)).collect();
    for (view, feature) in references {
        buffer.push(b"{\"values\":[");
        for entity in &entities {
            push_value(&mut buffer, view, feature, entity);
            buffer.push(b",");
        }
        finish_column(&mut buffer, fields.rows, event_time);
    }
    buffer.pop_comma();
    buffer.push(b"],\"metadata\":{\"feature_names\":[");
    for column in &fields.columns {
        buffer.push(fields.name(column, body));
        buffer.push(b",");
    }
    for (view, feature) in references {
        if fields.full_feature_names {
            buffer.push_json_string(&format!("{view}__{feature}"));
        } else {
            buffer.push_json_string(feature);
        }
        buffer.push(b",");
    }
    buffer.pop_comma();
    buffer.push(b"]}}");
    buffer.into_vec()
}

fn finish_column(buffer: &mut ResponseBuffer, rows: usize, event_time: EventTime) {
    buffer.pop_comma();
    buffer.push(b"],\"statuses\":[");
    for _ in 0..rows {
        buffer.push(b"\"PRESENT\",");
    }
    buffer.pop_comma();
    buffer.push(b"],\"event_timestamps\":[");
    for _ in 0..rows {
        buffer.push_display(format_args!("\"{event_time}\","));
    }
    buffer.pop_comma();
    buffer.push(b"]},");
}

/// The entity of a row, as text: its columns' values in the order of the columns' names.
fn entity(request: &ParsedRequest<'_>, row: usize) -> String {
    let (fields, body) = request.parts();
    let parts: Vec<(&[u8], String)> = fields
        .columns
        .iter()
        .enumerate()
        .filter_map(|(number, column)| {
            let value = fields.value(number, row)?;
            let mut scratch = String::new();
            let plain = value.string(body, &mut scratch);
            let text = if value.text(body).starts_with('"') { plain } else { value.text(body) };
            Some((fields.name(column, body), text.to_owned()))
        })
        .collect();
    sorted(parts).into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

fn push_value(buffer: &mut ResponseBuffer, view: &str, feature: &str, entity: &str) {
    let seed = xxh3_64_with_seed(
        entity.as_bytes(),
        xxh3_64_with_seed(feature.as_bytes(), xxh3_64_with_seed(view.as_bytes(), 0)),
    );
    let mut random = SplitMix(seed);
    let lower = feature.to_ascii_lowercase();
    // Not `str::contains`, whose search for long texts compiles to more code than this file.
    let is_named = |word: &str| lower.as_bytes().windows(word.len()).any(|part| part == word.as_bytes());
    if is_named("embedding") {
        buffer.push(b"[");
        for _ in 0..EMBEDDING {
            push_decimal(buffer, random.normal());
            buffer.push(b",");
        }
        buffer.pop_comma();
        buffer.push(b"]");
    } else if is_named("score") {
        push_decimal(buffer, random.uniform());
    } else if is_named("count") {
        buffer.push_number(random.next() % 1_000);
    } else {
        buffer.push_json_string(&format!("value_{entity}_{feature}"));
    }
}

/// A generator of pseudo-random numbers. Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators".
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to just under 1, in units of [`UNIT`].
    fn uniform(&mut self) -> i64 {
        (self.next() % UNIT as u64) as i64
    }

    /// Nearly normal, mean 0 and deviation 1, in units of [`UNIT`]: twelve uniform numbers less their mean (Irwin and Hall).
    fn normal(&mut self) -> i64 {
        (0..12).map(|_| self.uniform()).sum::<i64>() - 6 * UNIT
    }
}

/// What 1 is when decimals are whole numbers: sixteen digits, as many as a double holds.
const UNIT: i64 = 10_000_000_000_000_000;

/// Writes a whole number of units as a decimal, which needs no code for floats.
fn push_decimal(buffer: &mut ResponseBuffer, units: i64) {
    let sign = if units < 0 { "-" } else { "" };
    let (whole, fraction) = (units.unsigned_abs() / UNIT as u64, units.unsigned_abs() % UNIT as u64);
    buffer.push_display(format_args!("{sign}{whole}.{fraction:016}"));
}
