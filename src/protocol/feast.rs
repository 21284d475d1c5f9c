//! Feast's HTTP contract, `POST /get-online-features`: its requests read, its answers written.
//!
//! Source: Feast 0.67, `feast/feature_server.py` and the answers of a running server. A body that is JSON but not as
//! the contract has it, in a way that Feast itself may or may not accept, is left to the origin.

use std::rc::Rc;

use crate::call::{Call, Span};
use crate::json::{self, Cursor, Kind};
use crate::plan::Plan;
use crate::sheet::Sheet;
use config::Limits;
use model::answer::{Answer, Found};
use model::refusal::Refusal;
use model::request::{Columns, Slots, ViewAsk};
use model::row::{Row, Schema, Slot};
use model::time::EventTime;
use model::value::Status;

/// Reads a request.
///
/// # Errors
/// Why it is refused.
pub fn read(body: &[u8], limits: &Limits, call: &mut Call) -> Result<(), Refusal> {
    call.clear();
    let missing = Refusal::field(&["body"], "missing", "Field required");
    if body.is_empty() {
        return Err(missing);
    }
    let mut cursor = Cursor::new(body, limits.depth)?;
    let kind = cursor.peek()?;
    if kind != Kind::Object {
        cursor.value()?;
        cursor.finish()?;
        if kind == Kind::Null {
            return Err(missing);
        }
        return Err(Refusal::field(
            &["body"],
            "model_attributes_type",
            "Input should be a valid dictionary or object to extract fields from",
        ));
    }
    cursor.enter_object()?;
    let mut seen = Seen::default();
    while let Some(key) = cursor.next_key()? {
        if key.equals("entities") {
            seen.once(0, "entities")?;
            call.read_entities(&mut cursor, body, limits)?;
        } else if key.equals("features") {
            seen.once(1, "features")?;
            call.read_features(&mut cursor, "features", limits)?;
        } else if key.equals("feature_service") {
            seen.once(2, "feature_service")?;
            match cursor.peek()? {
                Kind::Null => cursor.null()?,
                Kind::String => call.service = Some(string_span(&mut cursor)?),
                _ => {
                    return Err(Refusal::field(
                        &["body", "feature_service"],
                        "string_type",
                        "Input should be a valid string",
                    ));
                }
            }
        } else if key.equals("full_feature_names") {
            seen.once(3, "full_feature_names")?;
            match cursor.peek()? {
                Kind::True | Kind::False => call.full_feature_names = cursor.boolean()?,
                // Feast's server reads "true", 1 and more as booleans.
                _ => {
                    cursor.value()?;
                    call.is_beyond_us = true;
                }
            }
        } else if key.equals("include_feature_view_version_metadata") {
            seen.once(4, "include_feature_view_version_metadata")?;
            call.is_beyond_us |= cursor.peek()? != Kind::False;
            cursor.value()?;
        } else {
            // A later version of the contract may give it a meaning that changes the answer.
            cursor.value()?;
            call.is_beyond_us = true;
        }
    }
    cursor.finish()?;
    if !seen.has(0) {
        return Err(Refusal::field(&["body", "entities"], "missing", "Field required"));
    }
    // Neither features nor a service, or no rows at all: Feast decides what that means.
    call.is_beyond_us |= call.rows == 0 || (call.service.is_none() && call.feature_count == 0);
    call.check_cells(limits)
}

/// Passes a string and returns where it stands, quotes included.
///
/// # Errors
/// Where it is no acceptable string.
pub fn string_span(cursor: &mut Cursor<'_>) -> Result<Span, Refusal> {
    let raw = cursor.value()?;
    Ok(Span::behind(cursor, &raw))
}

/// Which fields of a body have been seen. A field that stands twice is refused, since parsers differ on which one counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen(u32);

impl Seen {
    /// Notes field number `field`.
    ///
    /// # Errors
    /// Where it was seen before.
    pub fn once(&mut self, field: u32, name: &str) -> Result<(), Refusal> {
        if self.has(field) {
            return Err(Refusal::field(&["body", name], "duplicate_key", "a field may stand in the body once"));
        }
        self.0 |= 1 << field;
        Ok(())
    }

    /// Whether field number `field` was seen.
    #[must_use]
    pub fn has(self, field: u32) -> bool {
        self.0 & (1 << field) != 0
    }
}

/// Writes the answer to a call.
///
/// Join keys come first, in the order of the request's columns, then the features in the request's order.
pub fn write(sheet: &mut Sheet, plan: &Plan, answer: &Answer, call: &Call, body: &[u8]) {
    let rows = call.rows;
    sheet.clear();
    sheet.push(b"{\"results\":[");
    let present = repeated(Status::Present, rows);
    let views: Vec<ViewColumns<'_>> =
        (0..).zip(plan.views.iter()).map(|(number, view)| ViewColumns::new(view, number, answer, rows)).collect();
    let join_keys = join_keys(plan, &views);
    write_join_keys(sheet, &join_keys, &present, |name, row| {
        let column = plan.columns.iter().position(|column| **column == *name)?;
        Some(call.value(column, row)?.bytes(body))
    });
    let members = plan.service.as_ref().and_then(|_| Some(Rc::clone(views.first()?.members.as_ref()?)));
    match (&members, views.first()) {
        (Some(members), Some(view)) => {
            (0..members.features().len()).for_each(|column| view.write_feature(sheet, column, &present));
        }
        _ => {
            for output in &plan.outputs {
                if let Some(view) = views.get(output.view) {
                    view.write_feature(sheet, output.column, &present);
                }
            }
        }
    }
    sheet.drop_comma();
    sheet.push(b"],\"metadata\":{\"feature_names\":[");
    for (name, _) in join_keys {
        sheet.push_string(name);
        sheet.push(b",");
    }
    sheet.push(&plan.names_text);
    for name in members.iter().flat_map(|members| members.features()) {
        sheet.push_string(name);
        sheet.push(b",");
    }
    sheet.drop_comma();
    sheet.push(b"]}}");
}

/// The rows of one view in an answer, with all that is the same from column to column worked out once.
struct ViewColumns<'a> {
    found: &'a [Found],
    /// A feature service's members.
    members: Option<Rc<Schema>>,
    /// Where the columns stand: in one place for all rows, or for each row in its own.
    slots: Placement,
    /// The event times of the rows, where each row is present and has one for all its features.
    times: Option<Vec<u8>>,
}

enum Placement {
    Shared(Rc<Slots>),
    Each(Vec<Option<Rc<Slots>>>),
}

impl<'a> ViewColumns<'a> {
    fn new(view: &ViewAsk, number: usize, answer: &'a Answer, rows: usize) -> ViewColumns<'a> {
        let found = answer.found.get(number * rows..(number + 1) * rows).unwrap_or_default();
        let members = match view.columns() {
            Columns::All => newest_schema(found),
            Columns::Named(_) => None,
        };
        let resolve = |schema: &Rc<Schema>| match &members {
            Some(members) if !Rc::ptr_eq(members, schema) => {
                Rc::new(Slots::resolve(members.features().iter().map(|name| &**name), schema))
            }
            _ => view.slots(schema),
        };
        let first = found.first().and_then(|found| found.row.as_ref()).map(|row| row.schema());
        let is_shared = |schema: &Rc<Schema>| {
            found.iter().all(|found| found.row.as_ref().is_some_and(|row| Rc::ptr_eq(row.schema(), schema)))
        };
        let slots = match first.filter(|schema| is_shared(schema)) {
            Some(schema) => Placement::Shared(resolve(schema)),
            None => {
                Placement::Each(found.iter().map(|found| found.row.as_ref().map(|row| resolve(row.schema()))).collect())
            }
        };
        ViewColumns { found, slots, times: shared_times(found), members }
    }

    fn write_feature(&self, sheet: &mut Sheet, column: usize, present: &[u8]) {
        sheet.push(b"{\"values\":[");
        if let (Placement::Shared(slots), Some(times)) = (&self.slots, &self.times)
            && let Some(slot) = slots.at(column)
        {
            for row in self.found.iter().filter_map(|found| found.row.as_ref()) {
                push_value(sheet, row, slot);
            }
            finish_column(sheet, present, times);
            return;
        }
        let (mut statuses, mut times) =
            (Vec::with_capacity(self.found.len() * 12), Vec::with_capacity(self.found.len() * 24));
        for (row, found) in self.found.iter().enumerate() {
            let slot = match &self.slots {
                Placement::Shared(slots) => slots.at(column),
                Placement::Each(slots) => slots.get(row).and_then(Option::as_ref).and_then(|slots| slots.at(column)),
            };
            let known = found.row.as_ref().zip(slot).and_then(|(row, slot)| Some((row, slot, row.cell(slot)?)));
            match known {
                Some((row, slot, cell)) => {
                    push_value(sheet, row, slot);
                    push_status(&mut statuses, cell.status);
                    push_time(&mut times, cell.event_time);
                }
                None => {
                    sheet.push(b"null,");
                    push_status(&mut statuses, Status::Invalid);
                    push_time(&mut times, EventTime::ZERO);
                }
            }
        }
        finish_column(sheet, &statuses, &times);
    }
}

/// The event times of rows as one block, where all features of each row are present and share one.
fn shared_times(found: &[Found]) -> Option<Vec<u8>> {
    let mut block = Vec::with_capacity(found.len() * 24);
    let mut last = (EventTime::ZERO, Vec::new());
    for found in found {
        let cell = found.row.as_ref()?.uniform_cell().filter(|cell| cell.status == Status::Present)?;
        if cell.event_time != last.0 || last.1.is_empty() {
            last.1.clear();
            push_time(&mut last.1, cell.event_time);
            last.0 = cell.event_time;
        }
        block.extend_from_slice(&last.1);
    }
    Some(block)
}

/// The join keys that the origin echoed, in the order of the request's columns, each with the rows that hold it.
fn join_keys<'a>(plan: &Plan, views: &[ViewColumns<'a>]) -> Vec<(&'a str, &'a [Found])> {
    let mut names: Vec<(&str, &[Found])> = Vec::new();
    for view in views {
        let Some(row) = view.found.iter().find_map(|found| found.row.as_ref()) else { continue };
        for name in row.schema().join_keys() {
            if !names.iter().any(|(known, _)| *known == &**name) {
                names.push((name, view.found));
            }
        }
    }
    if plan.is_attributed {
        // Each view has its own, which are the request's columns.
        let by_column = |column: &str| names.iter().find(|(name, _)| *name == column).copied();
        return plan.columns.iter().filter_map(|column| by_column(column)).collect();
    }
    names
}

fn write_join_keys<'b>(
    sheet: &mut Sheet,
    join_keys: &[(&str, &[Found])],
    present: &[u8],
    asked: impl Fn(&str, usize) -> Option<&'b [u8]>,
) {
    let mut zero = Vec::new();
    push_time(&mut zero, EventTime::ZERO);
    for (name, found) in join_keys {
        let zeros = zero.repeat(found.len());
        sheet.push(b"{\"values\":[");
        for (row, found) in found.iter().enumerate() {
            match found.row.as_ref().and_then(|row| Some((row, row.schema().join_key_slot(name)?))) {
                Some((row, slot)) => push_value(sheet, row, slot),
                // Nobody has the row, so the key goes back as it came.
                None => {
                    sheet.push(asked(name, row).unwrap_or(b"null"));
                    sheet.push(b",");
                }
            }
        }
        finish_column(sheet, present, &zeros);
    }
}

fn finish_column(sheet: &mut Sheet, statuses: &[u8], times: &[u8]) {
    sheet.drop_comma();
    sheet.push(b"],\"statuses\":[");
    sheet.push(statuses);
    sheet.drop_comma();
    sheet.push(b"],\"event_timestamps\":[");
    sheet.push(times);
    sheet.drop_comma();
    sheet.push(b"]},");
}

#[inline]
fn push_value(sheet: &mut Sheet, row: &Row, slot: Slot) {
    let (window, length) = row.window(slot);
    sheet.push_window(window, length);
}

fn push_status(block: &mut Vec<u8>, status: Status) {
    block.push(b'"');
    block.extend_from_slice(status.name().as_bytes());
    block.extend_from_slice(b"\",");
}

fn repeated(status: Status, rows: usize) -> Vec<u8> {
    let mut one = Vec::new();
    push_status(&mut one, status);
    one.repeat(rows)
}

fn push_time(block: &mut Vec<u8>, time: EventTime) {
    if time == EventTime::ZERO {
        block.extend_from_slice(b"\"1970-01-01T00:00:00Z\",");
    } else {
        block.push(b'"');
        time.write(block);
        block.extend_from_slice(b"\",");
    }
}

/// The schema of the row that was fetched last: what the feature service has as members now.
fn newest_schema(found: &[Found]) -> Option<Rc<Schema>> {
    let fetched_at =
        |row: &Row| row.schema().feature_slots().filter_map(|slot| row.cell(slot)).map(|cell| cell.fetched_at).max();
    let rows = found.iter().filter_map(|found| found.row.as_ref());
    rows.max_by_key(|row| fetched_at(row)).map(|row| Rc::clone(row.schema()))
}

/// An error in the form of FastAPI, as Feast's server refuses a body.
#[must_use]
pub fn refusal(refusal: &Refusal, body: &[u8]) -> Vec<u8> {
    let mut sheet = Sheet::default();
    sheet.push(b"{\"detail\":[{\"type\":");
    match refusal {
        Refusal::Json { at, reason } => {
            sheet.push(b"\"json_invalid\",\"loc\":[\"body\",");
            sheet.push_number(at);
            sheet.push(b"],\"msg\":\"JSON decode error\",\"input\":{},\"ctx\":{\"error\":");
            sheet.push_string(reason);
            sheet.push(b"}");
        }
        Refusal::Field { path, kind, message } => {
            sheet.push_string(kind);
            sheet.push(b",\"loc\":[");
            for part in path {
                match part.parse::<usize>() {
                    Ok(index) => sheet.push_number(index),
                    Err(_) => sheet.push_string(part),
                }
                sheet.push(b",");
            }
            sheet.drop_comma();
            sheet.push(b"],\"msg\":");
            sheet.push_string(message);
            if *kind == "missing" {
                // The body has been read, so it is JSON and may stand here as it is.
                sheet.push(b",\"input\":");
                sheet.push(if body.is_empty() { b"null" } else { body });
            }
        }
        Refusal::Limit { limit, allowed, .. } => {
            sheet.push_string(limit_kind(limit));
            sheet.push(b",\"loc\":[\"body\"],\"msg\":");
            sheet.push_string(&refusal.to_string());
            sheet.push(b",\"ctx\":{\"limit\":");
            sheet.push_number(allowed);
            sheet.push(b"}");
        }
    }
    sheet.push(b"}]}");
    sheet.into_vec()
}

fn limit_kind(limit: &str) -> &'static str {
    match limit {
        "body_bytes" => "body_too_large",
        "entities" => "too_many_entities",
        "features" => "too_many_features",
        "key_bytes" => "key_too_large",
        _ => "too_many_cells",
    }
}

/// An error as Feast's server reports its own: a JSON string.
#[must_use]
pub fn error_string(message: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 2);
    json::write_string(&mut out, message);
    out
}
