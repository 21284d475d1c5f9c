//! The rows that a write to the origin changes: `POST /push`, `/write-to-online-store`, `/materialize` and
//! `/materialize-incremental` of Feast's protocol; and the body of `POST /v1/invalidate`.
//!
//! The write itself is passed through unchanged. Here only its view or push source and its rows are read. Invariant: a write that
//! cannot be understood counts as one to everything.

use json::{Cursor, JsonError, Kind, RawJson};
use model::canonical_key_hash::canonical_key_hash;
use model::key::EntityValue;
use model::request_error::RequestError;
use protocol::feature_request::Span;

/// What rows are written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteTarget {
    /// Feature views.
    Views(Vec<String>),
    /// A push source, which feeds views.
    PushSource(String),
}

/// A write.
#[derive(Clone, Debug)]
pub struct Write<'a> {
    /// What it writes to.
    pub target: WriteTarget,
    /// The columns of its rows by name, an array each; none where the rows are unknown.
    columns: Columns<'a>,
}

/// The field that names the target, and the target's kind.
type NamedTarget = (&'static str, fn(String) -> WriteTarget);

/// The deepest nesting of a data frame's columns.
const MAX_DEPTH: u16 = 64;

/// Reads the body of a write to `path`; `None` where it is no write, or not understood.
#[must_use]
pub fn read<'a>(path: &str, body: &'a [u8]) -> Option<Write<'a>> {
    let named: NamedTarget = match path {
        "/push" => ("push_source_name", WriteTarget::PushSource),
        "/write-to-online-store" => ("feature_view_name", |view| WriteTarget::Views(vec![view])),
        "/materialize" | "/materialize-incremental" => return read_materialization(body).ok()?,
        _ => return None,
    };
    let (target, columns) = read_fields(named.0, "df", body, MAX_DEPTH, &mut skip).ok()?;
    Some(Write { target: named.1(target?), columns: columns? })
}

/// Reads a materialization; `None` where it names no views, and is of all.
fn read_materialization(body: &[u8]) -> Result<Option<Write<'_>>, JsonError> {
    let mut cursor = Cursor::new(body, MAX_DEPTH)?;
    let mut views = Vec::new();
    let mut scratch = String::new();
    cursor.enter_object()?;
    while let Some(key) = cursor.next_key()? {
        if key.decode(&mut scratch) != "feature_views" {
            cursor.value()?;
            continue;
        }
        views.clear();
        if cursor.peek()? == Kind::Null {
            cursor.null()?;
            continue;
        }
        cursor.enter_array()?;
        while cursor.next_element()? {
            views.push(cursor.string()?.decode(&mut String::new()).to_owned());
        }
    }
    cursor.finish()?;
    Ok((!views.is_empty()).then(|| Write { target: WriteTarget::Views(views), columns: Vec::new() }))
}

/// The body of `POST /v1/invalidate`.
#[derive(Clone, Debug)]
pub enum Invalidation<'a> {
    /// All that is cached.
    Everything,
    /// All rows of a view.
    View(String),
    /// The rows of a view with these keys.
    Entities(String, Columns<'a>),
}

/// Reads an invalidation: `{"everything": true}`, or `{"view": …}`, with or without `{"entities": {column: [values]}}`. It nests at
/// most `max_depth` deep.
///
/// # Errors
/// Where the body is no such request.
pub fn read_invalidation(body: &[u8], max_depth: u16) -> Result<Invalidation<'_>, RequestError> {
    let mut is_everything = false;
    let mut unknown = None;
    let (view, columns) = read_fields("view", "entities", body, max_depth, &mut |cursor, field| {
        match field {
            "everything" => is_everything = cursor.boolean()?,
            _ => {
                unknown = Some(field.to_owned());
                skip(cursor, field)?;
            }
        }
        Ok(())
    })?;
    match (unknown, is_everything, view, columns) {
        (Some(field), ..) => Err(RequestError::field(&["body", &field], "extra_forbidden", "unknown field")),
        (None, true, None, None) => Ok(Invalidation::Everything),
        (None, false, Some(view), None) => Ok(Invalidation::View(view)),
        (None, false, Some(view), Some(columns)) => Ok(Invalidation::Entities(view, columns)),
        _ => Err(RequestError::field(&["body", "view"], "missing", "either `view` or `everything` is needed")),
    }
}

/// Columns by name, an array each.
pub type Columns<'a> = Vec<(String, RawJson<'a>)>;

/// Visits a field that is neither of the two.
type Visit<'v> = dyn FnMut(&mut Cursor<'_>, &str) -> Result<(), JsonError> + 'v;

fn skip(cursor: &mut Cursor<'_>, _field: &str) -> Result<(), JsonError> {
    cursor.value().map(|_| ())
}

fn read_fields<'a>(
    name_field: &str,
    columns_field: &str,
    body: &'a [u8],
    max_depth: u16,
    visit: &mut Visit<'_>,
) -> Result<(Option<String>, Option<Columns<'a>>), JsonError> {
    let mut cursor = Cursor::new(body, max_depth)?;
    let (mut name, mut columns) = (None, None);
    let mut scratch = String::new();
    cursor.enter_object()?;
    while let Some(key) = cursor.next_key()? {
        // Of a repeated field the last counts, as in Python.
        match key.decode(&mut scratch) {
            field if field == name_field => name = Some(cursor.string()?.decode(&mut String::new()).to_owned()),
            field if field == columns_field => {
                let mut found = Vec::new();
                cursor.enter_object()?;
                while let Some(column) = cursor.next_key()? {
                    let column = column.decode(&mut String::new()).to_owned();
                    found.push((column, cursor.value()?));
                }
                columns = Some(found);
            }
            field => visit(&mut cursor, field)?,
        }
    }
    cursor.finish()?;
    Ok((name, columns))
}

impl Write<'_> {
    /// The [`canonical_key_hash`]es of the written rows' keys, for a view with these key columns; `None` where they are unknown, and any
    /// row of the view may be written.
    #[must_use]
    pub fn rows(&self, key_columns: &[String]) -> Option<Vec<u64>> {
        rows(&self.columns, key_columns)
    }
}

/// The [`canonical_key_hash`]es of the keys in `columns`, for a view with these key columns; `None` where they are unknown.
#[must_use]
pub fn rows(columns: &Columns<'_>, key_columns: &[String]) -> Option<Vec<u64>> {
    keys(columns, key_columns)?.iter().map(|key| canonical_key_hash(key)).collect()
}

/// Whether `columns` have a value for each key column in each row, and none is `null`, an array or an object.
#[must_use]
pub fn has_keys(columns: &Columns<'_>, key_columns: &[String]) -> bool {
    fn is_key(mut key: &[u8]) -> bool {
        let mut values = core::iter::from_fn(|| EntityValue::decode(&mut key));
        values.all(|value| !matches!(value, EntityValue::Null | EntityValue::Json(_)))
    }
    keys(columns, key_columns).is_some_and(|keys| keys.iter().all(|key| is_key(key)))
}

/// The keys in `columns`, as [`EntityValue::encode`] writes them; `None` where one is missing in a row.
fn keys(columns: &Columns<'_>, key_columns: &[String]) -> Option<Vec<Vec<u8>>> {
    // A key's values are in the order of their columns' names, each once.
    let mut names = model::sort::sorted(key_columns.iter());
    names.dedup();
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for (number, name) in names.into_iter().enumerate() {
        let (_, column) = columns.iter().rfind(|(column, _)| column == name)?;
        let length = append(column.text, number == 0, &mut keys)?;
        if length != keys.len() {
            return None;
        }
    }
    Some(keys)
}

/// Appends a column's values to the keys of their rows, which the first column creates; returns how many there are.
fn append(column: &str, is_first: bool, keys: &mut Vec<Vec<u8>>) -> Option<usize> {
    let mut cursor = Cursor::new(column.as_bytes(), MAX_DEPTH).ok()?;
    let mut scratch = String::new();
    let mut length = 0;
    cursor.enter_array().ok()?;
    while cursor.next_element().ok()? {
        if is_first {
            keys.push(Vec::new());
        }
        let value = cursor.value().ok()?;
        Span::whole(&value).encode(value.text.as_bytes(), keys.get_mut(length)?, &mut scratch);
        length += 1;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[EntityValue<'_>]) -> u64 {
        let mut key = Vec::new();
        values.iter().for_each(|value| value.encode(&mut key));
        canonical_key_hash(&key).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_push_names_its_source_and_its_rows() {
        let body = br#"{"to":"online","df":{"driver_id":[1001,"1002"],"city":["x","y"],"rate":[{},[1]]},"push_source_name":"p"}"#;
        let write = read("/push", body).unwrap();
        assert_eq!(write.target, WriteTarget::PushSource("p".to_owned()));
        let text = EntityValue::Text;
        assert_eq!(write.rows(&names(&["driver_id"])).unwrap(), [key(&[text("1001")]), key(&[text("1002")])]);
        let both = [key(&[text("x"), text("1001")]), key(&[text("y"), text("1002")])];
        assert_eq!(write.rows(&names(&["driver_id", "city"])).unwrap(), both);
        assert_eq!(write.rows(&names(&["customer_id"])), None);
    }

    #[test]
    fn a_materialization_names_views_and_no_rows() {
        let body = br#"{"end_ts":"2026-11-30T00:00:00","feature_views":["a","b"]}"#;
        for path in ["/materialize", "/materialize-incremental"] {
            let write = read(path, body).unwrap();
            assert_eq!(write.target, WriteTarget::Views(names(&["a", "b"])));
            assert_eq!(write.rows(&names(&["driver_id"])), None);
            for all in
                ["{}", r#"{"feature_views":[]}"#, r#"{"feature_views":null}"#, r#"{"feature_views":"a"}"#, "", "["]
            {
                assert!(read(path, all.as_bytes()).is_none(), "{all}");
            }
        }
    }

    #[test]
    fn a_write_that_is_not_understood_names_no_rows() {
        for body in
            ["", "[]", "{", r#"{"df":{"a":[1]}}"#, r#"{"push_source_name":"p"}"#, r#"{"push_source_name":"p","df":[]}"#]
        {
            assert!(read("/push", body.as_bytes()).is_none(), "{body}");
        }
        for column in ["1", "[null]", "[[1]]", r#"["2026-11-23T00:00:00"]"#, "[1] "] {
            let body = format!(r#"{{"push_source_name":"p","df":{{"id":{column},"other":[1,2]}}}}"#);
            let write = read("/push", body.as_bytes()).unwrap();
            let is_told = column == "[1] ";
            assert_eq!(write.rows(&names(&["id"])).is_some(), is_told, "{column}");
            assert_eq!(write.rows(&names(&["id", "other"])), None, "ragged");
        }
        assert!(read("/materialize", br#"{"push_source_name":"p","df":{}}"#).is_none());
    }
}
