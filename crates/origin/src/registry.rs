//! The metadata of views in Feast's registry: `GET /api/v1/feature_views?project=…` of `feast serve_registry`.
//!
//! One response has all views. A feature view is keyed by its entity columns; an on-demand view by its request data and
//! by the keys of the views it reads. A view that cannot be understood is unknown, and affects no other. Invariant: a view
//! is known only if all of its key columns are.

use crate::planner::RegisteredView;
use config::SortedMap;
use json::{Cursor, JsonError, Kind};
use model::sort::sorted;

/// The longest response that is read, in bytes: it contains transformations as pickled code.
pub const MAX_BYTES: usize = 64 << 20;

/// The key column that Feast gives to views without an entity. No request has it.
const DUMMY: &str = "__dummy_id";

/// How deep the registry nests.
const MAX_DEPTH: u16 = 64;

/// The path and query that ask for all views of `project`.
#[must_use]
pub fn path(project: &str) -> String {
    let mut path = "/api/v1/feature_views?project=".to_owned();
    for byte in project.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[derive(Debug, Default)]
struct View {
    name: String,
    keys: Vec<String>,
    sources: Vec<String>,
    stream_source: Option<String>,
    is_understood: bool,
}

/// The views in the registry's response that are understood; `None` where the response is not of this format.
#[must_use]
pub fn views(body: &[u8]) -> Option<SortedMap<RegisteredView>> {
    let mut cursor = Cursor::new(body, MAX_DEPTH).ok()?;
    let mut views = Vec::new();
    read_fields(&mut cursor, &mut |cursor, key| match key {
        "featureViews" => read_items(cursor, |cursor| {
            views.push(read_view(cursor)?);
            Ok(())
        }),
        _ => skip(cursor),
    })
    .ok()?;
    cursor.finish().ok()?;
    let by_name: SortedMap<&View> = views.iter().map(|view| (view.name.clone(), view)).collect();
    let mut known = SortedMap::default();
    for view in &views {
        if let Some(key_columns) = keys(view, &by_name) {
            let (sources, stream_source) = (view.sources.clone(), view.stream_source.clone());
            known.insert(view.name.clone(), RegisteredView { key_columns, sources, stream_source });
        }
    }
    Some(known)
}

/// The key columns of a view: its own, and those of the views that it reads.
fn keys(view: &View, by_name: &SortedMap<&View>) -> Option<Vec<String>> {
    let mut keys = view.keys.clone();
    for source in &view.sources {
        let source = by_name.get(source).filter(|source| source.is_understood && source.sources.is_empty())?;
        keys.extend(source.keys.iter().cloned());
    }
    let mut keys = sorted(keys);
    keys.dedup();
    (view.is_understood && !keys.is_empty()).then_some(keys)
}

fn read_view(cursor: &mut Cursor<'_>) -> Result<View, JsonError> {
    let mut view = View { is_understood: true, ..View::default() };
    read_fields(cursor, &mut |cursor, key| match key {
        "spec" => read_fields(cursor, &mut |cursor, key| match key {
            "name" => {
                view.name = read_string(cursor)?;
                Ok(())
            }
            "entityColumns" => read_columns(cursor, &mut view.keys),
            "sources" => read_sources(cursor, &mut view),
            "streamSource" => read_fields(cursor, &mut |cursor, key| match key {
                "name" => {
                    view.stream_source = Some(read_string(cursor)?);
                    Ok(())
                }
                _ => skip(cursor),
            }),
            _ => skip(cursor),
        }),
        _ => skip(cursor),
    })?;
    view.keys.retain(|key| key != DUMMY);
    Ok(view)
}

/// The sources of an on-demand view, by name.
fn read_sources(cursor: &mut Cursor<'_>, view: &mut View) -> Result<(), JsonError> {
    read_fields(cursor, &mut |cursor, _| {
        read_fields(cursor, &mut |cursor, key| match key {
            "requestDataSource" => read_fields(cursor, &mut |cursor, key| match key {
                "requestDataOptions" => read_fields(cursor, &mut |cursor, key| match key {
                    "schema" => read_columns(cursor, &mut view.keys),
                    _ => skip(cursor),
                }),
                _ => skip(cursor),
            }),
            "featureViewProjection" => read_fields(cursor, &mut |cursor, key| match key {
                "featureViewName" => {
                    view.sources.push(read_string(cursor)?);
                    Ok(())
                }
                // Join keys are renamed, so the key columns are unknown.
                "joinKeyMap" => {
                    view.is_understood &= cursor.value()?.text == "{}";
                    Ok(())
                }
                _ => skip(cursor),
            }),
            _ => skip(cursor),
        })
    })
}

/// The names in a list of columns.
fn read_columns(cursor: &mut Cursor<'_>, names: &mut Vec<String>) -> Result<(), JsonError> {
    read_items(cursor, |cursor| {
        read_fields(cursor, &mut |cursor, key| match key {
            "name" => {
                names.push(read_string(cursor)?);
                Ok(())
            }
            _ => skip(cursor),
        })
    })
}

/// Visits a field. A trait object, since the code would else be compiled for each closure.
type Visit<'v, 'a> = dyn FnMut(&mut Cursor<'a>, &str) -> Result<(), JsonError> + 'v;

/// Visits the fields of an object; anything else is skipped.
fn read_fields<'a>(cursor: &mut Cursor<'a>, visit: &mut Visit<'_, 'a>) -> Result<(), JsonError> {
    if cursor.peek()? != Kind::Object {
        return skip(cursor);
    }
    cursor.enter_object()?;
    let mut scratch = String::new();
    while let Some(key) = cursor.next_key()? {
        visit(cursor, key.decode(&mut scratch))?;
    }
    Ok(())
}

/// Visits the items of an array; anything else is skipped.
fn read_items<'a>(
    cursor: &mut Cursor<'a>,
    mut visit: impl FnMut(&mut Cursor<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    if cursor.peek()? != Kind::Array {
        return skip(cursor);
    }
    cursor.enter_array()?;
    while cursor.next_element()? {
        visit(cursor)?;
    }
    Ok(())
}

/// A string; an empty one for anything else.
fn read_string(cursor: &mut Cursor<'_>) -> Result<String, JsonError> {
    if cursor.peek()? == Kind::String {
        Ok(cursor.string()?.decode(&mut String::new()).to_owned())
    } else {
        skip(cursor)?;
        Ok(String::new())
    }
}

fn skip(cursor: &mut Cursor<'_>) -> Result<(), JsonError> {
    cursor.value().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from Feast 0.67, cut to what matters.
    const ANSWER: &str = r#"{"featureViews":[
        {"type":"featureView","spec":{"name":"driver_customer_affinity","entities":["driver","customer"],"ttl":"0s",
          "entityColumns":[{"name":"driver_id","valueType":"INT64"},{"name":"customer_id","valueType":"STRING"}]},"meta":{}},
        {"type":"featureView","spec":{"name":"driver_hourly_stats","entityColumns":[{"name":"driver_id"}],
          "streamSource":{"type":"PUSH_SOURCE","name":"driver_stats_push_source"}}},
        {"type":"featureView","spec":{"name":"surge","entityColumns":[{"name":"__dummy_id","valueType":"STRING"}]}},
        {"type":"onDemandFeatureView","spec":{"name":"transformed_conv_rate","sources":{
          "vals_to_add":{"requestDataSource":{"requestDataOptions":{"schema":[{"name":"val_to_add"},{"name":"val_to_add_2"}]}}},
          "driver_hourly_stats":{"featureViewProjection":{"featureViewName":"driver_hourly_stats"}}},
          "entityColumns":[{"name":"__dummy_id"}]}},
        {"type":"onDemandFeatureView","spec":{"name":"renamed","sources":{
          "d":{"featureViewProjection":{"featureViewName":"driver_hourly_stats","joinKeyMap":{"driver_id":"first"}}}}}}
      ],"pagination":{"totalCount":5}}"#;

    #[test]
    fn every_view_has_its_key_columns_of_the_registry() {
        let known = views(ANSWER.as_bytes()).unwrap();
        let keys = |view: &str| known.get(view).map(|entry| entry.key_columns.join(","));
        assert_eq!(keys("driver_customer_affinity").unwrap(), "customer_id,driver_id");
        assert_eq!(keys("driver_hourly_stats").unwrap(), "driver_id");
        assert_eq!(keys("transformed_conv_rate").unwrap(), "driver_id,val_to_add,val_to_add_2");
        assert_eq!(keys("surge"), None);
        assert_eq!(keys("renamed"), None);
        assert_eq!(known.get("transformed_conv_rate").unwrap().sources, ["driver_hourly_stats"]);
        assert_eq!(
            known.get("driver_hourly_stats").unwrap().stream_source.as_deref(),
            Some("driver_stats_push_source")
        );
    }

    #[test]
    fn a_response_of_another_format_has_no_views() {
        assert_eq!(views(b"<html>"), None);
        assert_eq!(views(b"{\"detail\":1}"), Some(SortedMap::default()));
        assert_eq!(views(b"{\"featureViews\":[1,{\"spec\":2}]}"), Some(SortedMap::default()));
    }

    #[test]
    fn a_projects_name_is_escaped_in_the_path() {
        assert_eq!(path("demo&x=/../é"), "/api/v1/feature_views?project=demo%26x%3D%2F..%2F%C3%A9");
    }
}
