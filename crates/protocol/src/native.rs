//! The native API, `POST /v1/features`: ServingRequest and ServingResponse of the original specification.
//!
//! Unlike Feast's protocol it has no other implementation, so an unknown field is an error.

use crate::feast::{SeenFields, string_span};
use crate::feature_request::{FeatureRequest, Span};
use crate::parsed_request::ParsedRequest;
use crate::plan::{Output, Plan};
use crate::response_buffer::ResponseBuffer;
use config::Limits;
use json::{Cursor, Decimal, Kind};
use model::answer::{Answer, LookupResult, TierCounts};
use model::request::{Consistency, Priority};
use model::request_error::RequestError;
use model::row::{ALLOCATION, Row, Slot};
use model::time::{EventTime, Timestamp};
use model::value::{Cell, Status};

/// The requested metadata of each value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    status: bool,
    age: bool,
    tier: bool,
    event_timestamp: bool,
}

/// How a columnar response encodes numbers.
#[derive(Clone, Copy, Debug)]
pub struct NumberEncoding {
    /// Whether scalars are `f32`.
    pub are_scalars_f32: bool,
    /// Whether the elements of vectors are `f32`.
    pub are_vectors_f32: bool,
    /// Parses a number with too many digits for exact 64-bit arithmetic.
    pub read_long: fn(&str) -> f64,
}

/// The options of a native request.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    request_id: Option<Span>,
    timestamp: Option<Span>,
    /// The caller's session.
    pub session: Option<Span>,
    /// The consistency level.
    pub consistency: Consistency,
    /// The most age of a value, in milliseconds.
    pub max_staleness: u64,
    /// How urgent the request is.
    pub priority: Priority,
    /// The deadline, in milliseconds, where there is one.
    pub deadline_millis: Option<u64>,
    /// The requested metadata of each value.
    pub include: Include,
    /// The encoding of numbers, where the response is columnar and not JSON.
    pub columns: Option<NumberEncoding>,
    /// Whether the response is streamed, a line for each entity as soon as it is complete. The URL decides it, not the body.
    pub is_streamed: bool,
}

/// The original specification's default, 300 s.
const MAX_STALENESS_MILLIS: u64 = 300_000;

impl Default for Options {
    fn default() -> Self {
        Options {
            request_id: None,
            timestamp: None,
            session: None,
            consistency: Consistency::default(),
            max_staleness: MAX_STALENESS_MILLIS,
            priority: Priority::default(),
            deadline_millis: None,
            include: Include::default(),
            columns: None,
            is_streamed: false,
        }
    }
}

impl Options {
    /// These options with a columnar response, where `columns` are given.
    #[must_use]
    pub fn in_columns(self, columns: Option<NumberEncoding>) -> Options {
        Options { columns, ..self }
    }

    /// These options with a streamed response, or not.
    #[must_use]
    pub fn streamed(self, is_streamed: bool) -> Options {
        Options { is_streamed, ..self }
    }
}

const FIELDS: [&str; 12] = [
    "entity_ids",
    "entities",
    "feature_names",
    "feature_service",
    "request_id",
    "timestamp",
    "consistency_level",
    "max_staleness_seconds",
    "priority",
    "deadline_ms",
    "include",
    "session_id",
];

/// Reads a request; `entity_column` is what `entity_ids` are keyed by.
///
/// # Errors
/// Why it is invalid.
pub fn read(
    body: &[u8],
    limits: &Limits,
    entity_column: &str,
    fields: &mut FeatureRequest,
) -> Result<Options, RequestError> {
    fields.clear();
    fields.implied_name.clear();
    json::write_string(&mut fields.implied_name, entity_column);
    let mut options = Options::default();
    let mut cursor = Cursor::new(body, limits.depth)?;
    if cursor.peek()? != Kind::Object {
        return Err(RequestError::field(&["body"], "dict_type", "the body must be an object"));
    }
    cursor.enter_object()?;
    let mut seen = SeenFields::default();
    while let Some(key) = cursor.next_key()? {
        let Some((number, field)) = (0..).zip(FIELDS).find(|(_, field)| key.equals(field)) else {
            let known = FIELDS.join("`, `");
            let message = format!("the request has no field of this name; it has `{known}`");
            return Err(RequestError::field(&["body", key.raw()], "unknown_field", message));
        };
        seen.once(number, field)?;
        match field {
            "entity_ids" => fields.read_column(&mut cursor, body, None, limits)?,
            "entities" => fields.read_entities(&mut cursor, body, limits)?,
            "feature_names" => fields.read_features(&mut cursor, body, field, limits)?,
            "feature_service" => fields.service = Some(string(&mut cursor, field)?),
            "request_id" => options.request_id = Some(string(&mut cursor, field)?),
            "timestamp" => options.timestamp = Some(timestamp(&mut cursor, body, field)?),
            "consistency_level" => {
                let levels = [
                    ("eventual", Consistency::Eventual),
                    ("bounded", Consistency::Bounded),
                    ("strong", Consistency::Strong),
                ];
                options.consistency = choice(&mut cursor, body, field, &levels)?;
            }
            "session_id" => options.session = Some(string(&mut cursor, field)?),
            "priority" => {
                let levels = [
                    ("low", Priority::Low),
                    ("normal", Priority::Normal),
                    ("high", Priority::High),
                    ("critical", Priority::Critical),
                ];
                options.priority = choice(&mut cursor, body, field, &levels)?;
            }
            "deadline_ms" => options.deadline_millis = Some(millis(&mut cursor, field)?),
            "max_staleness_seconds" => options.max_staleness = seconds(&mut cursor, field)?,
            _ => options.include = include(&mut cursor, body)?,
        }
    }
    cursor.finish()?;
    if seen.has(0) == seen.has(1) {
        return Err(RequestError::field(
            &["body", "entity_ids"],
            "missing",
            "the request needs either `entity_ids` or `entities`",
        ));
    }
    if seen.has(2) == seen.has(3) {
        return Err(RequestError::field(
            &["body", "feature_names"],
            "missing",
            "the request needs either `feature_names` or `feature_service`",
        ));
    }
    if fields.columns.is_empty() || fields.rows == 0 {
        return Err(RequestError::field(
            &["body", "entities"],
            "too_short",
            "the request must name at least one entity",
        ));
    }
    if fields.service.is_none_or(|name| name.bytes(body) == b"\"\"") && fields.feature_count == 0 {
        return Err(RequestError::field(
            &["body", "feature_names"],
            "too_short",
            "the request must name at least one feature",
        ));
    }
    check_entities(fields, seen.has(0))?;
    fields.check_cells(limits)?;
    Ok(options)
}

/// Checks that `entity_ids` are strings or numbers, and not both: the response is keyed by their text.
fn check_entities(fields: &FeatureRequest, is_by_id: bool) -> Result<(), RequestError> {
    if fields.columns.len() != 1 {
        return Ok(());
    }
    let field = if is_by_id { "entity_ids" } else { "entities" };
    let is_scalar = |kind| matches!(kind, Kind::String | Kind::Number);
    if is_by_id && let Some(at) = fields.values.iter().position(|value| !is_scalar(value.kind())) {
        return Err(RequestError::field(
            &["body", field, &at.to_string()],
            "string_type",
            "an entity id is a string or a number",
        ));
    }
    let strings = fields.values.iter().filter(|value| value.kind() == Kind::String).count();
    if strings != 0 && strings != fields.values.len() {
        let message = "the answer is keyed by entity, so ids must be all strings or all of other types";
        return Err(RequestError::field(&["body", field], "mixed_types", message));
    }
    Ok(())
}

fn string(cursor: &mut Cursor<'_>, field: &str) -> Result<Span, RequestError> {
    if cursor.peek()? == Kind::String {
        string_span(cursor)
    } else {
        Err(RequestError::field(&["body", field], "string_type", "the field must be a string"))
    }
}

/// A time as RFC 3339 has it.
fn timestamp(cursor: &mut Cursor<'_>, body: &[u8], field: &str) -> Result<Span, RequestError> {
    let span = string(cursor, field)?;
    let mut scratch = String::new();
    let text = span.string(body, &mut scratch);
    if EventTime::parse(text).is_some() {
        return Ok(span);
    }
    let message = format!("`{text}` is not an RFC 3339 time, such as `2026-11-23T08:00:00Z`");
    Err(RequestError::field(&["body", field], "datetime_parsing", message))
}

fn choice<T: Copy>(
    cursor: &mut Cursor<'_>,
    body: &[u8],
    field: &str,
    choices: &[(&str, T)],
) -> Result<T, RequestError> {
    let span = string(cursor, field)?;
    let mut scratch = String::new();
    let name = span.string(body, &mut scratch);
    choices.iter().find(|(known, _)| *known == name).map(|&(_, choice)| choice).ok_or_else(|| {
        let known: Vec<String> = choices.iter().map(|(known, _)| format!("`{known}`")).collect();
        RequestError::field(&["body", field], "literal_error", format!("`{name}` is none of {}", known.join(", ")))
    })
}

/// Some thirty thousand years, past which a staleness is a mistake.
const MAX_MILLIS: u64 = 1_000_000_000_000_000;

/// A number of seconds, as milliseconds.
fn seconds(cursor: &mut Cursor<'_>, field: &str) -> Result<u64, RequestError> {
    let millis =
        if cursor.peek()? == Kind::Number { Decimal::new(cursor.number()?).thousandfold(MAX_MILLIS) } else { None };
    millis.ok_or_else(|| {
        RequestError::field(&["body", field], "greater_than_equal", "the field must be a number of seconds, 0 or more")
    })
}

/// Some thirty years, as for the bound on staleness.
const MAX_DEADLINE_MILLIS: u64 = 1_000_000_000_000;

/// A number of whole milliseconds, 1 or more, in whatever form: `1000.0` and `1e3` are whole too, as JSON Schema has it.
fn millis(cursor: &mut Cursor<'_>, field: &str) -> Result<u64, RequestError> {
    let thousandfold = match cursor.peek()? {
        Kind::Number => Decimal::new(cursor.number()?).thousandfold(1_000 * MAX_DEADLINE_MILLIS),
        _ => None,
    };
    let millis = thousandfold.filter(|micros| micros.is_multiple_of(1_000)).unwrap_or_default() / 1_000;
    if (1..=MAX_DEADLINE_MILLIS).contains(&millis) {
        Ok(millis)
    } else {
        Err(RequestError::field(
            &["body", field],
            "greater_than",
            "the field must be a whole number of milliseconds, from 1 to 1000000000000",
        ))
    }
}

fn include(cursor: &mut Cursor<'_>, body: &[u8]) -> Result<Include, RequestError> {
    let mut include = Include::default();
    if cursor.peek()? != Kind::Array {
        return Err(RequestError::field(&["body", "include"], "list_type", "the field must be a list"));
    }
    cursor.enter_array()?;
    while cursor.next_element()? {
        let names = [("status", 0), ("age", 1), ("tier", 2), ("event_timestamp", 3)];
        match choice(cursor, body, "include", &names)? {
            0 => include.status = true,
            1 => include.age = true,
            2 => include.tier = true,
            _ => include.event_timestamp = true,
        }
    }
    Ok(include)
}

/// What a response is written from.
#[derive(Debug)]
pub struct NativeResponse<'a> {
    /// The plan of the request.
    pub plan: &'a Plan,
    /// The result of the query.
    pub answer: &'a Answer,
    /// The request.
    pub request: &'a ParsedRequest<'a>,
    /// Its options.
    pub options: &'a Options,
    /// The name of the serving pattern.
    pub strategy: &'a str,
    /// Whether the isolate meets its SLO.
    pub sla_status: &'a str,
    /// The latency target of this priority, in milliseconds.
    pub target_millis: u64,
    /// The generated id, for a request without one.
    pub request_id: &'a str,
    /// Why values are missing: the type of the problem, and its explanation.
    pub failure: Option<(&'a str, &'a str)>,
    /// When the request was received.
    pub began: Timestamp,
    /// The current time.
    pub now: Timestamp,
}

/// The lines of a streamed response that were written so far.
#[derive(Debug, Default)]
pub struct WrittenLines {
    quality: Quality,
    entities: hashbrown::HashSet<Vec<u8>, foldhash::fast::FixedState>,
    /// The bytes of the entities.
    bytes: usize,
}

impl WrittenLines {
    /// Its memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes + self.entities.allocation_size()
    }
}

/// How many values were requested, served and unavailable, and how fresh they were.
#[derive(Debug, Default)]
struct Quality {
    requested: u64,
    served: u64,
    failed: u64,
    /// The sum of the values' freshness, in millionths.
    freshness: u64,
}

impl NativeResponse<'_> {
    /// Writes the response.
    pub fn write(&self, buffer: &mut ResponseBuffer) {
        buffer.clear();
        self.write_request_id(buffer);
        buffer.push(b",\"features\":{");
        let quality = self.write_features(buffer);
        buffer.push(b"}");
        self.write_rest(buffer, &quality);
        if let Some((code, detail)) = self.failure {
            self.write_errors(buffer, code, detail);
        }
        buffer.push(b"}");
    }

    /// Writes which features of which entities are missing because the origin failed.
    fn write_errors(&self, buffer: &mut ResponseBuffer, code: &str, detail: &str) {
        buffer.push(b",\"errors\":[");
        let mut written = hashbrown::HashSet::with_hasher(foldhash::fast::FixedState::default());
        for row in 0..self.request.fields.rows {
            let start = buffer.len();
            buffer.push(b"{\"entity\":");
            match self.only_value(row) {
                Some(value) => buffer.push(value.bytes(&self.request.body)),
                None => self.write_columns(buffer, row),
            }
            let is_new = written.insert(buffer.as_slice().get(start..).unwrap_or_default().to_vec());
            buffer.push(b",\"features\":[");
            let features = buffer.len();
            for output in &self.plan.outputs {
                let found = self.answer.found.get(output.view * self.request.fields.rows + row);
                let place = found.and_then(|found| self.place(found, output));
                if place.and_then(|(row, slot)| row.cell(slot)).is_none() {
                    buffer.push_json_string(&output.name);
                    buffer.push(b",");
                }
            }
            // Of a feature service nobody knows which features a missing row would have.
            let is_missing_service =
                self.plan.service.is_some() && self.answer.found.get(row).is_some_and(|found| found.row.is_none());
            if !is_new || (buffer.len() == features && !is_missing_service) {
                buffer.truncate(start);
                continue;
            }
            buffer.pop_comma();
            buffer.push(b"],\"code\":");
            buffer.push_json_string(code);
            buffer.push(b",\"detail\":");
            buffer.push_json_string(detail);
            buffer.push(b"},");
        }
        buffer.pop_comma();
        buffer.push(b"]");
    }

    /// Where the row of a result has a feature.
    fn place<'f>(&self, found: &'f LookupResult, output: &Output) -> Option<(&'f Row, Slot)> {
        let (row, view) = found.row.as_deref().zip(self.plan.views.get(output.view))?;
        Some((row, view.slots(row.schema()).at(output.column)?))
    }

    /// Writes a line for each of these rows of the request; `found` has their results, view by view, and within a view row by row.
    /// An entity that was written before is counted, and not written again.
    pub fn write_lines(
        &self,
        buffer: &mut ResponseBuffer,
        rows: &[usize],
        found: &[LookupResult],
        written: &mut WrittenLines,
    ) {
        for (index, &row) in rows.iter().enumerate() {
            let start = buffer.len();
            buffer.push(b"{\"entity\":");
            match self.only_value(row) {
                Some(value) => buffer.push(value.bytes(&self.request.body)),
                _ => self.write_columns(buffer, row),
            }
            let entity = buffer.as_slice().get(start..).unwrap_or_default();
            let is_new = written.entities.insert(entity.to_vec());
            written.bytes += if is_new { entity.len() + ALLOCATION } else { 0 };
            buffer.push(b",\"features\":{");
            self.write_row(buffer, found, rows.len(), index, &mut written.quality);
            buffer.pop_comma();
            buffer.push(b"}}");
            buffer.replace_newlines(start);
            buffer.push(b"\n");
            if !is_new {
                buffer.truncate(start);
            }
        }
    }

    /// Writes the last line: the response without its features, and the origin's `problem`, where it failed.
    pub fn write_last_line(&self, buffer: &mut ResponseBuffer, written: &WrittenLines, problem: Option<&[u8]>) {
        self.write_request_id(buffer);
        self.write_rest(buffer, &written.quality);
        if let Some(problem) = problem {
            buffer.push(b",\"problem\":");
            buffer.push(problem);
        }
        buffer.push(b"}\n");
    }

    fn write_request_id(&self, buffer: &mut ResponseBuffer) {
        buffer.push(b"{\"request_id\":");
        match self.options.request_id {
            Some(span) => buffer.push(span.bytes(&self.request.body)),
            None => buffer.push_json_string(self.request_id),
        }
    }

    fn write_rest(&self, buffer: &mut ResponseBuffer, quality: &Quality) {
        let latency = self.now.millis_since(self.began);
        buffer.push(b",\"metadata\":{\"serving_strategy\":");
        buffer.push_json_string(self.strategy);
        buffer.push(b",\"sla_status\":");
        buffer.push_json_string(self.sla_status);
        buffer.push(b",\"performance_tier\":");
        buffer.push_json_string(performance_tier(latency));
        buffer.push(b",\"consistency_level\":");
        buffer.push_json_string(match self.options.consistency {
            Consistency::Eventual => "eventual",
            Consistency::Bounded => "bounded",
            Consistency::Strong => "strong",
        });
        if let Some(timestamp) = self.options.timestamp {
            buffer.push(b",\"timestamp\":");
            buffer.push(timestamp.bytes(&self.request.body));
        }
        let features =
            if self.request.fields.rows == 0 { 0 } else { quality.requested / self.request.fields.rows as u64 };
        buffer.push_display(format_args!(
            ",\"slo\":{{\"target_ms\":{},\"met\":{}}},\"entities\":{},\"features\":{features}}},\"latency_ms\":{latency}",
            self.target_millis,
            latency <= self.target_millis,
            self.request.fields.rows
        ));
        write_tier_counts(buffer, &self.answer.tier_counts);
        write_quality(buffer, quality);
    }

    fn write_features(&self, buffer: &mut ResponseBuffer) -> Quality {
        let mut quality = Quality::default();
        let mut written = hashbrown::HashSet::with_hasher(foldhash::fast::FixedState::default());
        for row in 0..self.request.fields.rows {
            let start = buffer.len();
            self.write_entity(buffer, row);
            // A repeated entity is counted each time, and written once.
            let is_new = written.insert(buffer.as_slice().get(start..).unwrap_or_default().to_vec());
            buffer.push(b":{");
            self.write_row(buffer, &self.answer.found, self.request.fields.rows, row, &mut quality);
            buffer.pop_comma();
            buffer.push(b"},");
            if !is_new {
                buffer.truncate(start);
            }
        }
        buffer.pop_comma();
        quality
    }

    /// The value of a row's entity, where entities have one column.
    fn only_value(&self, row: usize) -> Option<Span> {
        let fields = &self.request.fields;
        if let [_] = fields.columns.as_slice() { fields.value(0, row) } else { None }
    }

    /// The entity as the key of an object: a string as it is, anything else as the text of its JSON.
    fn write_entity(&self, buffer: &mut ResponseBuffer, row: usize) {
        match self.only_value(row) {
            Some(value) if value.kind() == Kind::String => buffer.push(value.bytes(&self.request.body)),
            Some(value) => buffer.push_json_string(value.text(&self.request.body)),
            _ => {
                let mut text = ResponseBuffer::default();
                self.write_columns(&mut text, row);
                buffer.push_json_string(str::from_utf8(text.as_slice()).unwrap_or_default());
            }
        }
    }

    /// The entity as an object of its columns.
    fn write_columns(&self, buffer: &mut ResponseBuffer, row: usize) {
        let (fields, body) = self.request.parts();
        buffer.push(b"{");
        for (number, column) in fields.columns.iter().enumerate() {
            buffer.push(fields.name(column, body));
            buffer.push(b":");
            buffer.push(fields.value(number, row).map_or(b"null", |value| value.bytes(body)));
            buffer.push(b",");
        }
        buffer.pop_comma();
        buffer.push(b"}");
    }

    /// Writes the features of row `index` of the `rows` rows in `found`.
    fn write_row(
        &self,
        buffer: &mut ResponseBuffer,
        found: &[LookupResult],
        rows: usize,
        index: usize,
        quality: &mut Quality,
    ) {
        let found = |view: usize| found.get(view * rows + index);
        if self.plan.service.is_some() {
            let Some(found) = found(0) else { return };
            let Some(known) = &found.row else { return };
            for (name, slot) in known.schema().features().iter().zip(known.schema().feature_slots()) {
                self.write_value(buffer, name, 1, found, Some((known, slot)), quality);
            }
            return;
        }
        for output in &self.plan.outputs {
            let Some(found) = found(output.view) else { continue };
            let place = self.place(found, output);
            self.write_value(buffer, &output.name, output.times, found, place, quality);
        }
    }

    fn write_value(
        &self,
        buffer: &mut ResponseBuffer,
        name: &str,
        times: u64,
        found: &LookupResult,
        place: Option<(&Row, Slot)>,
        quality: &mut Quality,
    ) {
        let known = place.and_then(|(row, slot)| Some((row.value(slot), row.cell(slot)?)));
        // A value's age counts when the request was received: what was fetched for it has age 0.
        quality.count(known.map(|(_, cell)| cell), times, self.options.max_staleness, self.began);
        buffer.push_json_string(name);
        buffer.push(b":");
        let text = known.map_or(b"null".as_slice(), |(text, _)| text);
        let include = self.options.include;
        if include == Include::default() {
            buffer.push(text);
            buffer.push(b",");
            return;
        }
        buffer.push(b"{\"value\":");
        buffer.push(text);
        if include.status {
            buffer.push(b",\"status\":");
            buffer.push_json_string(known.map_or(Status::Invalid, |(_, cell)| cell.status).name());
        }
        if let Some((_, cell)) = known {
            if include.age {
                buffer.push_display(format_args!(",\"age_ms\":{}", self.now.millis_since(cell.fetched_at.timestamp())));
            }
            if include.tier {
                buffer.push(b",\"tier\":");
                buffer.push_json_string(found.tier.spec_name());
            }
            if include.event_timestamp {
                buffer.push_display(format_args!(",\"event_timestamp\":\"{}\"", cell.event_time));
            }
        }
        buffer.push(b"},");
    }
}

impl Quality {
    fn count(&mut self, cell: Option<&Cell>, times: u64, max_staleness: u64, began: Timestamp) {
        self.requested += times;
        let Some(cell) = cell.filter(|cell| cell.status != Status::Invalid) else {
            self.failed += times;
            return;
        };
        if !matches!(cell.status, Status::Present | Status::NullValue) {
            return;
        }
        self.served += times;
        let age = began.millis_since(cell.fetched_at.timestamp());
        // Where no staleness is allowed, only age 0 is fresh.
        let staleness = if age == 0 { 0 } else { millionths(age, max_staleness).unwrap_or(MILLION) };
        self.freshness += MILLION.saturating_sub(staleness) * times;
    }
}

/// The original specification's classes: under 10, 50 and 100 ms.
fn performance_tier(latency_millis: u64) -> &'static str {
    match latency_millis {
        0..10 => "excellent",
        10..50 => "good",
        50..100 => "acceptable",
        _ => "poor",
    }
}

fn write_tier_counts(buffer: &mut ResponseBuffer, tier_counts: &TierCounts) {
    buffer.push_display(format_args!(
        ",\"cache_stats\":{{\"l1_hits\":{},\"l1_misses\":{},\"l2_hits\":{},\"l2_misses\":{},\"l3_hits\":{},\"l3_misses\":{},\"compute_requests\":{}}}",
        tier_counts.l1_hits, tier_counts.l1_misses, tier_counts.l2_hits, tier_counts.l2_misses, tier_counts.l3_hits, tier_counts.l3_misses, tier_counts.compute_requests
    ));
}

fn write_quality(buffer: &mut ResponseBuffer, quality: &Quality) {
    buffer.push(b",\"quality_metrics\":{\"completeness\":");
    push_millionths(buffer, millionths(quality.served, quality.requested).unwrap_or_default());
    buffer.push(b",\"freshness_score\":");
    push_millionths(buffer, quality.freshness.checked_div(quality.served).unwrap_or_default());
    buffer.push_display(format_args!(
        ",\"features_served\":{},\"features_requested\":{}",
        quality.served, quality.requested
    ));
    buffer.push(b",\"error_rate\":");
    push_millionths(buffer, millionths(quality.failed, quality.requested).unwrap_or_default());
    buffer.push(b"}");
}

const MILLION: u64 = 1_000_000;

/// `part` of `whole` in millionths; `None` of nothing.
fn millionths(part: u64, whole: u64) -> Option<u64> {
    part.saturating_mul(MILLION).checked_div(whole)
}

/// Writes a share from 0 to 1, which needs no code for floats.
fn push_millionths(buffer: &mut ResponseBuffer, millionths: u64) {
    buffer.push_display(format_args!("{}.{:06}", millionths / MILLION, millionths % MILLION));
}
