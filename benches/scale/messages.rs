//! The requests, the origin's responses, and the parser of replies.
//!
//! Each value of the origin is the time of its computation in milliseconds, so that a reply has the age of its values.

use service::Reply;

use crate::deployment::{COLUMN, FEATURES, VIEW};
use crate::figures::ServedBy;

/// 2026-11-24T00:00:00Z, where the clock begins.
pub(crate) const START: u64 = 1_795_478_400_000;

/// Writes a request for all features of an entity.
pub(crate) fn write_request(body: &mut String, entity: u32) {
    body.clear();
    body.push_str("{\"features\":[");
    for (at, feature) in FEATURES.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        for part in [comma, "\"", VIEW, ":", feature, "\""] {
            body.push_str(part);
        }
    }
    for part in ["],\"entities\":{\"", COLUMN, "\":[", &entity.to_string(), "]}}"] {
        body.push_str(part);
    }
}

/// The origin's response to a request for all features of some entities, with the time of computation as each value.
pub(crate) fn answer(body: &[u8], now: u64) -> Vec<u8> {
    let text = core::str::from_utf8(body).unwrap_or_default();
    let ids = text.rsplit_once(":[").and_then(|(_, rest)| rest.split(']').next()).unwrap_or_default();
    let rows = ids.split(',').count();
    let mut answer = String::with_capacity(1_024);
    let list = |answer: &mut String, name: &str, value: &str, rows: usize| {
        answer.push_str(name);
        for _ in 0..rows {
            answer.push_str(value);
            answer.push(',');
        }
        answer.pop();
    };
    let value = now.to_string();
    answer.push_str("{\"results\":[");
    for column in 0..=FEATURES.len() {
        if column == 0 {
            list(&mut answer, "{\"values\":[", ids, 1);
        } else {
            list(&mut answer, ",{\"values\":[", &value, rows);
        }
        list(&mut answer, "],\"statuses\":[", "\"PRESENT\"", rows);
        list(&mut answer, "],\"event_timestamps\":[", "\"2026-11-23T08:00:00Z\"", rows);
        answer.push_str("]}");
    }
    answer.push_str("],\"metadata\":{\"feature_names\":[\"");
    answer.push_str(COLUMN);
    for feature in FEATURES {
        answer.push_str("\",\"");
        answer.push_str(feature);
    }
    answer.push_str("\"]}}");
    answer.into_bytes()
}

/// When the first value of a reply was computed, if it has one.
pub(crate) fn computed_at(reply: &Reply) -> Option<u64> {
    let text = core::str::from_utf8(reply.body()).ok().filter(|_| reply.status() == 200)?;
    // The first column has the entities.
    let column = text.split("\"values\":[").nth(2)?;
    let digits = column.get(..column.find(|letter: char| !letter.is_ascii_digit())?)?;
    digits.parse().ok().filter(|at| *at >= START)
}

/// The tier that served a reply, and whether with a stale row, by `Cache-Status` (RFC 9211).
pub(crate) fn served_by(reply: &Reply) -> (ServedBy, bool) {
    let headers = reply.headers();
    let status = headers.iter().find(|header| header.name == "cache-status").map_or("", |header| &*header.value);
    let is_stale = status.contains("detail=stale");
    let by = if status.contains("fwd-status") {
        ServedBy::Origin
    } else if status.contains("l2; hit") {
        ServedBy::L2
    } else if status.starts_with("featheredge-l1; hit") {
        ServedBy::L1
    } else {
        ServedBy::Shared
    };
    (by, is_stale)
}
