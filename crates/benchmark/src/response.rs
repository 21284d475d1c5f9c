//! Parses responses of the native API: the tiers that served them, or the kind of the failure.
//!
//! It reads only the end of the body, which has the counts: parsing 266 KB of values would distort the measured latency.

use serde::{Deserialize, Serialize};

/// The tiers, nearest first; the last is the origin.
pub const TIERS: [&str; 4] = ["l1", "l2", "l3", "origin"];

/// How many bytes of a body's end are read.
pub const TAIL: usize = 640;

/// Hits and misses of a tier, in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// Rows that it had.
    pub hits: u64,
    /// Rows that it was asked for and did not have.
    pub misses: u64,
}

/// `Server-Timing` of a response, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerTiming {
    /// The total, if the server reports it.
    pub total: f64,
    /// Waiting for stores.
    pub cache: f64,
    /// Waiting for the origin.
    pub computation: f64,
}

/// A complete response.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServedResponse {
    /// Of L1, L2, L3 and the origin, whose hits are the rows that no tier had.
    pub rows: [RowCounts; 4],
    /// Origin calls.
    pub origin_calls: u64,
    /// Where its latency was spent.
    pub timing: ServerTiming,
}

impl ServedResponse {
    /// A response of a target that knows no tiers: the origin computed its `rows`, in so many calls, and took all the time.
    #[must_use]
    pub fn computed(rows: u64, calls: u64) -> ServedResponse {
        let none = RowCounts::default();
        let timing = ServerTiming { total: f64::INFINITY, cache: 0.0, computation: f64::INFINITY };
        let rows = [none, none, none, RowCounts { hits: rows, misses: 0 }];
        ServedResponse { rows, origin_calls: calls, timing }
    }

    /// The furthest tier that served a row, as an index of [`TIERS`].
    #[must_use]
    pub fn tier(&self) -> usize {
        self.rows.iter().rposition(|rows| rows.hits > 0).unwrap_or_default()
    }
}

/// Why a response is none: the problem's type, the status, or what else is wrong with it, and the server's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseFailure {
    /// The kind, the same for all failures that are alike.
    pub kind: String,
    /// The server's words, if it has any.
    pub cause: Option<String>,
}

/// Parses a response by its status, `Server-Timing` and body.
///
/// # Errors
/// The failure.
pub fn parse(status: u16, server_timing: &str, body: &[u8]) -> Result<ServedResponse, ResponseFailure> {
    let failure = |kind: &str| ResponseFailure { kind: kind.to_owned(), cause: None };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if status != 200 {
        let start = text(body.get(..TAIL).unwrap_or(body));
        let problem = start.split("urn:featheredge:problem:").nth(1).and_then(|rest| rest.split('"').next());
        let detail = start.split("\"detail\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let kind = problem.map_or_else(|| format!("status-{status}"), str::to_owned);
        return Err(ResponseFailure { kind, cause: detail.map(str::to_owned) });
    }
    let tail = text(body.get(body.len().saturating_sub(TAIL)..).unwrap_or(body));
    let count = |name: &str| number_after(&tail, &format!("\"{name}\":"));
    let tier = |name: &str| {
        Some(RowCounts {
            hits: count(&format!("{name}_hits"))? as u64,
            misses: count(&format!("{name}_misses"))? as u64,
        })
    };
    let (Some(l1), Some(l2), Some(l3), Some(calls)) = (tier("l1"), tier("l2"), tier("l3"), count("compute_requests"))
    else {
        return Err(failure("invalid-response"));
    };
    if count("error_rate").is_some_and(|rate| rate > 0.0) {
        return Err(failure("incomplete"));
    }
    let origin = RowCounts { hits: l1.misses.saturating_sub(l2.hits + l3.hits), misses: 0 };
    Ok(ServedResponse { rows: [l1, l2, l3, origin], origin_calls: calls as u64, timing: timing(server_timing) })
}

fn timing(header: &str) -> ServerTiming {
    let mut timing = ServerTiming::default();
    for member in header.split(',') {
        let mut parts = member.trim().split(';');
        let name = parts.next();
        let Some(millis) = parts.find_map(|part| decimal(part.trim().strip_prefix("dur=")?)) else { continue };
        match name {
            Some("total") => timing.total = millis,
            Some("l2" | "l3") => timing.cache += millis,
            Some("origin") => timing.computation = millis,
            _ => {}
        }
    }
    timing
}

fn number_after(text: &str, name: &str) -> Option<f64> {
    decimal(text.rsplit_once(name)?.1)
}

/// Parses the decimal number that a text begins with. The standard library's parser of floats would be larger than this module.
fn decimal(text: &str) -> Option<f64> {
    let mut value = None;
    let mut scale = 0.0;
    for letter in text.bytes() {
        match letter {
            b'0'..=b'9' if scale == 0.0 => value = Some(value.unwrap_or(0.0) * 10.0 + f64::from(letter - b'0')),
            b'0'..=b'9' => {
                value = value.map(|whole: f64| whole + f64::from(letter - b'0') * scale);
                scale /= 10.0;
            }
            b'.' if scale == 0.0 => scale = 0.1,
            _ => break,
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL_OF_ANSWER: &str = r#"..."},"latency_ms":12,"cache_stats":{"l1_hits":3,"l1_misses":7,"l2_hits":2,"l2_misses":5,"l3_hits":0,"l3_misses":0,"compute_requests":1},"quality_metrics":{"completeness":1,"freshness_score":1,"features_served":50,"features_requested":50,"error_rate":0}}"#;

    #[test]
    fn a_response_has_its_tiers_and_times() {
        let served =
            parse(200, "total;dur=13.25;desc=batch_serving, l2;dur=2, origin;dur=11", TAIL_OF_ANSWER.as_bytes())
                .unwrap();
        assert_eq!(served.rows.map(|rows| (rows.hits, rows.misses)), [(3, 7), (2, 5), (0, 0), (5, 0)]);
        assert_eq!(served.tier(), 3);
        assert_eq!(served.timing, ServerTiming { total: 13.25, cache: 2.0, computation: 11.0 });
    }

    #[test]
    fn the_furthest_tier_that_served_a_row_counts() {
        let from_l1 = TAIL_OF_ANSWER.replace("misses\":7", "misses\":0").replace("l2_hits\":2", "l2_hits\":0");
        assert_eq!(parse(200, "", from_l1.as_bytes()).unwrap().tier(), 0);
        let from_l2 = TAIL_OF_ANSWER.replace("l2_hits\":2", "l2_hits\":7");
        assert_eq!(parse(200, "", from_l2.as_bytes()).unwrap().tier(), 1);
    }

    #[test]
    fn failures_have_a_kind() {
        let failure = |status, body: &str| parse(status, "", body.as_bytes()).unwrap_err().kind;
        assert_eq!(failure(503, r#"{"type":"urn:featheredge:problem:overloaded","title":"…"}"#), "overloaded");
        assert_eq!(failure(502, "<html>"), "status-502");
        assert_eq!(failure(200, "{}"), "invalid-response");
        assert_eq!(failure(200, &TAIL_OF_ANSWER.replace("error_rate\":0", "error_rate\":0.02")), "incomplete");
    }
}
