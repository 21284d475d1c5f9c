//! The core for JavaScript hosts: bodies in and out through one buffer each, orders as plain objects.
//!
//! Decides nothing, and makes one crossing for a request that L1 answers: JavaScript writes the body where
//! [`Core::input`] says, calls [`Core::begin`], and reads the reply where [`Core::reply_at`] says. Whatever a call says
//! beside its [`State`] is to be taken before the next call: [`Core::take_orders`], [`Core::take_woken`], [`Core::ticket`].

use hashbrown::HashMap;
use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsError, JsValue, prelude::wasm_bindgen};

use crate::host::desk::Desk;
use crate::host::table;
use model::key::StoreKey;
use model::time::Instant;
use protocol::native::Numbers;
use service::{Chunk, End, FetchFailure, Incoming, Order, OrderId, OriginReply, Outcome, Service, Step, Task, Ticket};
use telemetry::sla;

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
    /// Orders are to be performed, if there are any, and outcomes to be told.
    Waiting = 1,
    /// The request is to be passed on to [`Core::forward_base`], and the answer passed back.
    Forward = 2,
    /// The answer to the request that was passed on by an order is to be passed back.
    Forwarded = 3,
    /// The request is a file's to answer.
    Asset = 4,
    /// The reply is there to be read, and what is ordered is to be done behind it.
    RepliedWithOrders = 5,
    /// The last part of the reply is there to be [taken](Core::take_chunk), and what is ordered is to be done behind it.
    Streamed = 6,
}

/// The serving core of one JavaScript host.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Core {
    service: Service,
    desk: Desk,
    forward_base: String,
    ticket: Option<Ticket>,
    chunk: Option<Chunk>,
    orders: Vec<Order>,
    woken: Vec<Ticket>,
    order_ids: HashMap<u32, OrderId, foldhash::fast::FixedState>,
    next_order: u32,
}

#[wasm_bindgen]
impl Core {
    /// A core with `config`, the table that `docs/configuration.md` describes; `seed` is any random number.
    ///
    /// # Errors
    /// Which key of the configuration cannot be used.
    #[wasm_bindgen(constructor)]
    pub fn new(config: JsValue, seed: u64) -> Result<Core, JsError> {
        let mut config = table::config(&config)?;
        // It is an object of Cloudflare's.
        config.writes.ledger = false;
        Ok(Core {
            service: Service::new(config, seed),
            desk: Desk::default(),
            forward_base: String::new(),
            ticket: None,
            chunk: None,
            orders: Vec::new(),
            woken: Vec::new(),
            order_ids: HashMap::default(),
            next_order: 0,
        })
    }

    /// Where to write a body of `length` bytes, as an address in the module's memory.
    pub fn input(&mut self, length: usize) -> usize {
        self.desk.input(length)
    }

    /// How many bytes of a request's body are to be read, and at most one more; 0 where the body is not looked at here.
    pub fn body_limit(&self, method: &str, path: &str) -> usize {
        self.service.body_limit(method, path)
    }

    /// Begins a request, whose body of `length` bytes stands at [`Core::input`], at `now` in milliseconds.
    #[expect(clippy::too_many_arguments, reason = "one crossing brings all that is known of a request")]
    pub fn begin(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        length: usize,
        has_authorization: bool,
        is_operator: bool,
        accepts_lines: bool,
        traceparent: &str,
        session: Option<String>,
        now: f64,
    ) -> State {
        let body = self.desk.body(length);
        let session = session.as_deref();
        let incoming = Incoming {
            method,
            path,
            query,
            body,
            has_authorization,
            traceparent,
            is_operator,
            accepts_lines,
            caller: "",
            session,
        };
        let step = self.service.begin(incoming, instant(now));
        self.take(step)
    }

    /// Begins a request of Feast's contract, as [`Core::begin`] with its path, which is not passed each time.
    pub fn begin_feast(&mut self, length: usize, now: f64) -> State {
        self.begin_own("/get-online-features", length, now)
    }

    /// Begins a request of the native API, as [`Core::begin`] with its path.
    pub fn begin_native(&mut self, length: usize, now: f64) -> State {
        self.begin_own("/v1/features", length, now)
    }

    /// Begins a request of the native API that is to be answered in columns of numbers.
    pub fn begin_columns(
        &mut self,
        length: usize,
        are_scalars_narrow: bool,
        are_vectors_narrow: bool,
        now: f64,
    ) -> State {
        let body = self.desk.body(length);
        let numbers = Numbers { are_scalars_narrow, are_vectors_narrow, read_long: read_number };
        let step = self.service.begin_columns(body, numbers, instant(now));
        self.take(step)
    }

    /// Lets a reply in parts go on: its reader has taken the last part, or there is room for more.
    pub fn taken(&mut self, ticket: f64, now: f64) -> State {
        let step = self.service.taken(Ticket::from_number(ticket as u64), instant(now));
        self.take(step)
    }

    /// The next part of a reply in parts, where the last call has given one. Before the first, the head is where a whole reply's would
    /// be: [`Core::reply_status`], [`Core::reply_headers`].
    pub fn take_chunk(&mut self) -> Option<Vec<u8>> {
        self.chunk.take().map(|chunk| chunk.bytes)
    }

    /// Lets a request go on that was among the [woken](Core::take_woken).
    pub fn wake(&mut self, ticket: f64, now: f64) -> State {
        let step = self.service.wake(Ticket::from_number(ticket as u64), instant(now));
        self.take(step)
    }

    /// Forgets a request whose caller is gone; others may be [woken](Core::take_woken) in its place.
    pub fn abandon(&mut self, ticket: f64, now: f64) {
        let woken = self.service.abandon(Ticket::from_number(ticket as u64), instant(now));
        self.woken.extend(woken);
    }

    /// Has what waits to be written no longer wait for its time, since the host is about to end.
    pub fn close(&mut self) {
        self.service.close();
    }

    /// Whether a request is under way, be it behind its reply.
    pub fn is_under_way(&self, ticket: f64) -> bool {
        self.service.is_under_way(Ticket::from_number(ticket as u64))
    }

    /// The name of the request that the last call was about, while it is under way; 0 when it is not.
    pub fn ticket(&self) -> f64 {
        self.ticket.map_or(0.0, |ticket| ticket.number() as f64)
    }

    /// Where the reply's body stands, as an address in the module's memory; it is good until the next call.
    pub fn reply_at(&self) -> usize {
        self.desk.reply_at()
    }

    /// How long the reply's body is, in bytes.
    pub fn reply_length(&self) -> usize {
        self.desk.reply_length()
    }

    /// The reply's HTTP status.
    pub fn reply_status(&self) -> u16 {
        self.desk.reply_status()
    }

    /// The reply's headers, as pairs.
    pub fn reply_headers(&self) -> Array {
        let pair = |name: &str, value: &str| Array::of2(&name.into(), &value.into());
        let Some(reply) = self.desk.reply() else { return Array::new() };
        let content_type = reply.content_type().map(|value| pair("content-type", value));
        let headers = reply.headers().into_iter().map(|header| pair(header.name, &header.value));
        content_type.into_iter().chain(headers).collect()
    }

    /// The base URL of the origin that the request is to be passed on to.
    pub fn forward_base(&self) -> String {
        self.forward_base.clone()
    }

    /// The names of requests that may go on now.
    pub fn take_woken(&mut self) -> Array {
        self.woken.drain(..).map(|ticket| JsValue::from(ticket.number() as f64)).collect()
    }

    /// The orders to perform, all at once: each an object with a `number`, a `timeout` in milliseconds, and either the
    /// `count` keys of equal length to read from a `tier`, as one text `keys`, the `entries` to write to it with their `ttl` in seconds, the `method`, `url`, `body` and
    /// `maxBytes` to fetch (without `url`, from the built-in origin after `delay` milliseconds), `passTo`, the base URL to pass
    /// the request on to, `outlives`, to do nothing for the `timeout`, whether or not the request lasts as long, or `records`, to give
    /// what [`Core::take_records`] gives to whoever watches after the `timeout`.
    ///
    /// # Errors
    /// None that can happen on plain objects.
    pub fn take_orders(&mut self) -> Result<Array, JsValue> {
        let orders = core::mem::take(&mut self.orders);
        let objects = Array::new();
        for order in orders {
            objects.push(&self.describe(order)?.into());
        }
        Ok(objects)
    }

    /// Tells what a read of `count` keys gave: at [`Core::input`] stands for each the length of its bytes as a little-endian number of
    /// four bytes, all of whose bits are set where there is nothing, and behind all lengths the bytes. Without a count the read failed.
    pub fn complete_read(&mut self, number: u32, count: Option<usize>, now: f64) -> State {
        let values = count.map(|count| {
            let (lengths, mut rest) = self.desk.written().split_at_checked(count.saturating_mul(4)).unwrap_or_default();
            let value = |length: &[u8; 4]| {
                let (bytes, behind) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                rest = behind;
                Some(bytes.to_vec())
            };
            lengths.as_chunks().0.iter().map(value).collect()
        });
        self.complete(number, Outcome::Read(values), now)
    }

    /// Tells what the origin answered.
    pub fn complete_fetch(
        &mut self,
        number: u32,
        status: u16,
        content_type: Option<String>,
        body: Vec<u8>,
        now: f64,
    ) -> State {
        self.complete(number, Outcome::Fetched(Ok(OriginReply { status, content_type, body })), now)
    }

    /// Tells that the origin did not answer in time, or answered too much, or else nothing.
    pub fn fail_fetch(&mut self, number: u32, is_timeout: bool, is_too_large: bool, now: f64) -> State {
        let failure = match (is_timeout, is_too_large) {
            (true, _) => FetchFailure::TimedOut,
            (_, true) => FetchFailure::TooLarge,
            _ => FetchFailure::Unreachable,
        };
        self.complete(number, Outcome::Fetched(Err(failure)), now)
    }

    /// Tells how many rows of a write the store did not take.
    pub fn complete_write(&mut self, number: u32, failed: usize, now: f64) -> State {
        self.complete(number, Outcome::Written(failed), now)
    }

    /// Tells that the origin has begun to answer to a request that was passed on, or cannot.
    pub fn complete_pass(&mut self, number: u32, now: f64) -> State {
        self.complete(number, Outcome::Forwarded, now)
    }

    /// Tells that a wait is over.
    pub fn complete_wait(&mut self, number: u32, now: f64) -> State {
        self.complete(number, Outcome::Waited, now)
    }

    /// What was told of requests since this was last called, as a batch for whoever watches.
    pub fn take_records(&mut self, now: f64) -> Vec<u8> {
        self.service.take_records(instant(now))
    }

    /// Keeps what the aggregator says of the service level, for the answers from now on.
    pub fn set_sla_status(&mut self, status: u8) {
        self.service.set_sla_status(sla::Status::from_number(status));
    }

    /// Tells that nothing is to be told of an order, since its request is over.
    pub fn forget(&mut self, number: u32) {
        self.order_ids.remove(&number);
    }

    /// What the built-in origin answers to `body`.
    pub fn synthesize(&self, body: &[u8], now: f64) -> Vec<u8> {
        self.service.synthesize(body, instant(now)).body
    }
}

impl Core {
    /// Begins a request of this process's own.
    fn begin_own(&mut self, path: &str, length: usize, now: f64) -> State {
        let body = self.desk.body(length);
        let incoming = Incoming { method: "POST", path, body, is_operator: true, ..Incoming::default() };
        let step = self.service.begin(incoming, instant(now));
        self.take(step)
    }

    fn complete(&mut self, number: u32, outcome: Outcome, now: f64) -> State {
        let Some(id) = self.order_ids.remove(&number) else { return State::Waiting };
        let step = self.service.complete(id, outcome, instant(now));
        self.take(step)
    }

    fn take(&mut self, step: Step) -> State {
        let is_more = !step.orders.is_empty() || !step.woken.is_empty();
        self.ticket = step.ticket;
        self.orders.extend(step.orders);
        self.woken.extend(step.woken);
        self.chunk = step.chunk;
        let head = self.chunk.as_mut().and_then(|chunk| chunk.head.take());
        if let Some(last) = self.desk.put(head) {
            self.service.recycle(last);
        }
        match step.end {
            Some(End::Reply(reply)) => {
                self.desk.put(Some(reply));
                if is_more || self.ticket.is_some() { State::RepliedWithOrders } else { State::Replied }
            }
            Some(End::Forward { base }) => {
                self.forward_base = base;
                State::Forward
            }
            Some(End::Forwarded { .. }) => State::Forwarded,
            Some(End::Streamed) => State::Streamed,
            Some(End::Asset) => State::Asset,
            None => State::Waiting,
        }
    }

    fn describe(&mut self, order: Order) -> Result<Object, JsValue> {
        let object = Object::new();
        let set = |key: &str, value: JsValue| Reflect::set(&object, &key.into(), &value).map(|_| ());
        set("timeout", (order.timeout_millis as f64).into())?;
        match order.task {
            Task::ReadStore { tier, keys, .. } => {
                set("tier", tier.level().into())?;
                set("count", keys.len().into())?;
                let keys: Vec<&str> = keys.iter().map(StoreKey::as_str).collect();
                set("keys", keys.concat().into())?;
            }
            Task::WriteStore { tier, entries, ttl_seconds, .. } => {
                set("tier", tier.level().into())?;
                let entry = |(key, value): (StoreKey, Vec<u8>)| {
                    Array::of2(&key.as_str().into(), &Uint8Array::from(value.as_slice()))
                };
                set("entries", entries.into_iter().map(entry).collect::<Array>().into())?;
                set("ttl", (ttl_seconds as f64).into())?;
            }
            Task::Fetch(request) => {
                set("method", request.method.into())?;
                set("url", request.url.into())?;
                set("body", Uint8Array::from(request.body.as_slice()).into())?;
                set("maxBytes", (request.max_bytes as f64).into())?;
                set("traceparent", request.traceparent.map_or(JsValue::UNDEFINED, JsValue::from))?;
            }
            Task::Records => set("records", true.into())?,
            // No JavaScript host has a ledger, so this is never ordered.
            Task::Ledger { .. } => {}
            Task::Wait { outlives_request } => set("outlives", outlives_request.into())?,
            Task::Forward { base } => set("passTo", base.into())?,
            Task::Synthesize { delay_millis, body } => {
                set("method", "POST".into())?;
                set("delay", (delay_millis as f64).into())?;
                set("body", Uint8Array::from(body.as_slice()).into())?;
            }
        }
        let number = self.next_order;
        self.next_order = self.next_order.wrapping_add(1);
        self.order_ids.insert(number, order.id);
        set("number", number.into())?;
        Ok(object)
    }
}

fn instant(now: f64) -> Instant {
    Instant(now as u64)
}

/// The memory of this instance of the module.
#[wasm_bindgen]
pub fn instance_memory() -> JsValue {
    wasm_bindgen::memory()
}
