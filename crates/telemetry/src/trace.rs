//! Traces: the caller's context read and passed on, and spans as OpenTelemetry has them in JSON.
//!
//! Sources: W3C Trace Context, 2021, "traceparent"; OpenTelemetry Protocol 1.x, JSON over HTTP.

use model::shape::fingerprint;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::json::append_json;

/// Where in a trace a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    trace: [u8; 32],
    parent: Option<[u8; 16]>,
    /// The request's own span.
    span: [u8; 16],
    is_sampled: bool,
}

impl Context {
    /// The context of a request within its caller's trace; `None` where the header is not one.
    #[must_use]
    pub fn within(traceparent: &str, random: u64) -> Option<Context> {
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
        is_one.then_some(Context { trace, parent: Some(parent), span: hex(random), is_sampled })
    }

    /// The context of a request whose caller has none.
    #[must_use]
    pub fn new(random: [u64; 3], is_sampled: bool) -> Context {
        let [high, low, span] = random;
        let mut trace = [0; 32];
        for (place, digit) in trace.iter_mut().zip(hex(high).into_iter().chain(hex(low))) {
            *place = digit;
        }
        Context { trace, parent: None, span: hex(span), is_sampled }
    }

    /// Whether its spans are wanted.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.is_sampled
    }

    /// The header that tells of this context, to the origin and back to the caller.
    #[must_use]
    pub fn header(&self) -> String {
        let mut text = String::with_capacity(55);
        for part in ["00-", text_of(&self.trace), "-", text_of(&self.span), if self.is_sampled { "-01" } else { "-00" }]
        {
            text.push_str(part);
        }
        text
    }
}

/// Something that took time, within a request or as the whole of it.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// What it was.
    pub name: &'a str,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// The HTTP status that it came to, where it did.
    pub status: Option<u16>,
}

/// A span as OpenTelemetry has it in JSON: 64 bits are texts.
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

/// Writes the spans of requests and of their parts as one export.
#[derive(Debug)]
pub struct Export {
    json: Vec<u8>,
    spans: usize,
}

impl Export {
    /// An export without spans.
    #[must_use]
    pub fn new(project: &str) -> Export {
        let mut json = br#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"featheredge"}},{"key":"service.namespace","value":{"stringValue":"#.to_vec();
        append_json(&mut json, &project);
        json.extend_from_slice(br#"}}]},"scopeSpans":[{"scope":{"name":"featheredge"},"spans":["#);
        Export { json, spans: 0 }
    }

    /// Adds a request, or a part of one.
    pub fn add(&mut self, context: &Context, span: Span<'_>, is_request: bool) {
        if is_request {
            return self.write(context, &context.span, context.parent.as_ref(), span, SERVER);
        }
        // Told apart by the request's own and by how many there are: nobody else has either.
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

    fn write(&mut self, context: &Context, id: &[u8; 16], parent: Option<&[u8; 16]>, span: Span<'_>, kind: u64) {
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
    for (place, digit) in digits.iter_mut().enumerate() {
        let nibble = (number >> (60 - 4 * place) & 15) as u8;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    digits
}

fn text_of(digits: &[u8]) -> &str {
    str::from_utf8(digits).unwrap_or_default()
}
