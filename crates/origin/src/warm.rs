//! The body of `POST /v1/warm`: rows to fetch, or to load with their values, before traffic arrives.
//!
//! One JSON object, or one on each line: entities and features as in `POST /v1/features`, to be fetched; or entities and the values of
//! their features, to be loaded. Consecutive lines with the same columns are one group, so that a line for each row costs no more than
//! a column for each feature. Knows neither views nor keys: a group becomes a request of the native API, and its values an
//! origin response in Feast's format, so both are checked like all others. Invariant: a body is read in full, or rejected.

use crate::origin;
use json::{Cursor, JsonError};
use model::request_error::RequestError;
use model::time::EventTime;
use protocol::plan::Plan;

/// Consecutive lines with the same columns.
#[derive(Debug, Default)]
pub struct WarmGroup<'a> {
    /// The entities' columns by name; none where they are `entity_ids`.
    columns: Columns<'a>,
    /// The array of features, as it was written, where they are fetched.
    features: &'a str,
    /// The name of a feature service, as it was written, instead of features.
    service: &'a str,
    /// The features' columns by name, where they are loaded.
    values: Columns<'a>,
    /// The event time of each row.
    times: Option<Vec<&'a str>>,
    /// How many rows there are.
    pub rows: usize,
}

/// Columns by name, each value as it was written.
type Columns<'a> = Vec<(Option<String>, Vec<&'a str>)>;

/// The deepest that a line nests: values may be lists and maps.
const MAX_DEPTH: u16 = 64;

/// Reads a body of `max_rows` rows at the most.
///
/// # Errors
/// The first line that is invalid; nothing of the body is applied then.
pub fn read(body: &[u8], max_rows: usize) -> Result<Vec<WarmGroup<'_>>, RequestError> {
    let mut groups: Vec<WarmGroup<'_>> = Vec::new();
    let mut rows = 0;
    let whole = line(body);
    let has_lines = whole.is_err() && body.contains(&b'\n');
    let lines = if has_lines { body.split(|&byte| byte == b'\n').collect() } else { vec![body] };
    let mut whole = Some(whole).filter(|_| !has_lines);
    for (number, text) in (1_usize..).zip(lines) {
        if has_lines && text.trim_ascii().is_empty() {
            continue;
        }
        let group = whole.take().unwrap_or_else(|| line(text)).map_err(|error| {
            let message = error.to_string();
            RequestError::field(&["body", &number.to_string()], "value_error", message)
        })?;
        rows += group.rows;
        if rows > max_rows {
            return Err(RequestError::LimitExceeded { limit: "warm_rows", allowed: max_rows, found: rows });
        }
        match groups.last_mut().filter(|last| last.has_same_columns(&group)) {
            Some(last) => last.append(group),
            None => groups.push(group),
        }
    }
    Ok(groups)
}

fn line(text: &[u8]) -> Result<WarmGroup<'_>, RequestError> {
    let mut group = WarmGroup::default();
    let mut cursor = Cursor::new(text, MAX_DEPTH)?;
    cursor.enter_object()?;
    let mut seen: Vec<String> = Vec::new();
    while let Some(key) = cursor.next_key()? {
        let field = key.decode(&mut String::new()).to_owned();
        if seen.contains(&field) {
            return Err(RequestError::field(&[&field], "duplicate_key", "the field is repeated"));
        }
        seen.push(field);
        match seen.last().map(String::as_str).unwrap_or_default() {
            "entity_ids" => {
                let ids = elements(&mut cursor)?;
                group.columns.push((None, ids));
            }
            "entities" => columns(&mut cursor, &mut group.columns)?,
            "feature_names" => group.features = cursor.value()?.text,
            "feature_service" => group.service = cursor.value()?.text,
            "values" => columns(&mut cursor, &mut group.values)?,
            "event_timestamps" => group.times = Some(elements(&mut cursor)?),
            field => return Err(RequestError::field(&[field], "extra_forbidden", "unknown field")),
        }
    }
    cursor.finish()?;
    if group.columns.len() > 1 && group.columns.iter().any(|(name, _)| name.is_none()) {
        let message = "the line has both `entity_ids` and `entities`";
        return Err(RequestError::field(&["entity_ids"], "value_error", message));
    }
    if let Some(time) = group.times.iter().flatten().find(|time| !is_time(time)) {
        return Err(RequestError::field(&["event_timestamps"], "datetime_parsing", format!("`{time}` is no time")));
    }
    group.rows = group.columns.first().map_or(0, |(_, values)| values.len());
    let given = [!group.features.is_empty(), !group.service.is_empty(), !group.values.is_empty()];
    if given.iter().filter(|is_there| **is_there).count() != 1 {
        let message = "one of `feature_names`, `feature_service` and `values` is needed";
        return Err(RequestError::field(&["values"], "missing", message));
    }
    let is_even = |(_, values): &(_, Vec<&str>)| values.len() == group.rows;
    let is_timed = group.times.as_ref().is_none_or(|times| times.len() == group.rows && !group.values.is_empty());
    if group.rows == 0 || !group.columns.iter().chain(&group.values).all(is_even) || !is_timed {
        let message = "all columns must be equally long, and have a row at least; event times belong to values";
        return Err(RequestError::field(&["entities"], "ragged_columns", message));
    }
    Ok(group)
}

/// Whether an event time can be read: an invalid one is an error, and never counts as unknown.
fn is_time(text: &str) -> bool {
    EventTime::parse(text.trim_matches('"')).is_some()
}

fn columns<'a>(cursor: &mut Cursor<'a>, columns: &mut Columns<'a>) -> Result<(), RequestError> {
    cursor.enter_object()?;
    while let Some(name) = cursor.next_key()? {
        let name = name.decode(&mut String::new()).to_owned();
        if columns.iter().any(|(known, _)| known.as_deref() == Some(name.as_str())) {
            return Err(RequestError::field(&[&name], "duplicate_key", "the column is repeated"));
        }
        columns.push((Some(name), elements(cursor)?));
    }
    Ok(())
}

fn elements<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<&'a str>, JsonError> {
    let mut elements = Vec::new();
    cursor.enter_array()?;
    while cursor.next_element()? {
        elements.push(cursor.value()?.text);
    }
    Ok(elements)
}

impl<'a> WarmGroup<'a> {
    fn has_same_columns(&self, other: &WarmGroup<'_>) -> bool {
        let have_same_names = |ours: &Columns<'_>, theirs: &Columns<'_>| {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|((ours, _), (theirs, _))| ours == theirs)
        };
        have_same_names(&self.columns, &other.columns)
            && have_same_names(&self.values, &other.values)
            && (self.features, self.service) == (other.features, other.service)
            && self.times.is_some() == other.times.is_some()
    }

    fn append(&mut self, other: WarmGroup<'a>) {
        let theirs = other.columns.into_iter().chain(other.values);
        for ((_, ours), (_, theirs)) in self.columns.iter_mut().chain(&mut self.values).zip(theirs) {
            ours.extend(theirs);
        }
        if let Some((ours, theirs)) = self.times.as_mut().zip(other.times) {
            ours.extend(theirs);
        }
        self.rows += other.rows;
    }

    /// Whether the rows are loaded with their values.
    #[must_use]
    pub fn has_values(&self) -> bool {
        !self.values.is_empty()
    }

    /// The field that names the entities.
    #[must_use]
    pub fn entities_field(&self) -> &'static str {
        if self.columns.iter().any(|(name, _)| name.is_none()) { "entity_ids" } else { "entities" }
    }

    /// The same as the body of `POST /v1/features`.
    #[must_use]
    pub fn request(&self) -> Vec<u8> {
        let mut out = b"{\"entities\":{".to_vec();
        for (number, (name, values)) in self.columns.iter().enumerate() {
            match name {
                None => {
                    out.clear();
                    out.extend_from_slice(b"{\"entity_ids\":");
                }
                Some(name) => {
                    if number > 0 {
                        out.push(b',');
                    }
                    json::write_string(&mut out, name);
                    out.push(b':');
                }
            }
            write_list(&mut out, &mut values.iter().copied(), false);
        }
        if self.columns.first().is_some_and(|(name, _)| name.is_some()) {
            out.push(b'}');
        }
        let (field, text) =
            if self.service.is_empty() { ("feature_names", self.features) } else { ("feature_service", self.service) };
        out.extend_from_slice([",\"", field, "\":", text].concat().as_bytes());
        if self.has_values() {
            write_list(&mut out, &mut self.values.iter().filter_map(|(name, _)| name.as_deref()), true);
        }
        out.push(b'}');
        out
    }

    /// The values as the origin's response to a request by `plan`, which must be the plan of [`WarmGroup::request`].
    #[must_use]
    pub fn origin_response(&self, plan: &Plan) -> Vec<u8> {
        let mut out = b"{\"results\":[".to_vec();
        for (number, (_, values)) in self.columns.iter().chain(&self.values).enumerate() {
            out.extend_from_slice(if number > 0 { b",{\"values\":" } else { b"{\"values\":" });
            write_list(&mut out, &mut values.iter().copied(), false);
            // A null in the body is a known null.
            let status = |value: &&str| if *value == "null" { "NULL_VALUE" } else { "PRESENT" };
            out.extend_from_slice(b",\"statuses\":");
            write_list(&mut out, &mut values.iter().map(status), true);
            if let Some(times) = self.times.as_ref().filter(|_| number >= self.columns.len()) {
                out.extend_from_slice(b",\"event_timestamps\":");
                write_list(&mut out, &mut times.iter().copied(), false);
            }
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"metadata\":{\"feature_names\":");
        let features: Vec<String> = plan.outputs.iter().filter_map(|output| origin::name_of(output, plan)).collect();
        let columns = plan.columns.iter().map(|name| &**name);
        write_list(&mut out, &mut columns.chain(features.iter().map(String::as_str)), true);
        out.extend_from_slice(b"}}");
        out
    }
}

/// Appends an array of JSON values as they are, or of texts as strings.
fn write_list(out: &mut Vec<u8>, values: &mut dyn Iterator<Item = &str>, are_strings: bool) {
    out.push(b'[');
    for (number, value) in values.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        if are_strings {
            json::write_string(out, value);
        } else {
            out.extend_from_slice(value.as_bytes());
        }
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(body: &str) -> Vec<String> {
        read(body.as_bytes(), 100).unwrap().iter().map(|group| String::from_utf8(group.request()).unwrap()).collect()
    }

    #[test]
    fn a_body_is_one_request_or_one_on_each_line() {
        let one = "{\n\"entity_ids\": [1,\n 2],\n\"feature_names\":[\"v:a\"]}\n";
        assert_eq!(requests(one), [r#"{"entity_ids":[1,2],"feature_names":["v:a"]}"#]);
        let lines = "{\"entities\":{\"id\":[\"é\"]},\"feature_service\":\"s\"}\n\n{\"entity_ids\":[1],\"feature_names\":[\"v:a\"]}\r\n";
        assert_eq!(
            requests(lines),
            [r#"{"entities":{"id":["é"]},"feature_service":"s"}"#, r#"{"entity_ids":[1],"feature_names":["v:a"]}"#]
        );
    }

    #[test]
    fn lines_with_the_same_columns_become_one_request() {
        let line = |id: u32, feature: &str| {
            format!(r#"{{"entities":{{"id":[{id}],"at":[0]}},"feature_names":["{feature}"]}}"#)
        };
        let body = [line(1, "v:a"), line(2, "v:a"), line(3, "v:b"), line(4, "v:a")].join("\n");
        let ids: Vec<usize> = read(body.as_bytes(), 100).unwrap().iter().map(|group| group.rows).collect();
        assert_eq!(ids, [2, 1, 1]);
        assert_eq!(requests(&body)[0], r#"{"entities":{"id":[1,2],"at":[0,0]},"feature_names":["v:a"]}"#);
    }

    #[test]
    fn an_invalid_line_is_rejected_with_its_number() {
        for (body, line) in [
            ("", "body.1"),
            ("[]", "body.1"),
            (r#"{"entity_ids":[1]}"#, "body.1"),
            (r#"{"entity_ids":[1],"feature_names":["a"],"values":{"a":[1]}}"#, "body.1"),
            (r#"{"entity_ids":[],"feature_names":["a"]}"#, "body.1"),
            (r#"{"entity_ids":[1,2],"values":{"a":[1]}}"#, "body.1"),
            (r#"{"entity_ids":[1],"feature_names":["a"],"event_timestamps":["2026-01-01T00:00:00Z"]}"#, "body.1"),
            (
                "{\"entity_ids\":[1],\"feature_names\":[\"a\"]}\n{\"entity_ids\":[1],\"feature_nmaes\":[\"a\"]}",
                "body.2",
            ),
            ("{\"entity_ids\":[1],\"feature_names\":[\"a\"]}\n\nrubbish", "body.3"),
        ] {
            let error = read(body.as_bytes(), 100).unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{line}`")), "{body}: {error}");
        }
        let error = read(br#"{"entity_ids":[1,2,3],"feature_names":["a"]}"#, 2).unwrap_err();
        assert_eq!(error, RequestError::LimitExceeded { limit: "warm_rows", allowed: 2, found: 3 });
    }
}
