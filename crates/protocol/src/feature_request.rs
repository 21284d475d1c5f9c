//! The fields of a feature request: the spans of its features, entity columns and their values in the body.
//!
//! Nothing is copied or decoded, and the vectors are reused between requests, so parsing allocates nothing. Knows neither views
//! nor keys. Invariant: spans are of the body that was read last.

use std::rc::Rc;

use crate::feature_list_cache::{FeatureList, FeatureListCache};
use config::Limits;
use json::{Cursor, JsonString, Kind, RawJson};
use model::key::{EntityValue, write_number};
use model::request_error::RequestError;

/// A piece of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
    kind: Kind,
}

impl Span {
    /// The span of `raw`, which the cursor has just read.
    #[must_use]
    pub fn just_read(cursor: &Cursor<'_>, raw: &RawJson<'_>) -> Span {
        let end = cursor.offset();
        Span { start: end.saturating_sub(raw.text.len()) as u32, end: end as u32, kind: raw.kind }
    }

    /// The span of `raw` in its own text.
    #[must_use]
    pub fn whole(raw: &RawJson<'_>) -> Span {
        Span { start: 0, end: raw.text.len() as u32, kind: raw.kind }
    }

    /// The kind of the JSON value.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// The span's bytes in `body`.
    #[inline]
    #[must_use]
    pub fn bytes(self, body: &[u8]) -> &[u8] {
        body.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The span's text in `body`.
    #[inline]
    #[must_use]
    pub fn text(self, body: &[u8]) -> &str {
        // The cursor has checked that the body is UTF-8, and a value begins and ends with ASCII.
        core::str::from_utf8(self.bytes(body)).unwrap_or_default()
    }

    /// The string in the span, its escapes resolved into `scratch`; empty where it is no string.
    #[must_use]
    pub fn string<'a>(self, body: &'a [u8], scratch: &'a mut String) -> &'a str {
        let inner = self.text(body).strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
        if inner.as_bytes().contains(&b'\\') {
            match Cursor::new(self.bytes(body), 1).and_then(|mut cursor| cursor.string()) {
                Ok(text) => text.decode(scratch),
                Err(_) => "",
            }
        } else {
            inner
        }
    }

    /// Appends the value to an entity key.
    #[inline]
    pub fn encode(self, body: &[u8], key: &mut Vec<u8>, scratch: &mut String) {
        match self.kind {
            Kind::Number => {
                let text = self.bytes(body);
                write_number(key, text, body.get(self.start as usize..).unwrap_or_default());
            }
            Kind::String => EntityValue::Text(self.string(body, scratch)).encode(key),
            Kind::True => EntityValue::Boolean(true).encode(key),
            Kind::False => EntityValue::Boolean(false).encode(key),
            Kind::Null => EntityValue::Null.encode(key),
            Kind::Array | Kind::Object => EntityValue::Json(self.text(body)).encode(key),
        }
    }
}

/// A column of the entities: a join key, or request data of on-demand views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the body, with quotes; `None` where the configuration names it.
    pub name: Option<Span>,
    /// The index of its first value in [`FeatureRequest::values`].
    pub first: u32,
}

/// The fields of a feature request of either protocol.
#[derive(Debug, Default)]
pub struct FeatureRequest {
    /// The array of feature references, where there is one.
    pub features: Option<Span>,
    /// How many references the array has.
    pub feature_count: usize,
    /// The array, where it is cached.
    pub list: Option<Rc<FeatureList>>,
    /// The name of a feature service, where there is one.
    pub service: Option<Span>,
    /// The entity columns, in the body's order.
    pub columns: Vec<Column>,
    /// The values of all columns, column by column.
    pub values: Vec<Span>,
    /// How many values each column has.
    pub rows: usize,
    /// Whether feature names are returned with their view.
    pub full_feature_names: bool,
    /// Whether the body has something that only the origin understands.
    pub needs_passthrough: bool,
    /// The configured name, as a JSON string, of a column that the body does not name.
    pub implied_name: Vec<u8>,
    list_cache: FeatureListCache,
}

impl FeatureRequest {
    /// Clears the request and keeps the memory.
    pub fn clear(&mut self) {
        self.features = None;
        self.feature_count = 0;
        self.list = None;
        self.service = None;
        self.columns.clear();
        self.values.clear();
        self.rows = 0;
        self.full_feature_names = false;
        self.needs_passthrough = false;
    }

    /// Its memory without the cache of feature lists, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<FeatureRequest>()
            + size_of::<Column>() * self.columns.capacity()
            + size_of::<Span>() * self.values.capacity()
            + self.implied_name.capacity()
    }

    /// The memory of the cached feature lists, in bytes.
    #[must_use]
    pub fn list_cache_size(&self) -> usize {
        self.list_cache.size()
    }

    /// Frees memory past `max_bytes`, which few requests need.
    pub fn trim(&mut self, max_bytes: usize) {
        if self.size() > max_bytes {
            self.clear();
            self.columns.shrink_to(0);
            self.values.shrink_to(0);
        }
    }

    /// An empty request for the next body, which takes over the cache of feature lists.
    #[must_use]
    pub fn take_for_next(&mut self) -> FeatureRequest {
        FeatureRequest { list_cache: core::mem::take(&mut self.list_cache), ..FeatureRequest::default() }
    }

    /// Takes over the cache of feature lists of `other`.
    pub fn adopt_cache(&mut self, other: &mut FeatureRequest) {
        self.list_cache = core::mem::take(&mut other.list_cache);
    }

    /// The name of a column as a JSON string.
    #[inline]
    #[must_use]
    pub fn name<'a>(&'a self, column: &Column, body: &'a [u8]) -> &'a [u8] {
        column.name.map_or(&self.implied_name, |name| name.bytes(body))
    }

    /// The name of a column, escapes resolved.
    #[must_use]
    pub fn plain_name(&self, column: &Column, body: &[u8]) -> Box<str> {
        let text = self.name(column, body);
        let whole = Span { start: 0, end: text.len() as u32, kind: Kind::String };
        whole.string(text, &mut String::new()).into()
    }

    /// Whether two columns have one name, however it is escaped.
    fn is_same_name(&self, one: &Column, other: &Column, body: &[u8]) -> bool {
        let (first, second) = (self.name(one, body), self.name(other, body));
        let is_escaped = first.contains(&b'\\') || second.contains(&b'\\');
        first == second || is_escaped && self.plain_name(one, body) == self.plain_name(other, body)
    }

    /// The value of column number `column` in row `row`.
    #[inline]
    #[must_use]
    pub fn value(&self, column: usize, row: usize) -> Option<Span> {
        self.values.get(self.columns.get(column)?.first as usize + row).copied()
    }

    /// Reads the object of entity columns at the cursor.
    ///
    /// # Errors
    /// Where it is no object of arrays, where the arrays differ in length, or where a limit is exceeded.
    pub fn read_entities(&mut self, cursor: &mut Cursor<'_>, body: &[u8], limits: &Limits) -> Result<(), RequestError> {
        if cursor.peek()? != Kind::Object {
            return Err(RequestError::field(&["body", "entities"], "dict_type", "Input should be a valid dictionary"));
        }
        cursor.enter_object()?;
        while let Some(name) = cursor.next_key()? {
            let name = name_span(cursor, body, &name);
            self.read_column(cursor, body, Some(name), limits)?;
        }
        Ok(())
    }

    /// Reads the array of values at the cursor as the column `name`.
    ///
    /// # Errors
    /// As [`FeatureRequest::read_entities`].
    pub fn read_column(
        &mut self,
        cursor: &mut Cursor<'_>,
        body: &[u8],
        name: Option<Span>,
        limits: &Limits,
    ) -> Result<(), RequestError> {
        let column = Column { name, first: self.values.len() as u32 };
        let refuse = |fields: &FeatureRequest, kind, message: &str| {
            let name = fields.plain_name(&Column { name, first: 0 }, body);
            Err(RequestError::field(&["body", "entities", &name], kind, message))
        };
        if self.columns.iter().any(|known| self.is_same_name(known, &column, body)) {
            return refuse(self, "duplicate_key", "the column is repeated");
        }
        if cursor.peek()? != Kind::Array {
            return refuse(self, "list_type", "Input should be a valid list");
        }
        cursor.enter_array()?;
        let first = self.values.len();
        while cursor.next_element()? {
            let raw = cursor.value()?;
            let span = Span::just_read(cursor, &raw);
            self.values.push(span);
            let rows = self.values.len() - first;
            if rows > limits.entities {
                return Err(RequestError::LimitExceeded { limit: "entities", allowed: limits.entities, found: rows });
            }
        }
        let rows = self.values.len() - first;
        if self.columns.is_empty() {
            self.rows = rows;
        } else if rows != self.rows {
            let message =
                format!("all entity columns must have the same length: {rows} values here, {} before", self.rows);
            return refuse(self, "ragged_columns", &message);
        }
        self.columns.push(column);
        if self.columns.len() > limits.features {
            return Err(RequestError::LimitExceeded {
                limit: "features",
                allowed: limits.features,
                found: self.columns.len(),
            });
        }
        Ok(())
    }

    /// Reads the array of feature references at the cursor.
    ///
    /// # Errors
    /// Where it is no array of strings, or too long.
    pub fn read_features(
        &mut self,
        cursor: &mut Cursor<'_>,
        body: &[u8],
        field: &str,
        limits: &Limits,
    ) -> Result<(), RequestError> {
        if cursor.peek()? != Kind::Array {
            return Err(RequestError::field(&["body", field], "list_type", "Input should be a valid list"));
        }
        let start = cursor.offset();
        if let Some(list) = self.list_cache.at_start_of(body.get(start..).unwrap_or_default()) {
            cursor.pass_known(&list.text);
            (self.list, self.feature_count) = (Some(Rc::clone(list)), list.count);
            self.features = Some(Span { start: start as u32, end: cursor.offset() as u32, kind: Kind::Array });
            return Ok(());
        }
        cursor.enter_array()?;
        let mut count = 0_usize;
        while cursor.next_element()? {
            if cursor.peek()? != Kind::String {
                let index = count.to_string();
                return Err(RequestError::field(
                    &["body", field, &index],
                    "string_type",
                    "Input should be a valid string",
                ));
            }
            cursor.string()?;
            count += 1;
            if count > limits.features {
                return Err(RequestError::LimitExceeded { limit: "features", allowed: limits.features, found: count });
            }
        }
        let span = Span { start: start as u32, end: cursor.offset() as u32, kind: Kind::Array };
        self.list = self.list_cache.remember(span.bytes(body), count);
        self.features = Some(span);
        self.feature_count = count;
        Ok(())
    }

    /// Checks the limit of rows × features, once the whole body is read.
    ///
    /// # Errors
    /// Where it is exceeded.
    pub fn check_cells(&self, limits: &Limits) -> Result<(), RequestError> {
        let cells = self.rows.saturating_mul(self.feature_count.max(1));
        if cells > limits.cells {
            return Err(RequestError::LimitExceeded { limit: "cells", allowed: limits.cells, found: cells });
        }
        Ok(())
    }
}

/// The span of a key that the cursor has read, colon included.
fn name_span(cursor: &Cursor<'_>, body: &[u8], name: &JsonString<'_>) -> Span {
    // The key's text is a slice of the body, so the distance from the body's start is its offset.
    let start = (name.raw().as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    let end = start + name.raw().len();
    debug_assert!(end <= cursor.offset());
    Span { start: start.saturating_sub(1) as u32, end: end as u32 + 1, kind: Kind::String }
}

/// Visits each string of the array in `span`, escapes resolved.
pub fn for_each_string(span: Span, body: &[u8], mut visit: impl FnMut(&str)) {
    let mut scratch = String::new();
    let Ok(mut cursor) = Cursor::new(span.bytes(body), 2) else { return };
    if cursor.enter_array().is_err() {
        return;
    }
    while let Ok(true) = cursor.next_element() {
        let Ok(text) = cursor.string() else { return };
        visit(text.decode(&mut scratch));
    }
}
