//! The Cloudflare Worker: the isolate's service, and Workers KV and Durable Objects under it.
//!
//! Decides nothing: what to read, fetch, write and answer is the service's to say. HTTP is `worker.mjs`'s, which calls [`begin`] once
//! for a request that L1 answers, and makes an [`Exchange`] for no other. Invariant: whatever a platform call does, it ends by its
//! order's timeout and its outcome is told, so that no request hangs on it.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, JSON, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use worker::{Context, Env, worker_sys};

use crate::host::desk::Desk;
use crate::host::table;
use config::Config;
use model::answer::Tier;
use model::time::Instant;
use protocol::problem;
use service::{Chunk, End, FetchFailure, Incoming, OrderId, OriginReply, Outcome, Reply, Service, Step, Task, Ticket};
use telemetry::sla;

/// The variable that holds the configuration.
const CONFIG: &str = "FEATHEREDGE";

/// The secret that says how stores are sealed and their keys are hidden; `sealed.mjs` has its form, and refuses all that it cannot use.
const STORE_KEYS: &str = "FEATHEREDGE_STORE_KEYS";

thread_local! {
    /// The isolate's service, or why its configuration cannot be used.
    static SERVICE: RefCell<Option<Result<Service, String>>> = const { RefCell::new(None) };
    /// What passes between JavaScript and a request that begins.
    static DESK: RefCell<Desk> = RefCell::new(Desk::default());
    /// What is to be done for the request that began last, until it is attended to.
    static BEGUN: Cell<Step> = Cell::new(Step::default());
    /// The requests under way that another may wake.
    static REQUESTS: RefCell<Vec<(Ticket, Rc<Request>)>> = const { RefCell::new(Vec::new()) };
}

/// The longest body whose memory is kept for the next: 256 KiB, which most fit in.
const MAX_KEPT_INPUT: usize = 256 << 10;

/// How many rows one request writes to KV, of the 1,000 calls of all kinds that a Worker may make for it.
const MAX_KV_WRITES: usize = 500;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn fill_random(bytes: &mut [u8]);

    /// A request and what becomes of it, as `worker.mjs` has them.
    pub type Exchange;

    /// Gives the reply its headers, in [lines].
    #[wasm_bindgen(method)]
    fn headers(this: &Exchange, lines: &str);

    /// Ends the request with a reply.
    #[wasm_bindgen(method)]
    fn reply(this: &Exchange, status: u16, body: Uint8Array);

    /// Gives the next part of a reply that goes out in parts, and closes it behind the last.
    #[wasm_bindgen(method)]
    fn chunk(this: &Exchange, bytes: Uint8Array, is_last: bool);

    /// Whether the reader of a reply in parts wants more: 1 if so, 0 if not yet, or there is none, -1 if it has gone away.
    #[wasm_bindgen(method)]
    fn appetite(this: &Exchange) -> i32;

    /// Ends the request with what the origin at `base` answers to it.
    #[wasm_bindgen(method)]
    fn forward(this: &Exchange, base: &str);

    /// Passes the request to the origin; resolves when it has begun to answer, or cannot.
    #[wasm_bindgen(method)]
    fn pass(this: &Exchange, base: &str) -> Promise;

    /// Ends the request with what [`pass`](Exchange::pass) brought.
    #[wasm_bindgen(method)]
    fn passed(this: &Exchange);

    /// Ends the request with a file of the page.
    #[wasm_bindgen(method)]
    fn asset(this: &Exchange);

    /// Asks the origin; gives an [`Answer`], `null` where it cannot be reached, and `undefined` where it is late.
    #[wasm_bindgen(method)]
    fn ask(
        this: &Exchange,
        method: &str,
        url: &str,
        body: Uint8Array,
        max_bytes: f64,
        traceparent: Option<&str>,
        millis: f64,
    ) -> Promise;

    /// Reads keys from a namespace of Workers KV: an array with bytes or `undefined` for each.
    #[wasm_bindgen(method, js_name = readStore)]
    fn read_store(this: &Exchange, binding: &str, keys: Array, millis: f64) -> Promise;

    /// Writes values under keys to a namespace of Workers KV; how many it did not take.
    #[wasm_bindgen(method, js_name = writeStore)]
    fn write_store(this: &Exchange, binding: &str, keys: Array, values: Array, ttl_seconds: f64) -> Promise;

    /// Reads keys from a shard of the storage tier: an array with bytes or `undefined` for each.
    #[wasm_bindgen(method, js_name = readShard)]
    fn read_shard(this: &Exchange, binding: &str, shard: u32, keys: Array, millis: f64) -> Promise;

    /// Writes values under keys to a shard of the storage tier; how many it did not take.
    #[wasm_bindgen(method, js_name = writeShard)]
    fn write_shard(
        this: &Exchange,
        binding: &str,
        shard: u32,
        keys: Array,
        values: Array,
        ttl_seconds: f64,
        max_bytes: f64,
        millis: f64,
    ) -> Promise;

    /// Tells the ledger of writes; what it says.
    #[wasm_bindgen(method)]
    fn tell(
        this: &Exchange,
        binding: &str,
        project: &str,
        after: f64,
        marks: Uint8Array,
        at: f64,
        keep_millis: f64,
        epoch: f64,
        spread_millis: f64,
        millis: f64,
    ) -> Promise;

    /// Brings whoever watches what [`take_records`] gives, after so many milliseconds; resolves when there is nothing more to do about it.
    #[wasm_bindgen(method)]
    fn records(this: &Exchange, millis: f64) -> Promise;

    /// Resolves when so many milliseconds have passed.
    #[wasm_bindgen(method)]
    fn sleep(this: &Exchange, millis: f64) -> Promise;

    /// Resolves with `true` when so many milliseconds have passed, or with `false` once the request is over.
    #[wasm_bindgen(method)]
    fn wait(this: &Exchange, millis: f64) -> Promise;

    /// Resolves with `true` when [`wake`](Exchange::wake) is called, or with `false` once the request is over.
    #[wasm_bindgen(method)]
    fn woken(this: &Exchange) -> Promise;

    /// Lets the request go on. It does so as itself: the runtime hands the promise's word to the request that waits for it,
    /// so that what it then reads and fetches is its own I/O.
    #[wasm_bindgen(method)]
    fn wake(this: &Exchange);

    /// Ends what waits: the request is over.
    #[wasm_bindgen(method)]
    fn over(this: &Exchange);

    /// What the origin answered.
    type Answer;

    #[wasm_bindgen(method, getter)]
    fn status(this: &Answer) -> u16;

    #[wasm_bindgen(method, getter, js_name = contentType)]
    fn content_type(this: &Answer) -> Option<String>;

    /// `undefined` where it passes the limit.
    #[wasm_bindgen(method, getter)]
    fn body(this: &Answer) -> Option<Vec<u8>>;
}

/// How many bytes of the request's body are to be read and passed to [`begin`], and at most one more; 0 where the body is
/// not looked at here.
#[wasm_bindgen]
pub fn body_limit(env: &Env, method: &str, path: &str) -> f64 {
    if start(env).is_err() {
        return 0.0;
    }
    with_service(|service| service.body_limit(method, path) as f64).unwrap_or_default()
}

/// What was told of requests since this was last called, as a batch for whoever watches.
#[wasm_bindgen]
pub fn take_records(env: &Env) -> Option<Vec<u8>> {
    start(env).ok()?;
    with_service(|service| service.take_records(now()))
}

/// Keeps what the aggregator says of the service level, for the answers from now on.
#[wasm_bindgen]
pub fn set_sla_status(env: &Env, status: u8) {
    if start(env).is_ok() {
        with_service(|service| service.set_sla_status(sla::Status::from_number(status)));
    }
}

/// What a request needs to be allowed: 0 nothing, 1 to read, 2 to write, 3 to operate. Nothing, too, where the configuration
/// cannot be used, which everyone is told.
#[wasm_bindgen]
pub fn right(env: &Env, method: &str, path: &str) -> u8 {
    if start(env).is_err() { 0 } else { Service::right(method, path) as u8 }
}

/// The module's memory, in which bodies are passed.
#[wasm_bindgen]
pub fn instance_memory() -> JsValue {
    wasm_bindgen::memory()
}

/// Where to write a body of `length` bytes, as an address in the module's memory; it is good until a request begins.
#[wasm_bindgen]
pub fn input(length: usize) -> usize {
    DESK.with_borrow_mut(|desk| desk.input(length))
}

/// Begins a request whose body of `length` bytes stands at [`input`]. Whether its reply is there already, to be read until the next
/// request begins: [`reply_at`] and so on. If not, an exchange is to [`attend`] to it.
#[wasm_bindgen]
#[expect(clippy::too_many_arguments, reason = "one crossing brings all that is known of a request")]
pub fn begin(
    method: &str,
    path: &str,
    length: usize,
    has_authorization: bool,
    is_operator: bool,
    accepts_lines: bool,
    caller: &str,
    query: &str,
    traceparent: &str,
    session: Option<String>,
    env: &Env,
) -> bool {
    if let Err(reason) = start(env) {
        let body = problem::body(503, "configuration", "The configuration cannot be used", &reason);
        DESK.with_borrow_mut(|desk| desk.put(Some(Reply::problem(503, body))));
        return true;
    }
    let session = session.as_deref();
    begin_with(
        Incoming {
            method,
            path,
            body: &[],
            has_authorization,
            is_operator,
            accepts_lines,
            caller,
            query,
            traceparent,
            session,
        },
        length,
    )
}

/// As [`begin`], for a request for features of which nothing counts but its body, once [`body_limit`] has given it a limit.
#[wasm_bindgen]
pub fn begin_features(is_native: bool, length: usize) -> bool {
    let path = if is_native { "/v1/features" } else { "/get-online-features" };
    begin_with(Incoming { method: "POST", path, ..Incoming::default() }, length)
}

fn begin_with(incoming: Incoming<'_>, length: usize) -> bool {
    DESK.with_borrow_mut(|desk| {
        let last = desk.put(None);
        let step = with_service(|service| {
            if let Some(reply) = last {
                service.recycle(reply);
            }
            service.begin(Incoming { body: desk.body(length), ..incoming }, now())
        })
        .unwrap_or_default();
        desk.shrink(MAX_KEPT_INPUT);
        let is_whole = step.is_whole();
        match step.end {
            Some(End::Reply(reply)) if is_whole => {
                desk.put(Some(reply));
                true
            }
            end => {
                BEGUN.set(Step { end, ..step });
                false
            }
        }
    })
}

/// Takes over the request that began last. Its exchange is told its end.
#[wasm_bindgen]
pub fn attend(exchange: Exchange, context: worker_sys::Context) {
    let step = BEGUN.take();
    let context = Context::new(context);
    let request = Rc::new(Request {
        exchange,
        context,
        ticket: Cell::new(None),
        running: Cell::new(0),
        has_ended: Cell::new(false),
    });
    request.take(step);
}

/// Where the body of the reply stands, as an address in the module's memory.
#[wasm_bindgen]
pub fn reply_at() -> usize {
    DESK.with_borrow(Desk::reply_at)
}

/// How long the body of the reply is, in bytes.
#[wasm_bindgen]
pub fn reply_length() -> usize {
    DESK.with_borrow(Desk::reply_length)
}

/// The HTTP status of the reply.
#[wasm_bindgen]
pub fn reply_status() -> u16 {
    DESK.with_borrow(Desk::reply_status)
}

/// The headers of the reply, in [lines].
#[wasm_bindgen]
pub fn reply_headers() -> String {
    DESK.with_borrow(|desk| desk.reply().map(lines)).unwrap_or_default()
}

/// Makes the isolate's service with its first request: only then are the configuration and randomness there.
fn start(env: &Env) -> Result<(), String> {
    SERVICE.with_borrow_mut(|slot| {
        let service = slot.get_or_insert_with(|| {
            let table = Reflect::get(env, &CONFIG.into()).unwrap_or(JsValue::UNDEFINED);
            let mut config = table::config(&table).map_err(|error| error.to_string())?;
            config.l2.max_writes_per_request.get_or_insert(MAX_KV_WRITES);
            let mut seed = [0; 8];
            fill_random(&mut seed);
            let is_private = config.private_keys;
            let mut service = Service::new(config, u64::from_le_bytes(seed));
            if let Some(names) = is_private.then(|| names(env)).flatten() {
                service.hide_shards(&names);
            }
            Ok(service)
        });
        service.as_ref().map(|_| ()).map_err(Clone::clone)
    })
}

/// What store keys are hidden by.
fn names(env: &Env) -> Option<String> {
    let secret = Reflect::get(env, &STORE_KEYS.into()).ok()?.as_string()?;
    Reflect::get(&JSON::parse(&secret).ok()?, &"names".into()).ok()?.as_string()
}

/// Uses the isolate's service; `None` where there is none.
fn with_service<T>(use_it: impl FnOnce(&mut Service) -> T) -> Option<T> {
    SERVICE.with_borrow_mut(|slot| slot.as_mut().and_then(|service| service.as_mut().ok()).map(use_it))
}

fn now() -> Instant {
    Instant(js_sys::Date::now() as u64)
}

/// A request under way.
struct Request {
    exchange: Exchange,
    context: Context,
    /// What the service knows it by, for as long as it does.
    ticket: Cell<Option<Ticket>>,
    /// How many orders are being performed.
    running: Cell<usize>,
    has_ended: Cell<bool>,
}

impl Request {
    /// Begins a step's orders, all at once, and ends the request where the step does; what runs then goes on behind it.
    fn take(self: &Rc<Self>, step: Step) {
        // What waited for something else before it looked for rows goes on under another name.
        if let Some(ticket) = step.ticket.filter(|&ticket| Some(ticket) != self.ticket.get()) {
            self.rename(ticket);
        }
        self.running.set(self.running.get() + step.orders.len());
        for order in step.orders {
            let (promise, promised) = self.perform(order.task, order.timeout_millis);
            self.when(promise, Some((order.id, promised)));
        }
        wake(&step.woken);
        let has_chunk = step.chunk.is_some();
        if let Some(Chunk { head, bytes }) = step.chunk {
            head.iter().for_each(|head| send_headers(&self.exchange, head));
            self.exchange.chunk(bytes.as_slice().into(), step.end.is_some());
        }
        self.end(step.end);
        if has_chunk {
            self.feed();
        }
        if let Some(ticket) = self.ticket.get()
            && with_service(|service| service.is_under_way(ticket)) != Some(true)
        {
            self.ticket.set(None);
            REQUESTS.with_borrow_mut(|requests| requests.retain(|(known, _)| *known != ticket));
            self.exchange.over();
        }
    }

    /// Lets a reply in parts go on where its reader wants more, and forgets it where the reader has gone.
    fn feed(self: &Rc<Self>) {
        let Some(ticket) = self.ticket.get().filter(|_| !self.has_ended.get()) else { return };
        match self.exchange.appetite() {
            0 => {}
            1 => self.take(with_service(|service| service.taken(ticket, now())).unwrap_or_default()),
            _ => {
                self.has_ended.set(true);
                let woken = with_service(|service| service.abandon(ticket, now())).unwrap_or_default();
                self.take(Step { woken, ..Step::default() });
            }
        }
    }

    fn end(&self, end: Option<End>) {
        if self.has_ended.get() {
            return;
        }
        match end {
            Some(End::Reply(reply)) => {
                send(&self.exchange, &reply);
                with_service(|service| service.recycle(reply));
            }
            Some(End::Forward { base }) => self.exchange.forward(&base),
            Some(End::Forwarded { notice }) => {
                if let Some((name, value)) = notice {
                    self.exchange.headers(&[name, "\n", value, "\n"].concat());
                }
                self.exchange.passed();
            }
            Some(End::Streamed) => {}
            Some(End::Asset) => self.exchange.asset(),
            None if self.running.get() > 0 => return,
            None => {
                let body = problem::body(500, "internal", "Internal error", "the request was lost");
                send(&self.exchange, &Reply::problem(500, body));
            }
        }
        self.has_ended.set(true);
    }

    /// Lets others wake it: whenever one does, it goes on by itself.
    fn rename(self: &Rc<Self>, ticket: Ticket) {
        let former = self.ticket.replace(Some(ticket));
        REQUESTS.with_borrow_mut(|requests| {
            requests.retain(|(known, _)| Some(*known) != former);
            requests.push((ticket, Rc::clone(self)));
        });
        if former.is_none() {
            self.when(self.exchange.woken(), None);
        }
    }

    /// Goes on when a promise is kept: of an order, or else of [`Exchange::woken`]. One kind of future for all of them, since each weighs
    /// a kilobyte and more.
    fn when(self: &Rc<Self>, promise: Promise, order: Option<(OrderId, Promised)>) {
        let request = Rc::clone(self);
        self.context.wait_until(async move {
            let given = JsFuture::from(promise).await.unwrap_or(JsValue::UNDEFINED);
            match order {
                Some((id, promised)) => request.complete(id, promised, &given),
                None if given == JsValue::TRUE => request.go_on(),
                None => {}
            }
        });
    }

    fn complete(self: &Rc<Self>, id: OrderId, promised: Promised, given: &JsValue) {
        self.running.set(self.running.get() - 1);
        let outcome = promised.outcome(given);
        let step = outcome.and_then(|outcome| with_service(|service| service.complete(id, outcome, now())));
        self.take(step.unwrap_or_default());
    }

    /// Goes on since another has woken it, and waits to be woken again for as long as it is known.
    fn go_on(self: &Rc<Self>) {
        let Some(ticket) = self.ticket.get() else { return };
        self.take(with_service(|service| service.wake(ticket, now())).unwrap_or_default());
        self.feed();
        if self.ticket.get().is_some() {
            self.when(self.exchange.woken(), None);
        }
    }

    /// Has an order performed. What is promised comes in time, for the platform's clock is set to it.
    fn perform(&self, task: Task, timeout_millis: u64) -> (Promise, Promised) {
        let exchange = &self.exchange;
        let millis = timeout_millis as f64;
        let binding = |of: fn(&Config) -> &String| with_service(|service| of(service.config()).clone());
        match task {
            Task::ReadStore { tier, shard, keys } => {
                let keys = keys.iter().map(|key| JsValue::from_str(key.as_str())).collect();
                let read = if tier == Tier::L3 {
                    exchange.read_shard(&binding(|config| &config.l3.binding).unwrap_or_default(), shard, keys, millis)
                } else {
                    exchange.read_store(&binding(|config| &config.l2.binding).unwrap_or_default(), keys, millis)
                };
                (read, Promised::Values)
            }
            Task::WriteStore { tier, shard, entries, ttl_seconds } => {
                let (keys, values) = (Array::new(), Array::new());
                for (key, value) in &entries {
                    keys.push(&key.as_str().into());
                    values.push(&Uint8Array::from(value.as_slice()));
                }
                let ttl = ttl_seconds as f64;
                let written = if tier == Tier::L3 {
                    let binding = binding(|config| &config.l3.binding).unwrap_or_default();
                    let most = with_service(|service| service.config().l3.shard_bytes).unwrap_or_default() as f64;
                    exchange.write_shard(&binding, shard, keys, values, ttl, most, millis)
                } else {
                    let binding = binding(|config| &config.l2.binding).unwrap_or_default();
                    exchange.write_store(&binding, keys, values, ttl)
                };
                (written, Promised::Failures { of: entries.len() })
            }
            Task::Ledger { after, epoch, marks, at, spread_millis, keep_millis } => {
                let project = binding(|config| &config.project).unwrap_or_default();
                let binding = binding(|config| &config.l3.ledger_binding).unwrap_or_default();
                let (after, epoch) = (after as f64, epoch as f64);
                let (at, keep, spread) = (at.0 as f64, keep_millis as f64, spread_millis as f64);
                let marks = marks.as_slice().into();
                let told = exchange.tell(&binding, &project, after, marks, at, keep, epoch, spread, millis);
                (told, Promised::Marks)
            }
            Task::Fetch(asked) => {
                let (body, most) = (asked.body.as_slice().into(), asked.max_bytes as f64);
                let trace = asked.traceparent.as_deref();
                (exchange.ask(asked.method, &asked.url, body, most, trace, millis), Promised::Answer)
            }
            Task::Synthesize { delay_millis, body } => {
                let body = (delay_millis <= timeout_millis).then_some(body);
                (exchange.sleep(delay_millis.min(timeout_millis) as f64), Promised::Synthesis(body))
            }
            Task::Forward { base } => (exchange.pass(&base), Promised::Passed),
            Task::Records => (exchange.records(millis), Promised::Time),
            Task::Wait { outlives_request: true } => (exchange.sleep(millis), Promised::Time),
            Task::Wait { outlives_request: false } => (exchange.wait(millis), Promised::Patience),
        }
    }
}

/// What the platform has promised to give.
enum Promised {
    /// The bytes of a read's keys.
    Values,
    /// How many of so many rows a store did not take.
    Failures {
        of: usize,
    },
    /// What the ledger says.
    Marks,
    /// What the origin answers.
    Answer,
    /// The time to answer in the origin's place; not where that is later than is waited for.
    Synthesis(Option<Vec<u8>>),
    Passed,
    Time,
    /// `true`, or nothing of consequence where the wait was dropped.
    Patience,
}

impl Promised {
    /// What came of the order; nothing of a wait that was dropped.
    fn outcome(self, given: &JsValue) -> Option<Outcome> {
        Some(match self {
            Promised::Values => Outcome::Read(given.dyn_ref().map(|values: &Array| values.iter().map(bytes).collect())),
            Promised::Failures { of } => Outcome::Written(given.as_f64().map_or(of, |failed| failed as usize)),
            Promised::Marks => Outcome::Heard(bytes(given.clone())),
            Promised::Answer => Outcome::Fetched(answered(given)),
            Promised::Synthesis(body) => {
                let reply = body.and_then(|body| with_service(|service| service.synthesize(&body, now())));
                Outcome::Fetched(reply.ok_or(FetchFailure::TimedOut))
            }
            Promised::Passed => Outcome::Forwarded,
            Promised::Time => Outcome::Waited,
            Promised::Patience => return (*given == JsValue::TRUE).then_some(Outcome::Waited),
        })
    }
}

fn bytes(value: JsValue) -> Option<Vec<u8>> {
    value.dyn_ref().map(Uint8Array::to_vec)
}

fn answered(given: &JsValue) -> Result<OriginReply, FetchFailure> {
    if given.is_undefined() {
        return Err(FetchFailure::TimedOut);
    } else if given.is_null() {
        return Err(FetchFailure::Unreachable);
    }
    let answer: &Answer = given.unchecked_ref();
    let body = answer.body().ok_or(FetchFailure::TooLarge)?;
    Ok(OriginReply { status: answer.status(), content_type: answer.content_type(), body })
}

fn wake(tickets: &[Ticket]) {
    let find = |ticket: &Ticket| {
        REQUESTS.with_borrow(|requests| {
            requests.iter().find(|(known, _)| known == ticket).map(|(_, request)| Rc::clone(request))
        })
    };
    for request in tickets.iter().filter_map(find) {
        request.exchange.wake();
    }
}

fn send(exchange: &Exchange, reply: &Reply) {
    send_headers(exchange, reply);
    exchange.reply(reply.status(), reply.body().into());
}

fn send_headers(exchange: &Exchange, reply: &Reply) {
    exchange.headers(&lines(reply));
}

/// A reply's headers: names and values by turns, each with a line feed behind it. One text crosses sooner than many.
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
