//! The response of Feast's protocol: a column of values for each join key and feature, with a status and an event time of each value.
//!
//! Knows nothing of tiers. The rows of a view mostly share one schema, are all present, and each has one event time for all its
//! features. Then statuses and times are the same for all columns, and are copied from the first. Invariant: the response of such
//! rows allocates no memory but the buffer's.

use core::ops::Range;
use std::rc::Rc;

use crate::parsed_request::ParsedRequest;
use crate::plan::Plan;
use crate::response_buffer::ResponseBuffer;
use model::answer::{Answer, LookupResult};
use model::request::{Columns, Slots, ViewQuery};
use model::row::{Row, Schema, Slot};
use model::time::EventTime;
use model::value::Status;
use model::value_offsets::ValueReader;

/// Writes the response to a request.
///
/// Join keys come first, in the order of the request's columns, then the features in the request's order.
#[inline(never)]
pub fn write(buffer: &mut ResponseBuffer, plan: &Plan, answer: &Answer, request: &ParsedRequest<'_>) {
    let rows = request.fields.rows;
    let view =
        |(number, view)| ViewRows::new(view, answer.found.get(number * rows..(number + 1) * rows).unwrap_or_default());
    let (one, several);
    let views: &[ViewRows<'_>] = match &*plan.views {
        [single] => {
            one = view((0, single));
            core::slice::from_ref(&one)
        }
        all => {
            several = all.iter().enumerate().map(view).collect::<Vec<_>>();
            &several
        }
    };
    buffer.clear();
    buffer.push_array(b"{\"results\":[");
    for_each_join_key(plan, views, &mut |name, view| view.write_join_key(buffer, plan, request, name));
    let members = if plan.service.is_some() { views.first().and_then(|view| view.members.clone()) } else { None };
    match (&members, views) {
        (Some(members), [view, ..]) => {
            let mut tail = None;
            (0..members.features().len()).for_each(|column| view.write_feature(buffer, column, &mut tail));
        }
        _ => write_outputs(buffer, plan, views),
    }
    buffer.pop_comma();
    buffer.push_array(b"],\"metadata\":{\"feature_names\":[");
    for_each_join_key(plan, views, &mut |name, _| {
        buffer.push_json_string(name);
        buffer.push_array(b",");
    });
    buffer.push(&plan.names_text);
    for name in members.iter().flat_map(|members| members.features()) {
        buffer.push_json_string(name);
        buffer.push_array(b",");
    }
    buffer.pop_comma();
    buffer.push_array(b"]}}");
}

fn write_outputs(buffer: &mut ResponseBuffer, plan: &Plan, views: &[ViewRows<'_>]) {
    let (mut view, mut tail) = (0, None);
    for output in &plan.outputs {
        if output.view != view {
            (view, tail) = (output.view, None);
        }
        if let Some(view) = views.get(view) {
            view.write_feature(buffer, output.column, &mut tail);
        }
    }
}

/// Visits the join keys that the origin echoed, in the order of the request's columns, each with the rows that have it. Of a view
/// without any row, these are its key columns, so that a response has one form, whatever is available.
fn for_each_join_key<'a>(plan: &Plan, views: &'a [ViewRows<'a>], visit: &mut dyn FnMut(&str, &ViewRows<'a>)) {
    let has = |view: &ViewRows<'_>, name: &str| view.join_keys().iter().any(|known| **known == *name);
    if plan.has_known_keys {
        // Each view has its own join keys, which are columns of the request.
        for (column, name) in plan.columns.iter().enumerate() {
            let is_keyed = |keys: &Vec<usize>| keys.contains(&column);
            let mut missing =
                views.iter().zip(&plan.key_columns).filter(|(view, keys)| view.is_empty() && is_keyed(keys));
            let echoed = views.iter().find(|view| has(view, name));
            if let Some(view) = echoed.or_else(|| missing.next().map(|(view, _)| view)) {
                visit(name, view);
            }
        }
        return;
    }
    for (number, view) in views.iter().enumerate() {
        for name in view.join_keys() {
            if !views.iter().take(number).any(|earlier| has(earlier, name)) {
                visit(name, view);
            }
        }
    }
}

/// The rows of one view in a response, with what all columns share computed once.
struct ViewRows<'a> {
    found: &'a [LookupResult],
    /// A feature service's members.
    members: Option<Rc<Schema>>,
    rows: ColumnSource<'a>,
}

enum ColumnSource<'a> {
    /// All present, of one schema, each with one event time.
    Uniform { slots: Rc<Slots>, first: &'a Rc<Row>, others: Vec<ValueReader<'a>> },
    /// The slots of the columns in each row.
    Mixed(Vec<Option<Rc<Slots>>>),
}

impl<'a> ViewRows<'a> {
    fn new(view: &ViewQuery, found: &'a [LookupResult]) -> ViewRows<'a> {
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
        let rows = match uniform_rows(found) {
            Some((first, others)) => ColumnSource::Uniform { slots: resolve(first.schema()), first, others },
            None => ColumnSource::Mixed(
                found.iter().map(|found| found.row.as_ref().map(|row| resolve(row.schema()))).collect(),
            ),
        };
        ViewRows { found, members, rows }
    }

    /// The join keys that the origin echoed with the rows.
    fn join_keys(&self) -> &[Box<str>] {
        let row = self.found.iter().find_map(|found| found.row.as_ref());
        row.map_or(&[], |row| row.schema().join_keys())
    }

    /// Whether no row of it is available.
    fn is_empty(&self) -> bool {
        self.found.iter().all(|found| found.row.is_none())
    }

    fn write_join_key(&self, buffer: &mut ResponseBuffer, plan: &Plan, request: &ParsedRequest<'_>, name: &str) {
        let (fields, body) = request.parts();
        buffer.push_array(b"{\"values\":[");
        match &self.rows {
            ColumnSource::Uniform { first, others, .. } if let Some(slot) = first.schema().join_key_slot(name) => {
                push_values(buffer, first, others, slot);
            }
            _ => {
                let requested = plan.columns.iter().position(|column| **column == *name);
                for (row, found) in self.found.iter().enumerate() {
                    match found.row.as_ref().and_then(|row| Some(row.value(row.schema().join_key_slot(name)?))) {
                        Some(value) => buffer.push(value),
                        // The row is unavailable, so the key is returned as it was requested.
                        None => {
                            let value = requested.and_then(|column| fields.value(column, row));
                            buffer.push(value.map_or(b"null", |value| value.bytes(body)));
                        }
                    }
                    buffer.push_array(b",");
                }
            }
        }
        buffer.pop_comma();
        buffer.push_array(STATUSES);
        buffer.push_repeated(PRESENT, self.found.len());
        buffer.pop_comma();
        buffer.push_array(TIMES);
        buffer.push_repeated(ZERO, self.found.len());
        buffer.pop_comma();
        buffer.push_array(END);
    }

    /// Writes a column. `tail` is the buffer's range with the statuses and times of the view's previous column, where they are the
    /// same.
    fn write_feature(&self, buffer: &mut ResponseBuffer, column: usize, tail: &mut Option<Range<usize>>) {
        buffer.push_array(b"{\"values\":[");
        if let ColumnSource::Uniform { slots, first, others } = &self.rows
            && let Some(slot) = slots.at(column)
        {
            push_values(buffer, first, others, slot);
            buffer.pop_comma();
            match tail {
                Some(tail) => buffer.repeat(tail.clone()),
                None => {
                    let start = buffer.len();
                    self.write_present(buffer);
                    *tail = Some(start..buffer.len());
                }
            }
            return;
        }
        let known = |row: usize, found: &'a LookupResult| {
            let slot = match &self.rows {
                ColumnSource::Uniform { slots, .. } => slots.at(column),
                ColumnSource::Mixed(slots) => slots.get(row)?.as_ref()?.at(column),
            }?;
            let row = found.row.as_ref()?;
            Some((row.value(slot), row.cell(slot)?))
        };
        let cells = || self.found.iter().enumerate().map(|(row, found)| known(row, found));
        for known in cells() {
            buffer.push(known.map_or(b"null", |(value, _)| value));
            buffer.push_array(b",");
        }
        buffer.pop_comma();
        buffer.push_array(STATUSES);
        for known in cells() {
            buffer.push_array(b"\"");
            buffer.push(known.map_or(Status::Invalid, |(_, cell)| cell.status).name().as_bytes());
            buffer.push_array(b"\",");
        }
        buffer.pop_comma();
        buffer.push_array(TIMES);
        self.write_times(buffer, cells().map(|known| known.map_or(EventTime::ZERO, |(_, cell)| cell.event_time)));
        buffer.push_array(END);
    }

    /// Writes the statuses and times of a column of uniform rows.
    fn write_present(&self, buffer: &mut ResponseBuffer) {
        buffer.push_array(STATUSES);
        buffer.push_repeated(PRESENT, self.found.len());
        buffer.pop_comma();
        buffer.push_array(TIMES);
        let cells = self.found.iter().filter_map(|found| found.row.as_ref()?.uniform_cell());
        self.write_times(buffer, cells.map(|cell| cell.event_time));
        buffer.push_array(END);
    }

    fn write_times(&self, buffer: &mut ResponseBuffer, times: impl Iterator<Item = EventTime>) {
        let mut last: Option<(EventTime, Range<usize>)> = None;
        for time in times {
            match &last {
                Some((known, place)) if *known == time => buffer.repeat(place.clone()),
                _ => {
                    let start = buffer.len();
                    push_time(buffer, time);
                    last = Some((time, start..buffer.len()));
                }
            }
        }
        buffer.pop_comma();
    }
}

const STATUSES: &[u8; 14] = b"],\"statuses\":[";
const TIMES: &[u8; 22] = b"],\"event_timestamps\":[";
const END: &[u8; 3] = b"]},";
const PRESENT: &[u8; 10] = b"\"PRESENT\",";
const ZERO: &[u8; 23] = b"\"1970-01-01T00:00:00Z\",";

/// The first row and the others, where all are of one schema, present, and have one event time for all features of each.
fn uniform_rows(found: &[LookupResult]) -> Option<(&Rc<Row>, Vec<ValueReader<'_>>)> {
    let is_present = |row: &Row| row.uniform_cell().is_some_and(|cell| cell.status == Status::Present);
    let (first, rest) = found.split_first()?;
    let first = first.row.as_ref().filter(|row| is_present(row))?;
    let mut others = Vec::with_capacity(rest.len());
    for found in rest {
        let row = found.row.as_ref().filter(|row| Rc::ptr_eq(row.schema(), first.schema()) && is_present(row))?;
        others.push(row.value_reader());
    }
    Some((first, others))
}

fn push_values(buffer: &mut ResponseBuffer, first: &Row, others: &[ValueReader<'_>], slot: Slot) {
    push_each(buffer, core::slice::from_ref(&first.value_reader()), slot);
    if !others.is_empty() {
        push_each(buffer, others, slot);
    }
}

fn push_each(buffer: &mut ResponseBuffer, mut rows: &[ValueReader<'_>], slot: Slot) {
    loop {
        let count = buffer.push_blocks(rows.iter().map(|texts| texts.copy_block(slot)));
        let Some((texts, rest)) = rows.get(count..).and_then(<[_]>::split_first) else { return };
        buffer.push(texts.value(slot));
        buffer.push_array(b",");
        rows = rest;
    }
}

fn push_time(buffer: &mut ResponseBuffer, time: EventTime) {
    if time == EventTime::ZERO {
        buffer.push_array(ZERO);
        return;
    }
    buffer.push_array(b"\"");
    buffer.push(time.formatted().as_bytes());
    buffer.push_array(b"\",");
}

/// The schema of the row that was fetched last: the feature service's current members.
fn newest_schema(found: &[LookupResult]) -> Option<Rc<Schema>> {
    let fetched_at = |row: &Row| {
        row.schema().feature_slots().filter_map(|slot| row.cell(slot)).map(|cell| cell.fetched_at.timestamp()).max()
    };
    let rows = found.iter().filter_map(|found| found.row.as_ref());
    rows.max_by_key(|row| fetched_at(row)).map(|row| Rc::clone(row.schema()))
}
