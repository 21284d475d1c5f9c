//! The core for every JavaScript host: bodies in and out through the module's memory, effects as plain objects, telemetry.
//!
//! It decides nothing, and makes one crossing for a request that L1 answers: JavaScript writes the body where [`Core::input`] says, calls
//! [`Core::begin`], and reads the reply where [`Core::reply_at`] says. Whatever a call says beside its [`State`] is to be taken before the
//! next call: [`Core::take_effects`], [`Core::take_woken`], [`Core::request`].

use aggregator::{Aggregator, PLACES, Report, Scope};
use js_sys::Array;
use serde::Serialize;
use serde_bytes::Bytes;
use wasm_bindgen::{JsError, JsValue, prelude::wasm_bindgen};

use crate::effects_under_way::EffectsUnderWay;
use crate::wasm_memory::WasmMemory;
use config::{Config, ConfigError};
use model::key::StoreKey;
use model::time::Timestamp;
use protocol::native::Numbers;
use protocol::problem;
use service::{
    Chunk, Effect, EffectId, FetchFailure, Incoming, IoRequest, IoResult, OriginReply, ReadFailure, Reply,
    RequestHandle, Response, Service, Transition, WriteOutcome,
};

#[wasm_bindgen]
extern "C" {
    /// JavaScript's own reading of a number, which is exact, for texts that are too long for ours.
    #[wasm_bindgen(js_name = Number)]
    fn read_number(text: &str) -> f64;
}

/// How a request goes on, as a number.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The reply is there to be read, and nothing else is to be done.
    Replied = 0,
    /// Nothing is to be read; there may be effects to perform.
    Waiting = 1,
    /// The request is to be passed on to the origin at [`Core::forward_base`], and its answer back.
    Forward = 2,
    /// The answer to the request that was passed on by an effect is to be passed back, with [`Core::take_notice`].
    Forwarded = 3,
    /// The request is a file's to answer.
    Asset = 4,
    /// The reply is there to be read, and effects are to be performed behind it.
    RepliedWithEffects = 5,
    /// The last part of the reply is there to be [taken](Core::take_chunk), and effects are to be performed behind it.
    Streamed = 6,
}

/// Why the origin's answer could not be had, as a number.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFault {
    /// It did not come in time.
    TimedOut = 0,
    /// No connection, or one that broke.
    Unreachable = 1,
    /// It is longer than it may be.
    TooLarge = 2,
    /// There is no memory for it.
    NoRoom = 3,
    /// It is in a content coding that cannot be undone.
    Encoded = 4,
}

/// The serving core of one host, and its telemetry.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Core {
    service: Service,
    /// Made when the first telemetry is ingested, behind the first answer.
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
    effects: EffectsUnderWay<EffectId>,
}

#[wasm_bindgen]
impl Core {
    /// A core with `config`, the table that `docs/reference/configuration.md` describes.
    ///
    /// `seed` is any random number. `max_l2_writes` is how many rows a request writes to L2 where the configuration does not say;
    /// `has_log` whether the host has an invalidation log; who does not know `shard_secret` does not foresee a row's shard.
    ///
    /// # Errors
    /// Which key of the configuration cannot be used.
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
            service.hide_shards(&secret);
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
            effects: EffectsUnderWay::default(),
        })
    }

    /// What the host is to know of the configuration: the project, and under which names the platform has the stores.
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

    /// How many bytes of a request's body are to be read; 0 where the body is not looked at here.
    pub fn body_limit(&self, method: &str, path: &str) -> usize {
        self.service.body_limit(method, path)
    }

    /// What a request needs to be allowed: 0 nothing, 1 to read, 2 to write, 3 to operate.
    pub fn right(method: &str, path: &str) -> u8 {
        Service::auth_scope(method, path) as u8
    }

    /// Begins a request, whose body of `length` bytes stands at [`Core::input`], at `now` in milliseconds. Without a length it is longer than
    /// [`Core::body_limit`] says.
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
    ) -> State {
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
        let step = self.service.begin(incoming, instant(now));
        self.take(step)
    }

    /// Begins a request of Feast's contract of which nothing counts but its body, as [`Core::begin`] with its path.
    pub fn begin_feast(&mut self, length: usize, is_operator: bool, now: f64) -> State {
        self.begin_plain("/get-online-features", length, is_operator, now)
    }

    /// Begins a request of the native API of which nothing counts but its body, as [`Core::begin`] with its path.
    pub fn begin_native(&mut self, length: usize, is_operator: bool, now: f64) -> State {
        self.begin_plain("/v1/features", length, is_operator, now)
    }

    /// Begins a request of the native API that is to be answered in columns of numbers.
    pub fn begin_columns(
        &mut self,
        length: usize,
        are_scalars_narrow: bool,
        are_vectors_narrow: bool,
        now: f64,
    ) -> State {
        let body = self.memory.body(length);
        let numbers = Numbers { are_scalars_narrow, are_vectors_narrow, read_long: read_number };
        let step = self.service.begin_columns(body, numbers, instant(now));
        self.take(step)
    }

    /// Lets a reply in parts go on: its reader has taken the last part, or there is room for more.
    pub fn resume(&mut self, request: f64, now: f64) -> State {
        let step = self.service.resume(ticket(request), instant(now));
        self.take(step)
    }

    /// The next part of a reply in parts, where the last call has given one. Before the first, the head is where a whole reply's would
    /// be: [`Core::reply_status`], [`Core::reply_headers`].
    pub fn take_chunk(&mut self) -> Option<Vec<u8>> {
        self.chunk.take().map(|chunk| chunk.bytes)
    }

    /// Lets a request go on that was among the [woken](Core::take_woken).
    pub fn wake(&mut self, request: f64, now: f64) -> State {
        let step = self.service.wake(ticket(request), instant(now));
        self.take(step)
    }

    /// Forgets a request whose caller is gone; others may be [woken](Core::take_woken) in its place.
    pub fn abandon(&mut self, request: f64, now: f64) {
        let woken = self.service.abandon(ticket(request), instant(now));
        self.woken.extend(woken);
    }

    /// Has what waits to be written no longer wait for its time, since the host is about to end.
    pub fn close(&mut self) {
        self.service.close();
    }

    /// Whether a request is under way, be it behind its reply.
    pub fn is_under_way(&self, request: f64) -> bool {
        self.service.is_under_way(ticket(request))
    }

    /// The handle of the request that the last call was about, while it is under way; 0 when it is not.
    pub fn request(&self) -> f64 {
        self.request.map_or(0.0, |request| request.number() as f64)
    }

    /// Where the reply's body stands, as an address in the module's memory; it is good until the next call.
    pub fn reply_at(&self) -> usize {
        self.memory.reply_at()
    }

    /// How long the reply's body is, in bytes.
    pub fn reply_length(&self) -> usize {
        self.memory.reply_length()
    }

    /// The reply's HTTP status.
    pub fn reply_status(&self) -> u16 {
        self.memory.reply_status()
    }

    /// The reply's headers: names and values by turns, each with a line feed behind it. One text crosses sooner than many.
    pub fn reply_headers(&self) -> String {
        self.memory.reply().map(lines).unwrap_or_default()
    }

    /// The base URL of the origin that the request is to be passed on to.
    pub fn forward_base(&self) -> String {
        self.forward_base.clone()
    }

    /// Within how many milliseconds it is to be answered whole.
    pub fn forward_timeout(&self) -> f64 {
        self.forward_timeout
    }

    /// What the answer to that request says of it in `Cache-Status`.
    pub fn forward_cache_status(&self) -> String {
        self.cache_status.to_owned()
    }

    /// A header to add to what the origin answered, in the form of [`Core::reply_headers`]; empty where there is none.
    pub fn take_notice(&mut self) -> String {
        self.notice.take().map_or_else(String::new, |(name, value)| [name, "\n", value, "\n"].concat())
    }

    /// The handles of requests that may go on now.
    pub fn take_woken(&mut self) -> Array {
        self.woken.drain(..).map(|request| JsValue::from(request.number() as f64)).collect()
    }

    /// The effects to perform, all at once: each an object with a `number`, a `timeout` in milliseconds, and what [`JsEffect`] has of its
    /// `kind`.
    ///
    /// # Errors
    /// None that can happen.
    pub fn take_effects(&mut self, now: f64) -> Result<Array, JsError> {
        let Core { service, effects: under_way, .. } = self;
        let mut lost = |id| drop(service.take_body(id));
        let effects = core::mem::take(&mut self.new_effects);
        effects
            .iter()
            .map(|effect| {
                let number = under_way.begin(effect.id, effect.timeout_millis, instant(now).0, &mut lost);
                to_js(&JsEffect { number, timeout: effect.timeout_millis, request: JsIoRequest::of(&effect.request) })
            })
            .collect()
    }

    /// Tells what a read of `count` keys gave: at [`Core::input`] stands for each the length of its bytes as a little-endian number of
    /// four bytes, all of whose bits are set where there is nothing, and behind all lengths the bytes.
    pub fn complete_read(&mut self, number: u32, count: usize, now: f64) -> State {
        let (lengths, mut rest) = self.memory.written().split_at_checked(count.saturating_mul(4)).unwrap_or_default();
        let value = |length: &[u8; 4]| {
            let (bytes, behind) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = behind;
            Some(bytes.to_vec())
        };
        let values = lengths.as_chunks().0.iter().map(value).collect();
        self.complete(number, IoResult::Read(Ok(values)), now)
    }

    /// Tells that a read gave nothing, or that it would have given too much.
    pub fn fail_read(&mut self, number: u32, is_too_large: bool, now: f64) -> State {
        let failure = if is_too_large { ReadFailure::TooLarge } else { ReadFailure::Failed };
        self.complete(number, IoResult::Read(Err(failure)), now)
    }

    /// Where the next `length` bytes of the origin's answer are to be written, as an address in the module's memory, before the core is
    /// called again; 0 where there is no room for them. `expected` is how many are still to come, or 0 where that is not known.
    pub fn extend_body(&mut self, number: u32, length: usize, expected: usize) -> usize {
        let Some(&id) = self.effects.get(number) else { return 0 };
        self.service.extend_body(id, length, expected).map_or(0, |part| part.as_ptr() as usize)
    }

    /// Tells what the origin answered, with its `body` where it was not written [part by part](Core::extend_body).
    pub fn complete_fetch(
        &mut self,
        number: u32,
        status: u16,
        content_type: Option<String>,
        body: Option<Vec<u8>>,
        now: f64,
    ) -> State {
        let Some(&id) = self.effects.get(number) else { return State::Waiting };
        let body = body.unwrap_or_else(|| self.service.take_body(id));
        self.complete(number, IoResult::Fetched(Ok(OriginReply { status, content_type, body })), now)
    }

    /// Tells why the origin's answer could not be had; `coding` is the one that it is in, where that cannot be undone.
    pub fn fail_fetch(&mut self, number: u32, reason: FetchFault, coding: Option<String>, now: f64) -> State {
        let failure = match reason {
            FetchFault::TimedOut => FetchFailure::TimedOut,
            FetchFault::Unreachable => FetchFailure::Unreachable,
            FetchFault::TooLarge => FetchFailure::TooLarge,
            FetchFault::NoRoom => FetchFailure::NoRoom,
            FetchFault::Encoded => FetchFailure::Encoded { coding: coding.unwrap_or_default() },
        };
        self.complete(number, IoResult::Fetched(Err(failure)), now)
    }

    /// Tells how many rows of a write the store did not take, and of these how many since their own keys are written too often; when a
    /// quota of the store's is new that is used up; and whether the host lets the request make no further call.
    pub fn complete_write(
        &mut self,
        number: u32,
        failed: usize,
        rate_limited: usize,
        quota_resets_at: Option<f64>,
        is_request_spent: bool,
        now: f64,
    ) -> State {
        let quota_resets_at = quota_resets_at.map(instant);
        let outcome = WriteOutcome { failed, rate_limited, quota_resets_at, is_request_spent };
        self.complete(number, IoResult::Written(outcome), now)
    }

    /// Tells what the invalidation log answered; nothing where it did not.
    pub fn complete_log(&mut self, number: u32, answer: Option<Vec<u8>>, now: f64) -> State {
        self.complete(number, IoResult::Logged(answer), now)
    }

    /// Tells with which status the origin has begun to answer to a request that was passed on; 502 where it cannot, and none where it
    /// certainly never got the request.
    pub fn complete_pass(&mut self, number: u32, status: Option<u16>, now: f64) -> State {
        self.complete(number, IoResult::Forwarded(status), now)
    }

    /// Tells that a wait is over.
    pub fn complete_wait(&mut self, number: u32, now: f64) -> State {
        self.complete(number, IoResult::Waited, now)
    }

    /// Tells that nothing is to be told of an effect, since its request is over.
    pub fn forget(&mut self, number: u32) {
        if let Some(id) = self.effects.end(number) {
            self.service.take_body(id);
        }
    }

    /// What the built-in origin answers to `body`.
    pub fn synthesize(&self, body: &[u8], now: f64) -> Vec<u8> {
        self.service.synthesize(body, instant(now)).body
    }
}

/// Telemetry.
#[wasm_bindgen]
impl Core {
    /// Ingests what was noted of requests since this was last called. Afterwards there may be messages, and those too that would be due in
    /// `ahead` milliseconds.
    pub fn ingest_telemetry(&mut self, now: f64, ahead: f64) {
        let batch = self.service.take_records(instant(now));
        let config = self.service.config();
        let aggregator = self.aggregator.get_or_insert_with(|| Box::new(Aggregator::new(config.clone())));
        aggregator.take(&batch, instant(now + ahead));
        self.service.set_sla_status(aggregator.sla_status());
    }

    /// The next message that is due: `place`, a number that [`Core::acknowledge`] takes, and `kind`, that place's name (`webhook`, `traces`,
    /// `windows` or `analytics`); the `number` of the message; where `to`, a URL or the name under which the host has the place; its `body`;
    /// and the `timeout` in milliseconds.
    ///
    /// # Errors
    /// None that can happen.
    pub fn next_message(&mut self, now: f64) -> Result<JsValue, JsError> {
        let Some(aggregator) = &mut self.aggregator else { return Ok(JsValue::UNDEFINED) };
        let Some(message) = aggregator.next_message(instant(now)) else { return Ok(JsValue::UNDEFINED) };
        to_js(&Outgoing {
            place: message.place as usize,
            kind: message.place.name(),
            number: message.number,
            to: &message.to,
            body: Bytes::new(&message.body),
            timeout: aggregator.config().alerts.webhook_timeout_ms,
        })
    }

    /// Tells whether a message was taken.
    pub fn acknowledge(&mut self, place: usize, number: f64, is_taken: bool, now: f64) {
        if let (Some(aggregator), Some(&place)) = (&mut self.aggregator, PLACES.get(place)) {
            aggregator.told(place, number as u64, is_taken, instant(now));
        }
    }

    /// When telemetry has something to do though no request may come, in milliseconds; 0 where there is nothing.
    pub fn telemetry_due_at(&self, now: f64) -> f64 {
        let due_at = self.aggregator.as_ref().and_then(|aggregator| aggregator.next_at(instant(now)));
        due_at.map_or(0.0, |at| at.0 as f64)
    }

    /// The name under which the host has the windows of all isolates, where a report needs them and they are merged.
    pub fn windows_needed(&self, path: &str, query: &str) -> Option<String> {
        let telemetry = &self.service.config().telemetry;
        (needs_windows(path, query) && telemetry.aggregate).then(|| telemetry.binding.clone())
    }

    /// Replies to `GET` of a report's path, as a request is replied to; `merged` are the windows of all isolates, where they are needed
    /// and can be had.
    pub fn report(&mut self, path: &str, query: &str, merged: Option<Vec<u8>>, now: f64) {
        let reply = self.reported(path, query, merged.as_deref(), instant(now));
        self.memory.put(Some(reply));
    }
}

impl Core {
    /// Begins a request of which nothing counts but its body.
    fn begin_plain(&mut self, path: &str, length: usize, is_operator: bool, now: f64) -> State {
        let body = self.memory.body(length);
        let incoming = Incoming { method: "POST", path, body, is_operator, ..Incoming::default() };
        let step = self.service.begin(incoming, instant(now));
        self.take(step)
    }

    fn complete(&mut self, number: u32, outcome: IoResult, now: f64) -> State {
        let Some(id) = self.effects.end(number) else { return State::Waiting };
        let step = self.service.complete(id, outcome, instant(now));
        self.take(step)
    }

    fn take(&mut self, step: Transition) -> State {
        let is_more = !step.effects.is_empty() || !step.woken.is_empty();
        self.request = step.handle;
        self.new_effects.extend(step.effects);
        self.woken.extend(step.woken);
        self.chunk = step.chunk;
        let head = self.chunk.as_mut().and_then(|chunk| chunk.head.take());
        if let Some(last) = self.memory.put(head) {
            self.service.recycle(last);
        }
        self.memory.shrink();
        match step.response {
            Some(Response::Reply(reply)) => {
                self.memory.put(Some(reply));
                if is_more || self.request.is_some() { State::RepliedWithEffects } else { State::Replied }
            }
            Some(Response::Forward { base, bypass, timeout_millis }) => {
                self.forward_base = base;
                self.cache_status = bypass.cache_status();
                self.forward_timeout = timeout_millis as f64;
                State::Forward
            }
            Some(Response::Forwarded { notice }) => {
                self.notice = notice;
                State::Forwarded
            }
            Some(Response::Streamed) => State::Streamed,
            Some(Response::Asset) => State::Asset,
            None => State::Waiting,
        }
    }

    fn reported(&self, path: &str, query: &str, merged: Option<&[u8]>, now: Timestamp) -> Reply {
        let problem = |status, kind, title, detail| Reply::problem(status, problem::body(status, kind, title, detail));
        let (Some(report), Some(_)) = (Report::at(path), Scope::of(query)) else {
            return problem(400, "invalid-scope", "There is no such scope", "`scope` is `isolate` or `deployment`");
        };
        if needs_windows(path, query) && merged.is_none() {
            let detail = "`telemetry.aggregate` is off, or the object under `telemetry.binding` cannot be reached";
            return problem(503, "not-aggregated", "The deployment's figures are not at hand", detail);
        }
        let Some(aggregator) = &self.aggregator else {
            return problem(503, "telemetry-unavailable", "There is no telemetry yet", "nothing was ingested");
        };
        Reply::of_type(report.media_type(), aggregator.report(report, merged, now))
    }
}

/// The memory of this instance of the module.
#[wasm_bindgen]
pub fn instance_memory() -> JsValue {
    wasm_bindgen::memory()
}

/// The configuration that an object says; the default one where it is `undefined`.
pub(crate) fn config_from_js(config: JsValue) -> Result<Config, ConfigError> {
    if config.is_undefined() {
        return Ok(Config::default());
    }
    Config::parse(serde_wasm_bindgen::Deserializer::from(config))
}

fn to_js<T: Serialize>(value: &T) -> Result<JsValue, JsError> {
    // Absent values are left out, as JavaScript has it, and numbers are numbers: none here passes 2⁵³.
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_maps_as_objects(true);
    Ok(value.serialize(&serializer)?)
}

/// Whether a report is of all isolates, so that the windows that they sent are needed to write it.
fn needs_windows(path: &str, query: &str) -> bool {
    Report::at(path).is_some_and(|report| report != Report::Alerts) && Scope::of(query) == Some(Scope::Deployment)
}

fn lines(reply: &Reply) -> String {
    let mut lines = String::with_capacity(128);
    let headers = reply.headers();
    let headers = headers.iter().map(|header| (header.name, &*header.value));
    for (name, value) in reply.content_type().map(|value| ("content-type", value)).into_iter().chain(headers) {
        for part in [name, "\n", value, "\n"] {
            lines.push_str(part);
        }
    }
    lines
}

fn instant(now: f64) -> Timestamp {
    Timestamp(now as u64)
}

fn ticket(request: f64) -> RequestHandle {
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
    place: usize,
    kind: &'static str,
    number: u64,
    to: &'a str,
    body: &'a Bytes,
    timeout: u64,
}

/// An effect to perform within `timeout` milliseconds.
#[derive(Serialize)]
struct JsEffect<'a> {
    /// What to tell of it by.
    number: u32,
    timeout: u64,
    #[serde(flatten)]
    request: JsIoRequest<'a>,
}

/// What is to be done.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum JsIoRequest<'a> {
    /// Read `count` keys of equal length, which stand behind each other in `keys`, from a shard of a tier.
    Read { tier: &'static str, shard: u32, count: usize, keys: String },
    /// Write to a shard of a tier, to be kept so many seconds.
    Write { tier: &'static str, shard: u32, entries: Vec<(&'a str, &'a Bytes)>, ttl: u64 },
    /// RowQuery the origin or its registry.
    Fetch { method: &'static str, url: &'a str, body: &'a Bytes, max_bytes: usize, traceparent: Option<&'a str> },
    /// Have the built-in origin answer after `delay` milliseconds.
    Synthesize { delay: u64, body: &'a Bytes },
    /// Pass the request on to the origin at `base`, for an answer that says `cache_status`. Past the `timeout` its caller hears so, and its
    /// end is waited for still.
    Pass { base: &'a str, cache_status: &'static str },
    /// Append marks to the invalidation log, or none, and get what came after: an `Append`, to be answered by an `Appended`.
    Log { request: &'a Bytes },
    /// [Ingest](Core::ingest_telemetry) after the `timeout`, whether or not the request lasts as long.
    Ingest,
    /// Do nothing for the `timeout`, whether or not the request lasts as long.
    Rest,
    /// Do nothing for the `timeout`; of no use once the request is over.
    Wait,
}

impl<'a> JsIoRequest<'a> {
    fn of(task: &'a IoRequest) -> JsIoRequest<'a> {
        match task {
            IoRequest::ReadStore { tier, shard, keys } => JsIoRequest::Read {
                tier: tier.level(),
                shard: *shard,
                count: keys.len(),
                keys: keys.iter().map(StoreKey::as_str).collect(),
            },
            IoRequest::WriteStore { tier, shard, entries, ttl_seconds } => JsIoRequest::Write {
                tier: tier.level(),
                shard: *shard,
                entries: entries.iter().map(|(key, value)| (key.as_str(), Bytes::new(value))).collect(),
                ttl: *ttl_seconds,
            },
            IoRequest::Fetch(request) => JsIoRequest::Fetch {
                method: request.method,
                url: &request.url,
                body: Bytes::new(&request.body),
                max_bytes: request.max_bytes,
                traceparent: request.traceparent.as_deref(),
            },
            IoRequest::Synthesize { delay_millis, body } => {
                JsIoRequest::Synthesize { delay: *delay_millis, body: Bytes::new(body) }
            }
            IoRequest::Forward { base, bypass } => JsIoRequest::Pass { base, cache_status: bypass.cache_status() },
            IoRequest::Log { request } => JsIoRequest::Log { request: Bytes::new(request) },
            IoRequest::Records => JsIoRequest::Ingest,
            IoRequest::Wait { outlives_request: true } => JsIoRequest::Rest,
            IoRequest::Wait { outlives_request: false } => JsIoRequest::Wait,
        }
    }
}
