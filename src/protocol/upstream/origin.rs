//! What the origin is asked, and what its answer means.
//!
//! The origin is asked in Feast's form for the rows and features that nothing else had. Its answer is as hostile as a client's: columns are found by name, every length is checked against what was asked, and
//! nothing is kept of an answer that does not fit.

use std::rc::Rc;

use model::canonical_key_hash::canonical_key_hash;
use model::interner::Interner;
use model::request::{Ask, Columns};
use model::row::{Row, RowBuilder, Schema};
use model::time::{EventTime, Instant};
use model::value::{Cell, Status};
use protocol::call::{Call, Span};
use protocol::json::{self, Cursor, JsonError, Kind, Raw};
use protocol::plan::{Output, Plan};

/// The rectangle of rows and features that the origin is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Rows of the request, ascending.
    pub rows: &'a [usize],
    /// Numbers of views, and of their columns.
    pub views: &'a [(usize, Vec<usize>)],
    /// The places that wait for the answer.
    pub places: &'a [usize],
}

/// The body that asks for `wanted` of the call in `body`.
#[must_use]
pub fn request(call: &Call, body: &[u8], plan: &Plan, wanted: &Wanted<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + wanted.rows.len() * call.columns.len() * 12);
    match &plan.service {
        Some(service) => {
            out.extend_from_slice(b"{\"feature_service\":");
            json::write_string(&mut out, service);
        }
        None => {
            out.extend_from_slice(b"{\"features\":[");
            let mut is_first = true;
            for reference in references(plan, wanted) {
                if !core::mem::take(&mut is_first) {
                    out.push(b',');
                }
                json::write_string(&mut out, reference);
            }
            out.push(b']');
        }
    }
    out.extend_from_slice(b",\"entities\":{");
    for (number, column) in call.columns.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        out.extend_from_slice(call.name(column, body));
        out.extend_from_slice(b":[");
        for (position, &row) in wanted.rows.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            out.extend_from_slice(call.value(number, row).map_or(b"null".as_slice(), |value| value.bytes(body)));
        }
        out.push(b']');
    }
    // The names are asked for as the caller wants them: on-demand views in Python mode have no columns under full names,
    // and short names that would collide never come here.
    out.extend_from_slice(b"},\"full_feature_names\":");
    out.extend_from_slice(if plan.full_feature_names { b"true}" } else { b"false}" });
    out
}

/// The references of the wanted columns, each once.
fn references<'a>(plan: &'a Plan, wanted: &'a Wanted<'_>) -> impl Iterator<Item = &'a str> {
    let mut seen = hashbrown::HashSet::with_hasher(foldhash::fast::FixedState::default());
    let wanted: hashbrown::HashSet<(usize, usize), foldhash::fast::FixedState> =
        wanted.views.iter().flat_map(|(view, columns)| columns.iter().map(|&column| (*view, column))).collect();
    plan.outputs
        .iter()
        .filter(move |output| {
            wanted.contains(&(output.view, output.column)) && seen.insert((output.view, output.column))
        })
        .map(|output| &*output.reference)
}

/// An answer of the origin, column by column.
#[derive(Debug, Default)]
pub struct Table<'a> {
    names: Vec<String>,
    rows: usize,
    /// `names × rows` of each, column by column.
    values: Vec<Raw<'a>>,
    statuses: Vec<Status>,
    times: Vec<EventTime>,
}

/// The most columns that an answer may have beyond those asked for: join keys that the request named by entity.
const SPARE_COLUMNS: usize = 16;

impl<'a> Table<'a> {
    /// Reads an answer to a request for `rows` rows and at most `columns` columns.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn read(body: &'a [u8], rows: usize, columns: usize, max_depth: u16) -> Result<Table<'a>, String> {
        let mut table = Table { rows, ..Table::default() };
        let mut cursor = Cursor::new(body, max_depth).map_err(|error| error.to_string())?;
        table.read_body(&mut cursor, columns + SPARE_COLUMNS)?;
        cursor.finish().map_err(|error| error.to_string())?;
        if table.names.len().checked_mul(rows) != Some(table.values.len()) {
            return Err(format!(
                "{} feature names and {} values for {rows} rows",
                table.names.len(),
                table.values.len()
            ));
        }
        Ok(table)
    }

    fn read_body(&mut self, cursor: &mut Cursor<'a>, max_columns: usize) -> Result<(), String> {
        let text = |error: JsonError| error.to_string();
        if cursor.peek().map_err(text)? != Kind::Object {
            return Err("the answer is no object".to_owned());
        }
        cursor.enter_object().map_err(text)?;
        let (mut columns, mut has_results, mut has_names) = (0, false, false);
        while let Some(key) = cursor.next_key().map_err(text)? {
            if key.equals("results") && cursor.peek().map_err(text)? == Kind::Array {
                if core::mem::replace(&mut has_results, true) {
                    return Err("two results".to_owned());
                }
                cursor.enter_array().map_err(text)?;
                while cursor.next_element().map_err(text)? {
                    columns += 1;
                    if columns > max_columns {
                        return Err(format!("more than {max_columns} columns"));
                    }
                    self.read_column(cursor)?;
                }
            } else if key.equals("metadata") && cursor.peek().map_err(text)? == Kind::Object {
                if core::mem::replace(&mut has_names, true) {
                    return Err("two metadata".to_owned());
                }
                self.read_names(cursor, max_columns)?;
            } else {
                cursor.value().map_err(text)?;
            }
        }
        if has_results && has_names { Ok(()) } else { Err("no results, or no names of them".to_owned()) }
    }

    fn read_names(&mut self, cursor: &mut Cursor<'a>, max_columns: usize) -> Result<(), String> {
        let text = |error: JsonError| error.to_string();
        cursor.enter_object().map_err(text)?;
        while let Some(key) = cursor.next_key().map_err(text)? {
            if !key.equals("feature_names") || cursor.peek().map_err(text)? != Kind::Array {
                cursor.value().map_err(text)?;
                continue;
            }
            if !self.names.is_empty() {
                return Err("two lists of feature names".to_owned());
            }
            cursor.enter_array().map_err(text)?;
            let mut scratch = String::new();
            while cursor.next_element().map_err(text)? {
                let name = cursor.string().map_err(text)?;
                self.names.push(name.decode(&mut scratch).to_owned());
                if self.names.len() > max_columns {
                    return Err(format!("more than {max_columns} feature names"));
                }
            }
        }
        Ok(())
    }

    fn read_column(&mut self, cursor: &mut Cursor<'a>) -> Result<(), String> {
        let text = |error: JsonError| error.to_string();
        let (values, statuses, times) = (self.values.len(), self.statuses.len(), self.times.len());
        if cursor.peek().map_err(text)? != Kind::Object {
            return Err("a column is no object".to_owned());
        }
        cursor.enter_object().map_err(text)?;
        while let Some(key) = cursor.next_key().map_err(text)? {
            if cursor.peek().map_err(text)? != Kind::Array {
                cursor.value().map_err(text)?;
            } else if key.equals("values") {
                self.read_values(cursor, values)?;
            } else if key.equals("statuses") {
                self.read_statuses(cursor, statuses)?;
            } else if key.equals("event_timestamps") {
                self.read_times(cursor, times)?;
            } else {
                cursor.value().map_err(text)?;
            }
        }
        if self.values.len() != values + self.rows {
            return Err(format!("a column of {} values for {} rows", self.values.len() - values, self.rows));
        }
        // Origins other than Feast may leave out what they do not know.
        if self.statuses.len() == statuses {
            let implied = self.values.iter().skip(values).map(|value| match value.kind {
                Kind::Null => Status::NotFound,
                _ => Status::Present,
            });
            self.statuses.extend(implied);
        }
        if self.times.len() == times {
            self.times.resize(times + self.rows, EventTime::ZERO);
        }
        if self.statuses.len() != statuses + self.rows || self.times.len() != times + self.rows {
            return Err("a column whose statuses or event times differ in number from its values".to_owned());
        }
        Ok(())
    }

    fn read_values(&mut self, cursor: &mut Cursor<'a>, before: usize) -> Result<(), String> {
        let text = |error: JsonError| error.to_string();
        cursor.enter_array().map_err(text)?;
        while cursor.next_element().map_err(text)? {
            self.values.push(cursor.value().map_err(text)?);
            if self.values.len() - before > self.rows {
                return Err(format!("a column of more than {} values", self.rows));
            }
        }
        Ok(())
    }

    fn read_statuses(&mut self, cursor: &mut Cursor<'a>, before: usize) -> Result<(), String> {
        let text = |error: JsonError| error.to_string();
        cursor.enter_array().map_err(text)?;
        while cursor.next_element().map_err(text)? {
            let raw = cursor.value().map_err(text)?.text;
            let name = raw.trim_matches('"');
            self.statuses.push(Status::parse(name).ok_or_else(|| format!("the unknown status {raw}"))?);
            if self.statuses.len() - before > self.rows {
                return Err(format!("a column of more than {} statuses", self.rows));
            }
        }
        Ok(())
    }

    fn read_times(&mut self, cursor: &mut Cursor<'a>, before: usize) -> Result<(), String> {
        let text = |error: JsonError| error.to_string();
        cursor.enter_array().map_err(text)?;
        // The rows of a view mostly share a few event times, so the last one is worth remembering.
        let mut last = ("\"1970-01-01T00:00:00Z\"", EventTime::ZERO);
        while cursor.next_element().map_err(text)? {
            let raw = cursor.value().map_err(text)?.text;
            if raw != last.0 {
                let time = EventTime::parse(raw.trim_matches('"')).ok_or_else(|| format!("the event time {raw}"))?;
                last = (raw, time);
            }
            self.times.push(last.1);
            if self.times.len() - before > self.rows {
                return Err(format!("a column of more than {} event times", self.rows));
            }
        }
        Ok(())
    }

    fn text(&self, column: usize, row: usize) -> &[u8] {
        self.values.get(column * self.rows + row).map_or(b"null", |raw| raw.text.as_bytes())
    }

    fn cell(&self, column: usize, row: usize, now: Instant) -> Option<Cell> {
        let at = column * self.rows + row;
        let (&status, &event_time) = (self.statuses.get(at)?, self.times.get(at)?);
        Some(Cell { status, is_negative: status == Status::NotFound, event_time, fetched_at: now.into() })
    }

    /// Whether the origin's store knows nothing of the entity although it says `PRESENT`, as Feast's Redis store does:
    /// all null, and no event behind any.
    fn is_blank(&self, columns: &[usize], row: usize) -> bool {
        columns.iter().all(|column| {
            let at = column * self.rows + row;
            self.values.get(at).is_some_and(|value| value.kind == Kind::Null)
                && self.times.get(at) == Some(&EventTime::ZERO)
        })
    }
}

/// Whether the answer has a column for each feature that was asked for.
///
/// Feast leaves out those of on-demand views in Python mode under full names. How an answer without them looks is its
/// own to say.
#[must_use]
pub fn is_whole(table: &Table<'_>, plan: &Plan, wanted: &Wanted<'_>) -> bool {
    let features = feature_columns(table, plan);
    let is_wanted = |output: &Output| {
        wanted.views.iter().any(|(view, columns)| *view == output.view && columns.contains(&output.column))
    };
    plan.outputs.iter().zip(&features).all(|(output, found)| found.is_some() || !is_wanted(output))
}

/// Whether the answer's rows are of the entities that were asked for, as far as it repeats their keys.
///
/// Numbers are compared with numbers and texts with texts, whatever their spelling: an origin may turn the one into the other.
#[must_use]
pub fn is_of_whom_was_asked(table: &Table<'_>, call: &Call, body: &[u8], plan: &Plan, wanted: &Wanted<'_>) -> bool {
    let features = feature_columns(table, plan);
    for (column, name) in table.names.iter().enumerate().filter(|(column, _)| !features.contains(&Some(*column))) {
        let Some(key) = plan.columns.iter().position(|known| **known == **name) else { continue };
        for (row, &request_row) in wanted.rows.iter().enumerate() {
            let value = table.values.get(column * table.rows + row).map(|raw| (raw, Span::whole(raw)));
            let Some((span, (raw, whole))) = call.value(key, request_row).zip(value) else { continue };
            if span.kind() != raw.kind || !matches!(raw.kind, Kind::Number | Kind::String) {
                continue;
            }
            if span.text(body) == raw.text {
                continue;
            }
            let answered = spelling(whole, raw.text.as_bytes());
            // Feast takes an entity's own name for its join key too, and answers with what stands under either.
            let is_asked =
                |column| call.value(column, request_row).is_some_and(|span| spelling(span, body) == answered);
            if !(0..plan.columns.len()).any(is_asked) {
                return false;
            }
        }
    }
    true
}

/// What all spellings of the value of a key share.
#[inline(never)]
fn spelling(value: Span, body: &[u8]) -> Option<u64> {
    let mut key = Vec::new();
    value.encode(body, &mut key, &mut String::new());
    canonical_key_hash(&key)
}

/// The rows that `table` has for the places that were wanted.
pub fn rows(
    table: &Table<'_>,
    plan: &Plan,
    ask: &Ask,
    wanted: &Wanted<'_>,
    interner: &mut Interner,
    now: Instant,
) -> Vec<(usize, Row)> {
    let mut rows = Vec::with_capacity(wanted.places.len());
    let features = feature_columns(table, plan);
    for (view, columns) in wanted.views {
        let Some(shape) = Shape::new(table, plan, ask, *view, columns, &features, interner) else { continue };
        for &place in wanted.places.iter().filter(|&&place| place.checked_div(ask.rows) == Some(*view)) {
            let request_row = place.checked_rem(ask.rows).unwrap_or_default();
            let Some((row, (_, key, _))) = wanted.rows.binary_search(&request_row).ok().zip(ask.place(place)) else {
                continue;
            };
            rows.push((place, shape.row(table, row, key, now)));
        }
    }
    rows
}

/// What the origin calls a feature in its answer.
pub(crate) fn name_of(output: &Output, plan: &Plan) -> Option<String> {
    let (view, feature) = output.reference.split_once(':')?;
    Some(if plan.full_feature_names { [view, "__", feature].concat() } else { feature.to_owned() })
}

/// For each of the plan's outputs, the table's column that holds it; for a service, every column that is no join key.
fn feature_columns(table: &Table<'_>, plan: &Plan) -> Vec<Option<usize>> {
    let by_name: hashbrown::HashMap<&str, usize, foldhash::fast::FixedState> =
        table.names.iter().enumerate().rev().map(|(column, name)| (name.as_str(), column)).collect();
    let position = |name: &str| by_name.get(name).copied();
    plan.outputs.iter().map(|output| position(&name_of(output, plan)?)).collect()
}

/// How the rows of one view stand in a table.
struct Shape {
    schema: Rc<Schema>,
    join_keys: Vec<usize>,
    features: Vec<usize>,
}

impl Shape {
    fn new(
        table: &Table<'_>,
        plan: &Plan,
        ask: &Ask,
        view: usize,
        columns: &[usize],
        features: &[Option<usize>],
        interner: &mut Interner,
    ) -> Option<Shape> {
        let view_ask = ask.views.get(view)?;
        let is_feature = |column: usize| match view_ask.columns() {
            Columns::Named(_) => features.contains(&Some(column)),
            Columns::All => !is_echo(table, plan, column),
        };
        let keys_view = |name: &str| {
            let keys = plan.key_columns.get(view).map(Vec::as_slice).unwrap_or_default();
            keys.iter().filter_map(|&key| plan.columns.get(key)).any(|key| **key == *name)
        };
        let join_keys: Vec<usize> = (0..table.names.len())
            .filter(|&column| !is_feature(column))
            .filter(|&column| !plan.is_attributed || table.names.get(column).is_some_and(|name| keys_view(name)))
            .collect();
        let (names, features): (Vec<&str>, Vec<usize>) = match view_ask.columns() {
            Columns::Named(names) => columns
                .iter()
                .filter_map(|&column| {
                    let output =
                        plan.outputs.iter().position(|output| output.view == view && output.column == column)?;
                    Some((&**names.get(column)?, (*features.get(output)?)?))
                })
                .unzip(),
            Columns::All => (0..table.names.len())
                .filter(|&column| is_feature(column))
                .filter_map(|column| Some((table.names.get(column)?.as_str(), column)))
                .unzip(),
        };
        let key_names =
            join_keys.iter().filter_map(|&column| table.names.get(column)).map(String::as_str).collect::<Vec<_>>();
        let schema = interner.schema(view_ask.space(), &key_names, &names)?;
        Some(Shape { schema, join_keys, features })
    }

    fn row(&self, table: &Table<'_>, row: usize, key: &[u8], now: Instant) -> Row {
        let mut builder = RowBuilder::new(Rc::clone(&self.schema), key);
        for &column in &self.join_keys {
            builder.push_join_key(table.text(column, row));
        }
        let is_blank = table.is_blank(&self.features, row);
        for &column in &self.features {
            if let Some(cell) = table.cell(column, row, now) {
                builder
                    .push_feature(table.text(column, row), Cell { is_negative: cell.is_negative || is_blank, ..cell });
            }
        }
        builder.finish()
    }
}

/// Whether a column of a feature service's answer is a join key: it is among the request's columns.
///
/// A key that the request named by its entity comes back under another name, and counts as a member: it keeps its place.
fn is_echo(table: &Table<'_>, plan: &Plan, column: usize) -> bool {
    table.names.get(column).is_some_and(|name| plan.columns.iter().any(|known| **known == **name))
}
