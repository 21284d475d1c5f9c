//! What the origin is asked, and what its answer means.
//!
//! The origin is asked in Feast's form for the rows and features that nothing else had. Its answer is as hostile as a client's: columns are found by name, every length is checked against what was asked. What an
//! answer does not say, or says in a way that nobody can read, is not known: it costs the value, time or row concerned, and no other.

use std::rc::Rc;

use json::{Cursor, JsonError, Kind, RawJson};
use model::fetch_spec::FetchSpec;
use model::interner::Interner;
use model::key::EntityValue;
use model::request::{Columns, RowQuery};
use model::row::{Row, RowBuilder, Schema};
use model::time::{EventTime, Timestamp};
use model::value::{Cell, Status};
use protocol::feature_request::Span;
use protocol::parsed_request::ParsedRequest;
use protocol::plan::{Output, Plan};

use crate::echo::{self, Echo};

/// The body that asks for `spec` of a request.
#[must_use]
pub fn request(request: &ParsedRequest<'_>, plan: &Plan, spec: &FetchSpec) -> Vec<u8> {
    let (fields, body) = request.parts();
    let mut out = Vec::with_capacity(256 + spec.rows.len() * fields.columns.len() * 12);
    match &plan.service {
        Some(service) => {
            out.extend_from_slice(b"{\"feature_service\":");
            json::write_string(&mut out, service);
        }
        None => {
            out.extend_from_slice(b"{\"features\":[");
            let mut is_first = true;
            for reference in references(plan, spec) {
                if !core::mem::take(&mut is_first) {
                    out.push(b',');
                }
                json::write_string(&mut out, reference);
            }
            out.push(b']');
        }
    }
    out.extend_from_slice(b",\"entities\":{");
    for (number, column) in fields.columns.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        out.extend_from_slice(fields.name(column, body));
        out.extend_from_slice(b":[");
        for (position, &row) in spec.rows.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            out.extend_from_slice(fields.value(number, row).map_or(b"null".as_slice(), |value| value.bytes(body)));
        }
        out.push(b']');
    }
    // The names are asked for as the caller wants them: on-demand views in Python mode have no columns under full names,
    // and short names that would collide never come here.
    out.extend_from_slice(b"},\"full_feature_names\":");
    out.extend_from_slice(if plan.full_feature_names { b"true}" } else { b"false}" });
    out
}

/// The references of the columns of `spec`, each once.
fn references<'a>(plan: &'a Plan, spec: &'a FetchSpec) -> impl Iterator<Item = &'a str> {
    let mut seen = hashbrown::HashSet::with_hasher(foldhash::fast::FixedState::default());
    let columns: hashbrown::HashSet<(usize, usize), foldhash::fast::FixedState> =
        spec.views.iter().flat_map(|(view, columns)| columns.iter().map(|&column| (*view, column))).collect();
    plan.outputs
        .iter()
        .filter(move |output| {
            columns.contains(&(output.view, output.column)) && seen.insert((output.view, output.column))
        })
        .map(|output| &*output.reference)
}

/// An answer of the origin, column by column.
#[derive(Debug, Default)]
pub struct Table<'a> {
    names: Vec<String>,
    rows: usize,
    /// `names × rows` of each, column by column.
    values: Vec<RawJson<'a>>,
    /// `None` where the origin does not say.
    statuses: Vec<Option<Status>>,
    times: Vec<Option<EventTime>>,
    /// The first status and the first event time that cannot be read.
    unknown_status: Option<&'a str>,
    unknown_time: Option<&'a str>,
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
        // Protobuf's JSON form leaves out what is empty.
        let is_named = has_names || columns == 0;
        if has_results && is_named { Ok(()) } else { Err("no results, or no names of them".to_owned()) }
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
        let (first, last) = (self.values.len(), self.values.len() + self.rows);
        let (mut has_values, mut has_statuses, mut has_times) = (false, false, false);
        let mut unknown = Vec::new();
        let twice = |what: &str| Err(format!("a column with two lists of {what}"));
        if cursor.peek().map_err(text)? != Kind::Object {
            return Err("a column is no object".to_owned());
        }
        cursor.enter_object().map_err(text)?;
        while let Some(key) = cursor.next_key().map_err(text)? {
            if cursor.peek().map_err(text)? != Kind::Array {
                cursor.value().map_err(text)?;
            } else if key.equals("values") {
                if core::mem::replace(&mut has_values, true) {
                    return twice("values");
                }
                self.read_values(cursor, first)?;
            } else if key.equals("statuses") {
                if core::mem::replace(&mut has_statuses, true) {
                    return twice("statuses");
                }
                unknown = self.read_statuses(cursor, last)?;
            } else if key.equals("event_timestamps") {
                if core::mem::replace(&mut has_times, true) {
                    return twice("event times");
                }
                self.read_times(cursor, last)?;
            } else {
                cursor.value().map_err(text)?;
            }
        }
        if self.values.len() != last {
            return Err(format!("a column of {} values for {} rows", self.values.len() - first, self.rows));
        }
        // Origins may leave out what they do not know: Feast's Go server does unless it is asked for statuses.
        self.statuses.resize(last, None);
        self.times.resize(last, None);
        // A value whose status nobody understands is no value to rely on.
        for at in unknown {
            if let Some((value, status)) = self.values.get_mut(at).zip(self.statuses.get_mut(at)) {
                (*value, *status) = (NULL, Some(Status::Invalid));
            }
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

    /// Reads the statuses of a column that ends at `last`; where those stand that nobody understands. Where there are not
    /// just as many as rows, these are all: nobody can tell which is whose.
    fn read_statuses(&mut self, cursor: &mut Cursor<'a>, last: usize) -> Result<Vec<usize>, String> {
        let text = |error: JsonError| error.to_string();
        let first = self.statuses.len();
        let (mut at, mut scratch, mut unknown) = (first, String::new(), Vec::new());
        cursor.enter_array().map_err(text)?;
        while cursor.next_element().map_err(text)? {
            let raw = cursor.value().map_err(text)?;
            let status = match raw.kind {
                Kind::Null => None,
                // Protobuf's JSON form may have an enumeration's numbers.
                Kind::Number => Some(raw.text.parse().ok().and_then(Status::from_number)),
                _ => Some(Status::parse(plain(&raw, &mut scratch))),
            };
            if status == Some(None) {
                self.unknown_status.get_or_insert(raw.text);
                unknown.push(at);
            }
            if at < last {
                self.statuses.push(status.flatten());
            }
            at += 1;
        }
        if at != last {
            self.unknown_status.get_or_insert("a list of another length");
            unknown = (first..last).collect();
        }
        Ok(unknown)
    }

    /// Reads the event times of a column that ends at `last`; none is known where there are not just as many as rows.
    fn read_times(&mut self, cursor: &mut Cursor<'a>, last: usize) -> Result<(), String> {
        let text = |error: JsonError| error.to_string();
        let first = self.times.len();
        let (mut at, mut scratch) = (first, String::new());
        cursor.enter_array().map_err(text)?;
        // The rows of a view mostly share a few event times, so the last one is worth remembering.
        let mut latest = ("\"1970-01-01T00:00:00Z\"", Some(EventTime::ZERO));
        while cursor.next_element().map_err(text)? {
            let raw = cursor.value().map_err(text)?;
            if raw.text != latest.0 {
                let time = match raw.kind {
                    Kind::Number => EventTime::from_epoch(raw.text),
                    _ => EventTime::parse(plain(&raw, &mut scratch)),
                };
                if time.is_none() && raw.kind != Kind::Null {
                    self.unknown_time.get_or_insert(raw.text);
                }
                latest = (raw.text, time);
            }
            if at < last {
                self.times.push(latest.1);
            }
            at += 1;
        }
        if at != last {
            self.unknown_time.get_or_insert("a list of another length");
            self.times.truncate(first);
        }
        Ok(())
    }

    /// Whether the answer has no column, not even one of keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The first status of the answer that cannot be read.
    #[must_use]
    pub fn unknown_status(&self) -> Option<&'a str> {
        self.unknown_status
    }

    /// The first event time of the answer that cannot be read.
    #[must_use]
    pub fn unknown_time(&self) -> Option<&'a str> {
        self.unknown_time
    }

    fn text(&self, column: usize, row: usize) -> &[u8] {
        self.values.get(column * self.rows + row).map_or(b"null", |raw| raw.text.as_bytes())
    }

    fn cell(&self, column: usize, row: usize, now: Timestamp) -> Option<Cell> {
        let at = column * self.rows + row;
        let (status, event_time) = (*self.statuses.get(at)?, *self.times.get(at)?);
        // Feast says of a stored null too that it is present.
        let status = status.unwrap_or(Status::Present);
        let event_time = event_time.unwrap_or(EventTime::ZERO);
        Some(Cell { status, is_negative: status == Status::NotFound, event_time, fetched_at: now.into() })
    }

    /// Whether the origin's store knows nothing of the entity although it says `PRESENT`, as Feast's Redis store does:
    /// all null, and no event behind any. What the origin does not say proves nothing.
    fn is_blank(&self, columns: &[usize], row: usize) -> bool {
        columns.iter().all(|column| {
            let at = column * self.rows + row;
            self.values.get(at).is_some_and(|value| value.kind == Kind::Null)
                && self.statuses.get(at) == Some(&Some(Status::Present))
                && self.times.get(at) == Some(&Some(EventTime::ZERO))
        })
    }
}

/// What stands for a value that is not known.
const NULL: RawJson<'static> = RawJson { text: "null", kind: Kind::Null };

/// A JSON string's text, its escapes resolved: some servers write a `+` as `\u002b`.
fn plain<'a>(raw: &RawJson<'a>, scratch: &'a mut String) -> &'a str {
    Span::whole(raw).string(raw.text.as_bytes(), scratch)
}

/// Whether the answer has a column for each feature that was asked for.
///
/// Feast leaves out those of on-demand views in Python mode under full names. How an answer without them looks is its
/// own to say.
#[must_use]
pub fn is_whole(table: &Table<'_>, plan: &Plan, spec: &FetchSpec) -> bool {
    let features = feature_columns(table, plan);
    let is_wanted = |output: &Output| {
        spec.views.iter().any(|(view, columns)| *view == output.view && columns.contains(&output.column))
    };
    plan.outputs.iter().zip(&features).all(|(output, found)| found.is_some() || !is_wanted(output))
}

/// The rows of the request, ascending, that the answer has of other entities than those asked for, as far as it repeats their keys.
///
/// An origin may convert keys to the type of its join key. So the rows are taken by position, and a key that no conversion of
/// the one asked for gives is another entity's.
#[must_use]
pub fn rows_of_others(table: &Table<'_>, request: &ParsedRequest<'_>, plan: &Plan, spec: &FetchSpec) -> Vec<usize> {
    let (fields, body) = request.parts();
    let features = feature_columns(table, plan);
    let mut are_others = vec![false; spec.rows.len()];
    for (column, name) in table.names.iter().enumerate().filter(|(column, _)| !features.contains(&Some(*column))) {
        let Some(key) = plan.columns.iter().position(|known| **known == **name) else { continue };
        let echo = |row: usize| table.values.get(column * table.rows + row);
        let asked = |request_row: usize| fields.value(key, request_row).map(|span| span.text(body));
        // Whether the row of each key is where it was asked for, made where it matters.
        let mut is_at_its_place: Option<hashbrown::HashMap<&str, bool, foldhash::fast::FixedState>> = None;
        for (row, (&request_row, is_others)) in spec.rows.iter().zip(&mut are_others).enumerate() {
            let Some(raw) = echo(row).filter(|raw| asked(request_row) != Some(raw.text)) else { continue };
            let compare = |column: usize| {
                let span = fields.value(column, request_row)?;
                Some(with_value(span, body, |asked| {
                    with_value(Span::whole(raw), raw.text.as_bytes(), |echoed| echo::compare(asked, echoed))
                }))
            };
            let mut found = compare(key).unwrap_or(Echo::Same);
            if found == Echo::Other && !plan.has_known_keys {
                // Feast takes an entity's own name for its join key too, and answers with what stands under either.
                found = (0..plan.columns.len()).filter_map(compare).min().unwrap_or(found);
            }
            *is_others |= match found {
                Echo::Same => false,
                Echo::Other => true,
                Echo::Similar => {
                    let places = is_at_its_place.get_or_insert_with(|| {
                        let rows = spec.rows.iter().enumerate();
                        rows.filter_map(|(row, &asked_row)| Some((asked(asked_row)?, echo(row)?.text)))
                            .map(|(asked, echoed)| (asked, asked == echoed))
                            .collect()
                    });
                    places.get(raw.text) == Some(&false)
                }
            };
        }
    }
    let rows = spec.rows.iter().zip(are_others);
    rows.filter(|(_, is_others)| *is_others).map(|(&row, _)| row).collect()
}

/// Reads the value at `span` for as long as `read` takes.
#[inline(never)]
fn with_value<T>(span: Span, body: &[u8], read: impl FnOnce(EntityValue<'_>) -> T) -> T {
    let mut key = Vec::new();
    span.encode(body, &mut key, &mut String::new());
    read(EntityValue::decode(&mut key.as_slice()).unwrap_or(EntityValue::Null))
}

/// Whether no value of these rows is known: none has a status other than `INVALID`.
#[must_use]
pub fn is_nothing_known(rows: &[(usize, Row)]) -> bool {
    let mut cells = rows.iter().flat_map(|(_, row)| row.schema().feature_slots().filter_map(|slot| row.cell(slot)));
    cells.all(|cell| cell.status == Status::Invalid)
}

/// The rows that `table` has for the places of `spec`.
pub fn rows(
    table: &Table<'_>,
    plan: &Plan,
    ask: &RowQuery,
    spec: &FetchSpec,
    interner: &mut Interner,
    now: Timestamp,
) -> Vec<(usize, Row)> {
    let mut rows = Vec::with_capacity(spec.indices.len());
    let features = feature_columns(table, plan);
    for (view, columns) in &spec.views {
        let Some(shape) = Shape::new(table, plan, ask, *view, columns, &features, interner) else { continue };
        for &place in spec.indices.iter().filter(|&&place| place.checked_div(ask.rows) == Some(*view)) {
            let request_row = place.checked_rem(ask.rows).unwrap_or_default();
            let Some((row, (_, key, _))) = spec.rows.binary_search(&request_row).ok().zip(ask.lookup(place)) else {
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
        ask: &RowQuery,
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
            .filter(|&column| !plan.has_known_keys || table.names.get(column).is_some_and(|name| keys_view(name)))
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

    fn row(&self, table: &Table<'_>, row: usize, key: &[u8], now: Timestamp) -> Row {
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
