//! Traces: reads and propagates the caller's trace context, and writes spans in OpenTelemetry's JSON.
//!
//! Sources: W3C Trace Context, 2021, "traceparent"; OpenTelemetry Protocol 1.x, JSON over HTTP.

use model::shape::fingerprint;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::json::append_json;

/// The trace context of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    trace: [u8; 32],
    parent: Option<[u8; 16]>,
    /// The request's own span.
    span: [u8; 16],
    is_sampled: bool,
}

impl TraceContext {
    /// The context of a request within its caller's trace; `None` for an invalid header.
    #[must_use]
    pub fn from_traceparent(traceparent: &str, random: u64) -> Option<TraceContext> {
        let bytes = traceparent.as_bytes();
        let trace: [u8; 32] = bytes.get(3..35)?.try_into().ok()?;
        let parent: [u8; 16] = bytes.get(36..52)?.try_into().ok()?;
        let is_hex = |text: &[u8]| text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let separators = [bytes.get(2)?, bytes.get(35)?, bytes.get(52)?];
        let (version, flags) = (bytes.get(..2)?, bytes.get(53..55)?);
        let is_whole = bytes.len() == 55 || (version != b"00" && bytes.get(55) == Some(&b'-'));
        let is_one = is_whole
            && separators == [&b'-'; 3]
            && is_hex(&trace)
            && is_hex(&parent)
            && is_hex(version)
            && is_hex(flags)
            && version != b"ff"
            && trace != [b'0'; 32]
            && parent != [b'0'; 16];
        let low = flags.get(1).copied().unwrap_or_default();
        let is_sampled = matches!(low, b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f');
        is_one.then_some(TraceContext { trace, parent: Some(parent), span: hex(random), is_sampled })
    }

    /// The context of a request that begins a trace.
    #[must_use]
    pub fn new(random: [u64; 3], is_sampled: bool) -> TraceContext {
        let [high, low, span] = random;
        let mut trace = [0; 32];
        for (own, digit) in trace.iter_mut().zip(hex(high).into_iter().chain(hex(low))) {
            *own = digit;
        }
        TraceContext { trace, parent: None, span: hex(span), is_sampled }
    }

    /// Whether its spans are recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.is_sampled
    }

    /// The header `traceparent` of this context, for the origin and for the caller.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(55);
        for part in ["00-", text_of(&self.trace), "-", text_of(&self.span), if self.is_sampled { "-01" } else { "-00" }]
        {
            text.push_str(part);
        }
        text
    }
}

/// A request, or an operation within one.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// Its name.
    pub name: &'a str,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// The HTTP status, if there is one.
    pub status: Option<u16>,
}

/// A span in OpenTelemetry's JSON: 64-bit integers are strings.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanData<'a> {
    trace_id: &'a str,
    span_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<&'a str>,
    name: &'a str,
    kind: u64,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<[Attribute; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<SpanStatus>,
}

#[derive(Serialize)]
struct Attribute {
    key: &'static str,
    value: AttributeValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttributeValue {
    int_value: u16,
}

#[derive(Serialize)]
struct SpanStatus {
    code: u64,
}

/// Writes the spans of requests and of their operations as one export.
#[derive(Debug)]
pub struct TraceExport {
    json: Vec<u8>,
    spans: usize,
}

impl TraceExport {
    /// An export without spans.
    #[must_use]
    pub fn new(project: &str) -> TraceExport {
        let mut json = br#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"featheredge"}},{"key":"service.namespace","value":{"stringValue":"#.to_vec();
        append_json(&mut json, &project);
        json.extend_from_slice(br#"}}]},"scopeSpans":[{"scope":{"name":"featheredge"},"spans":["#);
        TraceExport { json, spans: 0 }
    }

    /// Adds the span of a request, or of an operation within it.
    pub fn add(&mut self, context: &TraceContext, span: Span<'_>, is_request: bool) {
        if is_request {
            return self.write(context, &context.span, context.parent.as_ref(), span, SERVER);
        }
        // The request's span id and the position in the export make it unique.
        let id = hex(fingerprint(&context.span, self.spans as u64 + 1));
        self.write(context, &id, Some(&context.span), span, CLIENT);
    }

    /// How many spans it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans == 0
    }

    /// The body of `POST /v1/traces`.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        self.json.extend_from_slice(b"]}]}]}");
        self.json
    }

    fn write(&mut self, context: &TraceContext, id: &[u8; 16], parent: Option<&[u8; 16]>, span: Span<'_>, kind: u64) {
        if self.spans > 0 {
            self.json.push(b',');
        }
        self.spans += 1;
        let nanos = |at: Timestamp| at.0.saturating_mul(1_000_000).to_string();
        let span = SpanData {
            trace_id: text_of(&context.trace),
            span_id: text_of(id),
            parent_span_id: parent.map(|parent| text_of(parent)),
            name: span.name,
            kind,
            start_time_unix_nano: nanos(span.began),
            end_time_unix_nano: nanos(span.ended),
            attributes: span.status.map(|status| {
                [Attribute { key: "http.response.status_code", value: AttributeValue { int_value: status } }]
            }),
            status: span.status.filter(|status| *status >= 500).map(|_| SpanStatus { code: FAILED }),
        };
        append_json(&mut self.json, &span);
    }
}

/// OpenTelemetry's status of a span that failed.
const FAILED: u64 = 2;

/// OpenTelemetry's kinds of span.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

fn hex(number: u64) -> [u8; 16] {
    let mut digits = [b'0'; 16];
    for (index, digit) in digits.iter_mut().enumerate() {
        let nibble = (number >> (60 - 4 * index) & 15) as u8;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    digits
}

fn text_of(digits: &[u8]) -> &str {
    str::from_utf8(digits).unwrap_or_default()
}
