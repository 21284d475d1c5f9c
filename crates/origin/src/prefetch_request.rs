//! Builds the request of a prefetch from a plan and predicted keys.
//!
//! Knows how a plan's keys are made, and nothing of predictions. Invariant: the request has exactly the given keys.

use config::Limits;
use json::Cursor;
use model::key::EntityValue;
use protocol::feature_request::FeatureRequest;
use protocol::parsed_request::ParsedRequest;
use protocol::plan::Plan;

/// A request for the entities of these keys, whose body is a JSON object of their columns. Each key is the concatenation of the keys of
/// the shape's `key_views`; `None` where one is malformed.
#[must_use]
pub fn request(plan: &Plan, keys: &[&[u8]], limits: &Limits) -> Option<ParsedRequest<'static>> {
    let mut columns: Vec<(Vec<u8>, usize)> = Vec::new();
    columns.resize_with(plan.columns.len(), Default::default);
    for (row, &(mut key)) in keys.iter().enumerate() {
        for &column in plan.shape.key_views.iter().filter_map(|&view| plan.key_columns.get(view)).flatten() {
            let value = EntityValue::decode(&mut key)?;
            // A key column of two views is in both keys.
            let (text, rows) = columns.get_mut(column)?;
            if *rows == row {
                *rows += 1;
                if row > 0 {
                    text.push(b',');
                }
                write(text, value);
            }
        }
        if !key.is_empty() {
            return None;
        }
    }
    let mut body = Vec::with_capacity(256);
    let mut before = b'{';
    for (name, (values, _)) in plan.columns.iter().zip(columns) {
        body.push(before);
        before = b',';
        json::write_string(&mut body, name);
        body.extend_from_slice(b":[");
        body.extend_from_slice(&values);
        body.push(b']');
    }
    body.push(b'}');
    let mut fields = Box::<FeatureRequest>::default();
    fields.full_feature_names = plan.full_feature_names;
    let mut cursor = Cursor::new(&body, limits.depth).ok()?;
    fields.read_entities(&mut cursor, &body, limits).ok()?;
    Some(ParsedRequest { fields, body: body.into() })
}

fn write(out: &mut Vec<u8>, value: EntityValue<'_>) {
    match value {
        EntityValue::Number(text) | EntityValue::Json(text) => out.extend_from_slice(text.as_bytes()),
        EntityValue::Text(text) => json::write_string(out, text),
        EntityValue::Boolean(true) => out.extend_from_slice(b"true"),
        EntityValue::Boolean(false) => out.extend_from_slice(b"false"),
        EntityValue::Null => out.extend_from_slice(b"null"),
    }
}
