//! The core for every JavaScript host: bodies in and out through the module's memory, effects as plain objects, telemetry.
//!
//! It decides nothing. A request that L1 answers crosses the boundary once: JavaScript writes the body at [`Core::input`], calls
//! [`Core::begin`], and reads the reply at [`Core::reply_at`]. What a call leaves besides its [`CoreState`] must be taken before the next
//! call: [`Core::take_effects`], [`Core::take_woken`], [`Core::request`].

use aggregator::{Aggregator, Report, ReportScope, SINKS};
use js_sys::Array;
use serde::Serialize;
use serde_bytes::Bytes;
use wasm_bindgen::{JsError, JsValue, prelude::wasm_bindgen};

use crate::pending_effects::PendingEffects;
use crate::wasm_memory::WasmMemory;
use config::{Config, ConfigError};
use model::key::StoreKey;
use model::time::Timestamp;
use protocol::native::NumberEncoding;
use protocol::problem;
use service::{
    Chunk, Effect, EffectId, FetchFailure, Incoming, IoRequest, IoResult, OriginReply, ReadFailure, Reply,
    RequestHandle, Response, Service, Transition, WriteOutcome,
};

#[wasm_bindgen]
extern "C" {
    /// JavaScript's parser of numbers, which is exact, for texts that are too long for ours.
    #[wasm_bindgen(js_name = Number)]
    fn read_number(text: &str) -> f64;
}

/// The state of a request after a call, as a number.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreState {
    /// The reply can be read, and there are no effects.
    Replied = 0,
    /// There is no reply yet; there may be effects to perform.
    Waiting = 1,
    /// The request passes through to the origin at [`Core::forward_base`], and its response back.
    Forward = 2,
    /// The response to the request that an effect forwarded passes back, with the header of [`Core::take_added_header`].
    Forwarded = 3,
    /// A static file answers the request.
    Asset = 4,
    /// The reply can be read, and effects are to be performed in the background.
    RepliedWithEffects = 5,
    /// The last part of the reply can be [taken](Core::take_chunk), and effects are to be performed in the background.
    Streamed = 6,
}

/// Why a fetch from the origin failed, as a number.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFault {
    /// The response did not come in time.
    TimedOut = 0,
    /// No connection, or one that broke.
    Unreachable = 1,
    /// The response exceeds its limit.
    TooLarge = 2,
    /// There is no memory for the response.
    NoRoom = 3,
    /// The response has a content coding that cannot be decoded.
    Encoded = 4,
}

/// The serving core of one host, and its telemetry.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Core {
    service: Service,
    /// Created when telemetry is first ingested, in the background of the first response.
    aggregator: Option<Box<Aggregator>>,
    memory: WasmMemory,
    forward_base: String,
    forward_timeout: f64,
    cache_status: &'static str,
    notice: Option<(&'static str, &'static str)>,
    request: Option<RequestHandle>,
    chunk: Option<Chunk>,
    new_effects: Vec<Effect>,
    woken: Vec<RequestHandle>,
    effects: PendingEffects<EffectId>,
}

#[wasm_bindgen]
impl Core {
    /// A core with `config`, the table that `docs/reference/configuration.md` describes.
    ///
    /// `seed` is any random number. `max_l2_writes` is how many rows a request writes to L2 unless the configuration says it. `has_log` is
    /// whether the host has an invalidation log. Without `shard_secret`, nobody can predict a row's shard.
    ///
    /// # Errors
    /// Which key of the configuration is invalid.
    #[wasm_bindgen(constructor)]
    pub fn new(
        config: JsValue,
        seed: u64,
        max_l2_writes: Option<usize>,
        has_log: bool,
        shard_secret: Option<String>,
    ) -> Result<Core, JsError> {
        let mut config = config_from_js(config)?;
        config.writes.invalidation_log &= has_log;
        config.l2.max_writes_per_request = config.l2.max_writes_per_request.or(max_l2_writes);
        let mut service = Service::new(config, seed);
        if let Some(secret) = shard_secret {
            service.set_shard_secret(&secret);
        }
        Ok(Core {
            service,
            aggregator: None,
            memory: WasmMemory::default(),
            forward_base: String::new(),
            forward_timeout: 0.0,
            cache_status: "",
            notice: None,
            request: None,
            chunk: None,
            new_effects: Vec::new(),
            woken: Vec::new(),
            effects: PendingEffects::default(),
        })
    }

    /// The configuration that the host needs: the project, and the names of the stores' bindings.
    ///
    /// # Errors
    /// None that can happen.
    pub fn bindings(&self) -> Result<JsValue, JsError> {
        let Config { project, l2, l3, .. } = self.service.config();
        to_js(&Bindings {
            project,
            l2: &l2.binding,
            l3: &l3.binding,
            l3_shard_bytes: l3.max_shard_bytes,
            invalidation_log: &l3.invalidation_log_binding,
        })
    }

    /// Where to write a body of `length` bytes, as an address in the module's memory.
    pub fn input(&mut self, length: usize) -> usize {
        self.memory.input(length)
    }

    /// How many bytes of a request's body to read; 0 if the core does not read it.
    pub fn body_limit(&self, method: &str, path: &str) -> usize {
        self.service.body_limit(method, path)
    }

    /// The scope that a request needs: 0 none, 1 `read`, 2 `write`, 3 `admin`.
    pub fn auth_scope(method: &str, path: &str) -> u8 {
        Service::auth_scope(method, path) as u8
    }

    /// Begins a request at `now` in milliseconds, with a body of `length` bytes at [`Core::input`]. Without a length the body exceeds
    /// [`Core::body_limit`].
    #[expect(clippy::too_many_arguments, reason = "one crossing brings all that is known of a request")]
    pub fn begin(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        length: Option<usize>,
        has_authorization: bool,
        is_operator: bool,
        accepts_lines: bool,
        caller: &str,
        traceparent: &str,
        session: Option<String>,
        now: f64,
    ) -> CoreState {
        let body = self.memory.body(length.unwrap_or_default());
        let session = session.as_deref();
        let incoming = Incoming {
            method,
            path,
            query_string: query,
            body,
            is_over_limit: length.is_none(),
            has_authorization,
            traceparent,
            is_operator,
            accepts_lines,
            caller,
            session,
        };
        let transition = self.service.begin(incoming, timestamp(now));
        self.take(transition)
    }

    /// Begins a request of Feast's API that is only a body, as [`Core::begin`] with its path.
    pub fn begin_feast(&mut self, length: usize, is_operator: bool, now: f64) -> CoreState {
        self.begin_plain("/get-online-features", length, is_operator, now)
    }

    /// Begins a request of the native API that is only a body, as [`Core::begin`] with its path.
    pub fn begin_native(&mut self, length: usize, is_operator: bool, now: f64) -> CoreState {
        self.begin_plain("/v1/features", length, is_operator, now)
    }

    /// Begins a request of the native API for columns of numbers.
    pub fn begin_columns(
        &mut self,
        length: usize,
        are_scalars_f32: bool,
        are_vectors_f32: bool,
        now: f64,
    ) -> CoreState {
        let body = self.memory.body(length);
        let numbers = NumberEncoding { are_scalars_f32, are_vectors_f32, read_long: read_number };
        let transition = self.service.begin_columns(body, numbers, timestamp(now));
        self.take(transition)
    }

    /// Resumes a streamed reply: its reader has taken the last part, or has room for more.
    pub fn resume(&mut self, request: f64, now: f64) -> CoreState {
        let transition = self.service.resume(request_handle(request), timestamp(now));
        self.take(transition)
    }

    /// The next part of a streamed reply, if the last call had one. With the first part, the head can be read as that of a whole reply:
    /// [`Core::reply_status`], [`Core::reply_headers`].
    pub fn take_chunk(&mut self) -> Option<Vec<u8>> {
        self.chunk.take().map(|chunk| chunk.bytes)
    }

    /// Continues a request that was among the [woken](Core::take_woken).
    pub fn wake(&mut self, request: f64, now: f64) -> CoreState {
        let transition = self.service.wake(request_handle(request), timestamp(now));
        self.take(transition)
    }

    /// Forgets a request whose client has gone; others may be [woken](Core::take_woken) instead.
    pub fn abandon(&mut self, request: f64, now: f64) {
        let woken = self.service.abandon(request_handle(request), timestamp(now));
        self.woken.extend(woken);
    }

    /// Makes queued writes due at once, because the host is about to end.
    pub fn close(&mut self) {
        self.service.close();
    }

    /// Whether a request is pending, even if only in the background.
    pub fn is_under_way(&self, request: f64) -> bool {
        self.service.is_under_way(request_handle(request))
    }

    /// The handle of the last call's request while it is pending; otherwise 0.
    pub fn request(&self) -> f64 {
        self.request.map_or(0.0, |request| request.number() as f64)
    }

    /// The address of the reply's body in the module's memory, valid until the next call.
    pub fn reply_at(&self) -> usize {
        self.memory.reply_at()
    }

    /// The length of the reply's body, in bytes.
    pub fn reply_length(&self) -> usize {
        self.memory.reply_length()
    }

    /// The reply's HTTP status.
    pub fn reply_status(&self) -> u16 {
        self.memory.reply_status()
    }

    /// The reply's headers: names and values in turn, each followed by a line feed. One string crosses the boundary faster than many.
    pub fn reply_headers(&self) -> String {
        self.memory.reply().map(header_lines).unwrap_or_default()
    }

    /// The host's number of what the origin's function threw, where the reply fails or lacks values for that reason.
    pub fn reply_exception(&self) -> Option<u32> {
        self.memory.reply().and_then(Reply::exception)
    }

    /// Why values of the reply are missing, where the origin failed: a problem.
    pub fn reply_failure(&self) -> Option<Vec<u8>> {
        Some(self.memory.reply()?.partial_failure()?.problem())
    }

    /// The base URL of the origin that the request passes through to.
    pub fn forward_base(&self) -> String {
        self.forward_base.clone()
    }

    /// The timeout of the whole response, in milliseconds.
    pub fn forward_timeout(&self) -> f64 {
        self.forward_timeout
    }

    /// The `Cache-Status` of the response to that request.
    pub fn forward_cache_status(&self) -> String {
        self.cache_status.to_owned()
    }

    /// A header to add to the origin's response, in the form of [`Core::reply_headers`]; empty if there is none.
    pub fn take_added_header(&mut self) -> String {
        self.notice.take().map_or_else(String::new, |(name, value)| [name, "\n", value, "\n"].concat())
    }

    /// The handles of requests that may continue now.
    pub fn take_woken(&mut self) -> Array {
        self.woken.drain(..).map(|request| JsValue::from(request.number() as f64)).collect()
    }

    /// The effects to perform concurrently: objects with a `number`, a `timeout` in milliseconds, and the fields that [`JsEffect`] has for the
    /// `kind`.
    ///
    /// # Errors
    /// None that can happen.
    pub fn take_effects(&mut self, now: f64) -> Result<Array, JsError> {
        let Core { service, effects: pending, .. } = self;
        let mut lost = |id| drop(service.take_body(id));
        let effects = core::mem::take(&mut self.new_effects);
        effects
            .iter()
            .map(|effect| {
                let number = pending.begin(effect.id, effect.timeout_millis, timestamp(now).0, &mut lost);
                to_js(&JsEffect { number, timeout: effect.timeout_millis, request: JsIoRequest::of(&effect.request) })
            })
            .collect()
    }

    /// Completes a read of `count` keys. [`Core::input`] has the length of each value as a little-endian number of four bytes, with all bits
    /// set for a missing value, and then the values' bytes.
    pub fn complete_read(&mut self, number: u32, count: usize, now: f64) -> CoreState {
        let (lengths, mut rest) = self.memory.written().split_at_checked(count.saturating_mul(4)).unwrap_or_default();
        let value = |length: &[u8; 4]| {
            let (bytes, tail) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = tail;
            Some(bytes.to_vec())
        };
        let values = lengths.as_chunks().0.iter().map(value).collect();
        self.complete(number, IoResult::Read(Ok(values)), now)
    }

    /// Fails a read, in general or because its values are too large.
    pub fn fail_read(&mut self, number: u32, is_too_large: bool, now: f64) -> CoreState {
        let failure = if is_too_large { ReadFailure::TooLarge } else { ReadFailure::Failed };
        self.complete(number, IoResult::Read(Err(failure)), now)
    }

    /// The address for the next `length` bytes of the origin's response, to be written before the next call; 0 if there is no room.
    /// `expected` is how many bytes are still to come, or 0 if that is unknown.
    pub fn extend_body(&mut self, number: u32, length: usize, expected: usize) -> usize {
        let Some(&id) = self.effects.get(number) else { return 0 };
        self.service.extend_body(id, length, expected).map_or(0, |part| part.as_ptr() as usize)
    }

    /// Completes a fetch with the origin's response, with its `body` unless that was written [in parts](Core::extend_body).
    pub fn complete_fetch(
        &mut self,
        number: u32,
        status: u16,
        content_type: Option<String>,
        body: Option<Vec<u8>>,
        now: f64,
    ) -> CoreState {
        let Some(&id) = self.effects.get(number) else { return CoreState::Waiting };
        let body = body.unwrap_or_else(|| self.service.take_body(id));
        self.complete(number, IoResult::Fetched(Ok(OriginReply { status, content_type, body })), now)
    }

    /// Fails a fetch. `coding` is the response's content coding, if that cannot be decoded.
    pub fn fail_fetch(&mut self, number: u32, reason: FetchFault, coding: Option<String>, now: f64) -> CoreState {
        let failure = match reason {
            FetchFault::TimedOut => FetchFailure::TimedOut,
            FetchFault::Unreachable => FetchFailure::Unreachable,
            FetchFault::TooLarge => FetchFailure::TooLarge,
            FetchFault::NoRoom => FetchFailure::NoRoom,
            FetchFault::Encoded => FetchFailure::Encoded { coding: coding.unwrap_or_default() },
        };
        self.complete(number, IoResult::Fetched(Err(failure)), now)
    }

    /// Fails a fetch because the origin is a function, which threw. `exception` is the host's number of what it threw, for
    /// [`Core::reply_exception`].
    pub fn fail_thrown(&mut self, number: u32, exception: u32, now: f64) -> CoreState {
        self.complete(number, IoResult::Fetched(Err(FetchFailure::Threw { exception })), now)
    }

    /// Completes a write: how many rows failed, and how many of these because their keys are written too often; when a quota of the store
    /// resets that is used up; and whether the host allows the request no further call.
    pub fn complete_write(
        &mut self,
        number: u32,
        failed: usize,
        rate_limited: usize,
        quota_resets_at: Option<f64>,
        is_request_spent: bool,
        now: f64,
    ) -> CoreState {
        let quota_resets_at = quota_resets_at.map(timestamp);
        let outcome = WriteOutcome { failed, rate_limited, quota_resets_at, is_request_spent };
        self.complete(number, IoResult::Written(outcome), now)
    }

    /// Completes an append to the invalidation log with its reply, if there is one.
    pub fn complete_log(&mut self, number: u32, answer: Option<Vec<u8>>, now: f64) -> CoreState {
        self.complete(number, IoResult::Logged(answer), now)
    }

    /// Completes a forwarded request with the status of the origin's response: 502 if there is none, and `None` if the origin certainly never
    /// received the request.
    pub fn complete_forward(&mut self, number: u32, status: Option<u16>, now: f64) -> CoreState {
        self.complete(number, IoResult::Forwarded(status), now)
    }

    /// Completes a wait.
    pub fn complete_wait(&mut self, number: u32, now: f64) -> CoreState {
        self.complete(number, IoResult::Waited, now)
    }

    /// Drops an effect without a result, because its request is over.
    pub fn forget(&mut self, number: u32) {
        if let Some(id) = self.effects.end(number) {
            self.service.take_body(id);
        }
    }

    /// The built-in origin's response to `body`.
    pub fn synthesize(&self, body: &[u8], now: f64) -> Vec<u8> {
        self.service.synthesize(body, timestamp(now)).body
    }
}

/// Telemetry.
#[wasm_bindgen]
impl Core {
    /// Ingests the records since the last call. Afterwards there may be messages, including those due within `ahead` milliseconds.
    pub fn ingest_telemetry(&mut self, now: f64, ahead: f64) {
        let batch = self.service.take_records(timestamp(now));
        let config = self.service.config();
        let aggregator = self.aggregator.get_or_insert_with(|| Box::new(Aggregator::new(config.clone())));
        aggregator.ingest(&batch, timestamp(now + ahead));
        self.service.set_sla_status(aggregator.sla_status());
    }

    /// The next message that is due. `sink` is a number for [`Core::acknowledge`], and `kind` is that sink's name (`webhook`, `traces`,
    /// `windows` or `analytics`). It has its `number`, the URL or binding in `to`, its `body`, and the `timeout` in milliseconds.
    ///
    /// # Errors
    /// None that can happen.
    pub fn next_message(&mut self, now: f64) -> Result<JsValue, JsError> {
        let Some(aggregator) = &mut self.aggregator else { return Ok(JsValue::UNDEFINED) };
        let Some(message) = aggregator.next_message(timestamp(now)) else { return Ok(JsValue::UNDEFINED) };
        to_js(&Outgoing {
            sink: message.sink as usize,
            kind: message.sink.name(),
            number: message.number,
            to: &message.to,
            body: Bytes::new(&message.body),
            timeout: aggregator.config().alerts.webhook_timeout_ms,
        })
    }

    /// Reports whether a message was delivered.
    pub fn acknowledge(&mut self, sink: usize, number: f64, is_delivered: bool, now: f64) {
        if let (Some(aggregator), Some(&sink)) = (&mut self.aggregator, SINKS.get(sink)) {
            aggregator.ack(sink, number as u64, is_delivered, timestamp(now));
        }
    }

    /// When telemetry has work without a request, in milliseconds; 0 if it has none.
    pub fn telemetry_due_at(&self, now: f64) -> f64 {
        let due_at = self.aggregator.as_ref().and_then(|aggregator| aggregator.next_at(timestamp(now)));
        due_at.map_or(0.0, |at| at.0 as f64)
    }

    /// The binding of the deployment's windows, if the report needs them and they are merged.
    pub fn windows_needed(&self, path: &str, query: &str) -> Option<String> {
        let telemetry = &self.service.config().telemetry;
        (needs_windows(path, query) && telemetry.aggregate).then(|| telemetry.binding.clone())
    }

    /// Replies to `GET` of a report. `merged` are the deployment's windows, if they are needed and available.
    pub fn report(&mut self, path: &str, query: &str, merged: Option<Vec<u8>>, now: f64) {
        let reply = self.reported(path, query, merged.as_deref(), timestamp(now));
        self.memory.put(Some(reply));
    }
}

impl Core {
    /// Begins a request that is only a body.
    fn begin_plain(&mut self, path: &str, length: usize, is_operator: bool, now: f64) -> CoreState {
        let body = self.memory.body(length);
        let incoming = Incoming { method: "POST", path, body, is_operator, ..Incoming::default() };
        let transition = self.service.begin(incoming, timestamp(now));
        self.take(transition)
    }

    fn complete(&mut self, number: u32, result: IoResult, now: f64) -> CoreState {
        let Some(id) = self.effects.end(number) else { return CoreState::Waiting };
        let transition = self.service.complete(id, result, timestamp(now));
        self.take(transition)
    }

    fn take(&mut self, transition: Transition) -> CoreState {
        let is_more = !transition.effects.is_empty() || !transition.woken.is_empty();
        self.request = transition.handle;
        self.new_effects.extend(transition.effects);
        self.woken.extend(transition.woken);
        self.chunk = transition.chunk;
        let head = self.chunk.as_mut().and_then(|chunk| chunk.head.take());
        if let Some(last) = self.memory.put(head) {
            self.service.recycle(last);
        }
        self.memory.shrink();
        match transition.response {
            Some(Response::Reply(reply)) => {
                self.memory.put(Some(reply));
                if is_more || self.request.is_some() { CoreState::RepliedWithEffects } else { CoreState::Replied }
            }
            Some(Response::Forward { base, bypass, timeout_millis }) => {
                self.forward_base = base;
                self.cache_status = bypass.cache_status();
                self.forward_timeout = timeout_millis as f64;
                CoreState::Forward
            }
            Some(Response::Forwarded { notice }) => {
                self.notice = notice;
                CoreState::Forwarded
            }
            Some(Response::Streamed) => CoreState::Streamed,
            Some(Response::Asset) => CoreState::Asset,
            None => CoreState::Waiting,
        }
    }

    fn reported(&self, path: &str, query: &str, merged: Option<&[u8]>, now: Timestamp) -> Reply {
        let problem = |status, kind, title, detail| Reply::problem(status, problem::body(status, kind, title, detail));
        let (Some(report), Some(_)) = (Report::at(path), ReportScope::of(query)) else {
            return problem(400, "invalid-scope", "Unknown scope", "`scope` is `isolate` or `deployment`");
        };
        if needs_windows(path, query) && merged.is_none() {
            let detail = "`telemetry.aggregate` is off, or the object of `telemetry.binding` is unreachable";
            return problem(503, "not-aggregated", "The deployment's windows are unavailable", detail);
        }
        let Some(aggregator) = &self.aggregator else {
            return problem(503, "telemetry-unavailable", "There is no telemetry yet", "no records were ingested yet");
        };
        Reply::of_type(report.media_type(), aggregator.report(report, merged, now))
    }
}

/// The memory of this instance of the module.
#[wasm_bindgen]
pub fn instance_memory() -> JsValue {
    wasm_bindgen::memory()
}

/// Reads the configuration from an object; the default one from `undefined`.
pub(crate) fn config_from_js(config: JsValue) -> Result<Config, ConfigError> {
    if config.is_undefined() {
        return Ok(Config::default());
    }
    Config::parse(serde_wasm_bindgen::Deserializer::from(config))
}

fn to_js<T: Serialize>(value: &T) -> Result<JsValue, JsError> {
    // Absent values are omitted, and integers are numbers: none exceeds 2⁵³.
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_maps_as_objects(true);
    Ok(value.serialize(&serializer)?)
}

/// Whether a report needs the windows of all isolates.
fn needs_windows(path: &str, query: &str) -> bool {
    Report::at(path).is_some_and(|report| report != Report::Alerts)
        && ReportScope::of(query) == Some(ReportScope::Deployment)
}

fn header_lines(reply: &Reply) -> String {
    let mut header_lines = String::with_capacity(128);
    let headers = reply.headers();
    let headers = headers.iter().map(|header| (header.name, &*header.value));
    for (name, value) in reply.content_type().map(|value| ("content-type", value)).into_iter().chain(headers) {
        for part in [name, "\n", value, "\n"] {
            header_lines.push_str(part);
        }
    }
    header_lines
}

fn timestamp(now: f64) -> Timestamp {
    Timestamp(now as u64)
}

fn request_handle(request: f64) -> RequestHandle {
    RequestHandle::from_number(request as u64)
}

/// See [`Core::bindings`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bindings<'a> {
    project: &'a str,
    l2: &'a str,
    l3: &'a str,
    l3_shard_bytes: u64,
    invalidation_log: &'a str,
}

/// See [`Core::next_message`].
#[derive(Serialize)]
struct Outgoing<'a> {
    sink: usize,
    kind: &'static str,
    number: u64,
    to: &'a str,
    body: &'a Bytes,
    timeout: u64,
}

/// An effect to perform within `timeout` milliseconds.
#[derive(Serialize)]
struct JsEffect<'a> {
    /// Identifies it for its result.
    number: u32,
    timeout: u64,
    #[serde(flatten)]
    request: JsIoRequest<'a>,
}

/// The I/O of an effect.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum JsIoRequest<'a> {
    /// Read `count` keys of equal length, concatenated in `keys`, from a shard of a tier.
    Read { tier: &'static str, shard: u32, count: usize, keys: String },
    /// Write to a shard of a tier, with a time to live in seconds.
    Write { tier: &'static str, shard: u32, entries: Vec<(&'a str, &'a Bytes)>, ttl: u64 },
    /// Fetch from the origin or its registry.
    Fetch { method: &'static str, url: &'a str, body: &'a Bytes, max_bytes: usize, traceparent: Option<&'a str> },
    /// Let the built-in origin respond after `delay` milliseconds.
    Synthesize { delay: u64, body: &'a Bytes },
    /// Forward the request to the origin at `base`; the response gets `cache_status`. After the `timeout` the client gets an error, but the
    /// effect still waits for the end.
    Forward { base: &'a str, cache_status: &'static str },
    /// Append invalidations to the log, or none, and read newer ones: an `Append`, whose reply is an `Appended`.
    Log { request: &'a Bytes },
    /// [Ingest](Core::ingest_telemetry) after the `timeout`, whether or not the request lasts as long.
    Ingest,
    /// Do nothing for the `timeout`, whether or not the request lasts as long.
    Delay,
    /// Do nothing for the `timeout`; of no use once the request is over.
    Wait,
}

impl<'a> JsIoRequest<'a> {
    fn of(request: &'a IoRequest) -> JsIoRequest<'a> {
        match request {
            IoRequest::ReadStore { tier, shard, keys } => JsIoRequest::Read {
                tier: tier.spec_name(),
                shard: *shard,
                count: keys.len(),
                keys: keys.iter().map(StoreKey::as_str).collect(),
            },
            IoRequest::WriteStore { tier, shard, entries, ttl_seconds } => JsIoRequest::Write {
                tier: tier.spec_name(),
                shard: *shard,
                entries: entries.iter().map(|(key, value)| (key.as_str(), Bytes::new(value))).collect(),
                ttl: *ttl_seconds,
            },
            IoRequest::Fetch(fetch) => JsIoRequest::Fetch {
                method: fetch.method,
                url: &fetch.url,
                body: Bytes::new(&fetch.body),
                max_bytes: fetch.max_bytes,
                traceparent: fetch.traceparent.as_deref(),
            },
            IoRequest::Synthesize { delay_millis, body } => {
                JsIoRequest::Synthesize { delay: *delay_millis, body: Bytes::new(body) }
            }
            IoRequest::Forward { base, bypass } => JsIoRequest::Forward { base, cache_status: bypass.cache_status() },
            IoRequest::Log { request } => JsIoRequest::Log { request: Bytes::new(request) },
            IoRequest::Records => JsIoRequest::Ingest,
            IoRequest::Wait { outlives_request: true } => JsIoRequest::Delay,
            IoRequest::Wait { outlives_request: false } => JsIoRequest::Wait,
        }
    }
}
