//! Origin calls: writes the request for missing rows, and reads the response into rows.
//!
//! Knows Feast's format, and neither HTTP nor tiers. A response is as untrusted as a client's request: columns are found by name, and
//! every length is checked against the request. What a response omits, or what cannot be read, is unknown: that costs the
//! value, time or row concerned, and no other. Invariant: a row is only taken from a response that echoes an equivalent key.

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

use crate::echoed_key::{self, KeyMatch};

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
    // The names are requested in the caller's style: on-demand views in Python mode have no columns under full names. Short names that
    // would collide are passed through before.
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

/// A response of the origin, column by column.
#[derive(Debug, Default)]
pub struct OriginResponse<'a> {
    names: Vec<String>,
    rows: usize,
    /// `names × rows` of each, column by column.
    values: Vec<RawJson<'a>>,
    /// `None` where the response omits it.
    statuses: Vec<Option<Status>>,
    times: Vec<Option<EventTime>>,
    /// The first status and the first event time that cannot be read.
    unknown_status: Option<&'a str>,
    unknown_time: Option<&'a str>,
}

/// The most columns of a response beyond the requested ones: join keys that the request named by entity.
const SPARE_COLUMNS: usize = 16;

impl<'a> OriginResponse<'a> {
    /// Reads the response to a request for `rows` rows and at most `columns` columns.
    ///
    /// # Errors
    /// What does not fit.
    pub fn read(body: &'a [u8], rows: usize, columns: usize, max_depth: u16) -> Result<OriginResponse<'a>, String> {
        let mut response = OriginResponse { rows, ..OriginResponse::default() };
        let mut cursor = Cursor::new(body, max_depth).map_err(|error| error.to_string())?;
        response.read_body(&mut cursor, columns + SPARE_COLUMNS)?;
        cursor.finish().map_err(|error| error.to_string())?;
        if response.names.len().checked_mul(rows) != Some(response.values.len()) {
            return Err(format!(
                "{} feature names and {} values for {rows} rows",
                response.names.len(),
                response.values.len()
            ));
        }
        Ok(response)
    }

    fn read_body(&mut self, cursor: &mut Cursor<'a>, max_columns: usize) -> Result<(), String> {
        let text = |error: JsonError| error.to_string();
        if cursor.peek().map_err(text)? != Kind::Object {
            return Err("the response is no object".to_owned());
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
        // Protobuf's JSON format omits empty fields.
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
        // Origins may omit statuses and times: Feast's Go server does unless statuses are requested.
        self.statuses.resize(last, None);
        self.times.resize(last, None);
        // A value with an unknown status is invalid.
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

    /// Reads the statuses of a column that ends at `last`, and returns the indices of unknown ones. These are all, where there are not
    /// exactly as many as rows.
    fn read_statuses(&mut self, cursor: &mut Cursor<'a>, last: usize) -> Result<Vec<usize>, String> {
        let text = |error: JsonError| error.to_string();
        let first = self.statuses.len();
        let (mut at, mut scratch, mut unknown) = (first, String::new(), Vec::new());
        cursor.enter_array().map_err(text)?;
        while cursor.next_element().map_err(text)? {
            let raw = cursor.value().map_err(text)?;
            let status = match raw.kind {
                Kind::Null => None,
                // Protobuf's JSON format may have numbers of an enumeration.
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

    /// Reads the event times of a column that ends at `last`; all are unknown where there are not exactly as many as rows.
    fn read_times(&mut self, cursor: &mut Cursor<'a>, last: usize) -> Result<(), String> {
        let text = |error: JsonError| error.to_string();
        let first = self.times.len();
        let (mut at, mut scratch) = (first, String::new());
        cursor.enter_array().map_err(text)?;
        // The rows of a view mostly share a few event times, so the last one is cached.
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

    /// Whether the response has no column, not even of keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The first status that cannot be read.
    #[must_use]
    pub fn unknown_status(&self) -> Option<&'a str> {
        self.unknown_status
    }

    /// The first event time that cannot be read.
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
        // Feast also reports a stored null as present.
        let status = status.unwrap_or(Status::Present);
        let event_time = event_time.unwrap_or(EventTime::ZERO);
        Some(Cell { status, is_negative: status == Status::NotFound, event_time, fetched_at: now.into() })
    }

    /// Whether the entity is unknown although its status is `PRESENT`, as with Feast's Redis store: all values are null, without an event
    /// time. An omitted status or time proves nothing.
    fn is_blank(&self, columns: &[usize], row: usize) -> bool {
        columns.iter().all(|column| {
            let at = column * self.rows + row;
            self.values.get(at).is_some_and(|value| value.kind == Kind::Null)
                && self.statuses.get(at) == Some(&Some(Status::Present))
                && self.times.get(at) == Some(&Some(EventTime::ZERO))
        })
    }
}

/// The text of an unknown value.
const NULL: RawJson<'static> = RawJson { text: "null", kind: Kind::Null };

/// A JSON string's text, its escapes resolved: some servers write a `+` as `\u002b`.
fn plain<'a>(raw: &RawJson<'a>, scratch: &'a mut String) -> &'a str {
    Span::whole(raw).string(raw.text.as_bytes(), scratch)
}

/// Whether the response has a column for each requested feature.
///
/// Feast omits those of on-demand views in Python mode under full names. Such a response is passed through.
#[must_use]
pub fn has_all_features(response: &OriginResponse<'_>, plan: &Plan, spec: &FetchSpec) -> bool {
    let features = feature_columns(response, plan);
    let is_requested = |output: &Output| {
        spec.views.iter().any(|(view, columns)| *view == output.view && columns.contains(&output.column))
    };
    plan.outputs.iter().zip(&features).all(|(output, found)| found.is_some() || !is_requested(output))
}

/// The request's rows, ascending, for which the response echoes another entity's key.
///
/// An origin may convert keys to the type of its join key. So rows are matched by position, and a key is another entity's if no
/// conversion of the requested key gives it.
#[must_use]
pub fn rows_of_other_entities(
    response: &OriginResponse<'_>,
    request: &ParsedRequest<'_>,
    plan: &Plan,
    spec: &FetchSpec,
) -> Vec<usize> {
    let (fields, body) = request.parts();
    let features = feature_columns(response, plan);
    let mut of_other_entity = vec![false; spec.rows.len()];
    for (column, name) in response.names.iter().enumerate().filter(|(column, _)| !features.contains(&Some(*column))) {
        let Some(key) = plan.columns.iter().position(|known| **known == **name) else { continue };
        let echo = |row: usize| response.values.get(column * response.rows + row);
        let requested = |request_row: usize| fields.value(key, request_row).map(|span| span.text(body));
        // Whether the row of each key is at its own position; computed where needed.
        let mut is_echoed_in_place: Option<hashbrown::HashMap<&str, bool, foldhash::fast::FixedState>> = None;
        for (row, (&request_row, is_of_other_entity)) in spec.rows.iter().zip(&mut of_other_entity).enumerate() {
            let Some(raw) = echo(row).filter(|raw| requested(request_row) != Some(raw.text)) else { continue };
            let compare = |column: usize| {
                let span = fields.value(column, request_row)?;
                Some(with_value(span, body, |requested| {
                    with_value(Span::whole(raw), raw.text.as_bytes(), |echoed| echoed_key::compare(requested, echoed))
                }))
            };
            let mut found = compare(key).unwrap_or(KeyMatch::Same);
            if found == KeyMatch::Other && !plan.has_known_keys {
                // Feast also accepts an entity's name for its join key, and answers with the values of either.
                found = (0..plan.columns.len()).filter_map(compare).min().unwrap_or(found);
            }
            *is_of_other_entity |= match found {
                KeyMatch::Same => false,
                KeyMatch::Other => true,
                KeyMatch::Similar => {
                    let in_place = is_echoed_in_place.get_or_insert_with(|| {
                        let rows = spec.rows.iter().enumerate();
                        rows.filter_map(|(row, &asked_row)| Some((requested(asked_row)?, echo(row)?.text)))
                            .map(|(requested, echoed)| (requested, requested == echoed))
                            .collect()
                    });
                    in_place.get(raw.text) == Some(&false)
                }
            };
        }
    }
    let rows = spec.rows.iter().zip(of_other_entity);
    rows.filter(|(_, is_of_other_entity)| *is_of_other_entity).map(|(&row, _)| row).collect()
}

/// Calls `read` with the value of `span`.
#[inline(never)]
fn with_value<T>(span: Span, body: &[u8], read: impl FnOnce(EntityValue<'_>) -> T) -> T {
    let mut key = Vec::new();
    span.encode(body, &mut key, &mut String::new());
    read(EntityValue::decode(&mut key.as_slice()).unwrap_or(EntityValue::Null))
}

/// Whether all values of these rows have the status `INVALID`.
#[must_use]
pub fn has_no_values(rows: &[(usize, Row)]) -> bool {
    let mut cells = rows.iter().flat_map(|(_, row)| row.schema().feature_slots().filter_map(|slot| row.cell(slot)));
    cells.all(|cell| cell.status == Status::Invalid)
}

/// The rows of `response` for the lookups of `spec`, each with its index.
pub fn rows(
    response: &OriginResponse<'_>,
    plan: &Plan,
    query: &RowQuery,
    spec: &FetchSpec,
    interner: &mut Interner,
    now: Timestamp,
) -> Vec<(usize, Row)> {
    let mut rows = Vec::with_capacity(spec.indices.len());
    let features = feature_columns(response, plan);
    for (view, columns) in &spec.views {
        let Some(assembler) = RowAssembler::new(response, plan, query, *view, columns, &features, interner) else {
            continue;
        };
        for &index in spec.indices.iter().filter(|&&index| index.checked_div(query.rows) == Some(*view)) {
            let request_row = index.checked_rem(query.rows).unwrap_or_default();
            let Some((row, (_, key, _))) = spec.rows.binary_search(&request_row).ok().zip(query.lookup(index)) else {
                continue;
            };
            rows.push((index, assembler.row(response, row, key, now)));
        }
    }
    rows
}

/// The name of a feature in the origin's response.
pub(crate) fn name_of(output: &Output, plan: &Plan) -> Option<String> {
    let (view, feature) = output.reference.split_once(':')?;
    Some(if plan.full_feature_names { [view, "__", feature].concat() } else { feature.to_owned() })
}

/// For each output of the plan, the response's column that has it.
fn feature_columns(response: &OriginResponse<'_>, plan: &Plan) -> Vec<Option<usize>> {
    let by_name: hashbrown::HashMap<&str, usize, foldhash::fast::FixedState> =
        response.names.iter().enumerate().rev().map(|(column, name)| (name.as_str(), column)).collect();
    let position = |name: &str| by_name.get(name).copied();
    plan.outputs.iter().map(|output| position(&name_of(output, plan)?)).collect()
}

/// Assembles the rows of one view from the columns of a response.
struct RowAssembler {
    schema: Rc<Schema>,
    join_keys: Vec<usize>,
    features: Vec<usize>,
}

impl RowAssembler {
    fn new(
        response: &OriginResponse<'_>,
        plan: &Plan,
        query: &RowQuery,
        view: usize,
        columns: &[usize],
        features: &[Option<usize>],
        interner: &mut Interner,
    ) -> Option<RowAssembler> {
        let view_query = query.views.get(view)?;
        let is_feature = |column: usize| match view_query.columns() {
            Columns::Named(_) => features.contains(&Some(column)),
            Columns::All => !is_join_key(response, plan, column),
        };
        let keys_view = |name: &str| {
            let keys = plan.key_columns.get(view).map(Vec::as_slice).unwrap_or_default();
            keys.iter().filter_map(|&key| plan.columns.get(key)).any(|key| **key == *name)
        };
        let join_keys: Vec<usize> = (0..response.names.len())
            .filter(|&column| !is_feature(column))
            .filter(|&column| !plan.has_known_keys || response.names.get(column).is_some_and(|name| keys_view(name)))
            .collect();
        let (names, features): (Vec<&str>, Vec<usize>) = match view_query.columns() {
            Columns::Named(names) => columns
                .iter()
                .filter_map(|&column| {
                    let output =
                        plan.outputs.iter().position(|output| output.view == view && output.column == column)?;
                    Some((&**names.get(column)?, (*features.get(output)?)?))
                })
                .unzip(),
            Columns::All => (0..response.names.len())
                .filter(|&column| is_feature(column))
                .filter_map(|column| Some((response.names.get(column)?.as_str(), column)))
                .unzip(),
        };
        let key_names =
            join_keys.iter().filter_map(|&column| response.names.get(column)).map(String::as_str).collect::<Vec<_>>();
        let schema = interner.schema(view_query.space(), &key_names, &names)?;
        Some(RowAssembler { schema, join_keys, features })
    }

    fn row(&self, response: &OriginResponse<'_>, row: usize, key: &[u8], now: Timestamp) -> Row {
        let mut builder = RowBuilder::new(Rc::clone(&self.schema), key);
        for &column in &self.join_keys {
            builder.push_join_key(response.text(column, row));
        }
        let is_blank = response.is_blank(&self.features, row);
        for &column in &self.features {
            if let Some(cell) = response.cell(column, row, now) {
                builder.push_feature(
                    response.text(column, row),
                    Cell { is_negative: cell.is_negative || is_blank, ..cell },
                );
            }
        }
        builder.finish()
    }
}

/// Whether a column of a feature service's response is a join key: it is among the request's columns.
///
/// A key that the request named by its entity is returned under another name, and counts as a member: it keeps its position.
fn is_join_key(response: &OriginResponse<'_>, plan: &Plan, column: usize) -> bool {
    response.names.get(column).is_some_and(|name| plan.columns.iter().any(|known| **known == **name))
}
