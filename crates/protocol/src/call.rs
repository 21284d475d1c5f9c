//! A request's body, read once: where its features, its entity columns and their values stand in the bytes.
//!
//! Nothing is copied or decoded here, and the vectors are kept between requests, so that reading allocates nothing.

use std::rc::Rc;

use crate::feature_list_cache::{FeatureList, FeatureListCache};
use config::Limits;
use json::{Cursor, Kind, Raw, Text};
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
    /// The span of `raw`, which the cursor has just passed.
    #[must_use]
    pub fn behind(cursor: &Cursor<'_>, raw: &Raw<'_>) -> Span {
        let end = cursor.offset();
        Span { start: end.saturating_sub(raw.text.len()) as u32, end: end as u32, kind: raw.kind }
    }

    /// The span of `raw` in its own text.
    #[must_use]
    pub fn whole(raw: &Raw<'_>) -> Span {
        Span { start: 0, end: raw.text.len() as u32, kind: raw.kind }
    }

    /// What kind of JSON value stands there.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// The bytes of `body` there, as they were written.
    #[inline]
    #[must_use]
    pub fn bytes(self, body: &[u8]) -> &[u8] {
        body.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The text of `body` there, as it was written.
    #[inline]
    #[must_use]
    pub fn text(self, body: &[u8]) -> &str {
        // The cursor has found the body to be UTF-8, and a value begins and ends at ASCII.
        core::str::from_utf8(self.bytes(body)).unwrap_or_default()
    }

    /// The string that stands there, its escapes resolved into `scratch`; empty where there is none.
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
    /// Its name, as it stands in the body, with quotes; `None` where the configuration names it.
    pub name: Option<Span>,
    /// The position of its first value among the call's values.
    pub first: u32,
}

/// A request for features, as both protocols have it.
#[derive(Debug, Default)]
pub struct Call {
    /// The array of feature references, where there is one.
    pub features: Option<Span>,
    /// How many references the array holds.
    pub feature_count: usize,
    /// The array's text, where it is remembered.
    pub list: Option<Rc<FeatureList>>,
    /// The name of a feature service, where there is one.
    pub service: Option<Span>,
    /// The entity columns, in the body's order.
    pub columns: Vec<Column>,
    /// The values of all columns, column by column.
    pub values: Vec<Span>,
    /// How many values each column has.
    pub rows: usize,
    /// Whether feature names come back with their view.
    pub full_feature_names: bool,
    /// Whether something stands in the body that only the origin may judge.
    pub needs_passthrough: bool,
    /// The name, as a JSON string, of the column that the body does not name.
    pub implied_name: Vec<u8>,
    lists: FeatureListCache,
}

impl Call {
    /// Forgets the request and keeps the memory.
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

    /// The memory that it takes beside the lists, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Call>()
            + size_of::<Column>() * self.columns.capacity()
            + size_of::<Span>() * self.values.capacity()
            + self.implied_name.capacity()
    }

    /// The memory that the remembered lists take, in bytes.
    #[must_use]
    pub fn lists_size(&self) -> usize {
        self.lists.size()
    }

    /// Lets go of memory that few requests need, more than so many bytes.
    pub fn trim(&mut self, max_bytes: usize) {
        if self.size() > max_bytes {
            self.clear();
            self.columns.shrink_to(0);
            self.values.shrink_to(0);
        }
    }

    /// A call for the next request, which takes over what this one remembers of earlier ones.
    #[must_use]
    pub fn successor(&mut self) -> Call {
        Call { lists: core::mem::take(&mut self.lists), ..Call::default() }
    }

    /// Takes over what `other` remembers of earlier requests.
    pub fn succeed(&mut self, other: &mut Call) {
        self.lists = core::mem::take(&mut other.lists);
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
    /// Where it is no object of arrays, where the arrays differ in length, or where a limit is passed.
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
    /// As [`Call::read_entities`].
    pub fn read_column(
        &mut self,
        cursor: &mut Cursor<'_>,
        body: &[u8],
        name: Option<Span>,
        limits: &Limits,
    ) -> Result<(), RequestError> {
        let column = Column { name, first: self.values.len() as u32 };
        let refuse = |call: &Call, kind, message: &str| {
            let name = call.plain_name(&Column { name, first: 0 }, body);
            Err(RequestError::field(&["body", "entities", &name], kind, message))
        };
        if self.columns.iter().any(|known| self.is_same_name(known, &column, body)) {
            return refuse(self, "duplicate_key", "a column may stand in the entities once");
        }
        if cursor.peek()? != Kind::Array {
            return refuse(self, "list_type", "Input should be a valid list");
        }
        cursor.enter_array()?;
        let first = self.values.len();
        while cursor.next_element()? {
            let raw = cursor.value()?;
            let span = Span::behind(cursor, &raw);
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
        if let Some(list) = self.lists.at_start_of(body.get(start..).unwrap_or_default()) {
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
        self.list = self.lists.remember(span.bytes(body), count);
        self.features = Some(span);
        self.feature_count = count;
        Ok(())
    }

    /// Checks what only the whole body can tell.
    ///
    /// # Errors
    /// Where rows times features pass the limit.
    pub fn check_cells(&self, limits: &Limits) -> Result<(), RequestError> {
        let cells = self.rows.saturating_mul(self.feature_count.max(1));
        if cells > limits.cells {
            return Err(RequestError::LimitExceeded { limit: "cells", allowed: limits.cells, found: cells });
        }
        Ok(())
    }
}

/// The span of a key that the cursor has passed, colon included.
fn name_span(cursor: &Cursor<'_>, body: &[u8], name: &Text<'_>) -> Span {
    // The key's text is a part of the body, so its distance from the body's start is its place.
    let start = (name.raw().as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    let end = start + name.raw().len();
    debug_assert!(end <= cursor.offset());
    Span { start: start.saturating_sub(1) as u32, end: end as u32 + 1, kind: Kind::String }
}

/// Each string of the array that `span` is, escapes resolved.
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
