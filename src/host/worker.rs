//! The Cloudflare Worker: requests from `fetch`, rows from Workers KV, the rest from the origin.
//!
//! Decides nothing: what to read, fetch, write and answer is the service's to say. Invariant: whatever a platform call
//! does, it ends by its order's timeout and its outcome is told, so that no request hangs on it.

use core::cell::RefCell;
use core::future::Future;
use core::pin::pin;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::{Either, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::kv::KvStore;
use worker::{
    AbortController, Context, Delay, Env, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, event, web_sys,
};

use crate::config::Config;
use crate::model::key::StoreKey;
use crate::model::time::Instant;
use crate::protocol::problem;
use crate::service::{
    End, FetchFailure, Incoming, Order, OrderId, OriginReply, OriginRequest, Outcome, Reply, Service, Step, Task,
};

/// The variable that holds the configuration.
const CONFIG: &str = "FEATHEREDGE";

/// The secret that holds the value of the `Authorization` header for the origin.
const ORIGIN_AUTHORIZATION: &str = "FEATHEREDGE_ORIGIN_AUTHORIZATION";

/// The static assets' binding.
const ASSETS: &str = "ASSETS";

thread_local! {
    /// The isolate's service, or why its configuration cannot be used.
    static SERVICE: RefCell<Option<Result<Service, String>>> = const { RefCell::new(None) };
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn fill_random(bytes: &Uint8Array);
}

/// Serves a request.
///
/// # Errors
/// Where the platform itself fails.
#[event(fetch)]
async fn fetch(mut request: Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    if let Err(reason) = start(&env) {
        let body = problem::body(503, "configuration", "The configuration cannot be used", &reason);
        return response(&Reply::problem(503, body));
    }
    let limit = with_service(|service| service.config().limits.body_bytes).unwrap_or_default();
    let method = request.inner().method();
    let path = request.path();
    let body = if method == "POST" && is_ours(&path) { Some(read_body(&mut request, limit).await?) } else { None };
    let incoming = Incoming {
        method: &method,
        path: &path,
        body: body.as_deref().unwrap_or_default(),
        has_authorization: request.headers().has("authorization")? && env.secret(ORIGIN_AUTHORIZATION).is_err(),
    };
    let step = with_service(|service| service.begin(incoming, now())).unwrap_or_default();
    match drive(step, &env, &context).await {
        Some(End::Reply(reply)) => {
            let response = response(&reply);
            with_service(|service| service.recycle(reply));
            response
        }
        Some(End::Forward { base }) => forward(&request, body, &base, &env).await,
        Some(End::Asset) => Ok(env.assets(ASSETS)?.fetch_request(request).await?.into()),
        None => {
            response(&Reply::problem(500, problem::body(500, "internal", "Internal error", "the request was lost")))
        }
    }
}

/// Whether the path's body is read here, and not passed on as it comes.
fn is_ours(path: &str) -> bool {
    matches!(path, "/get-online-features" | "/v1/features")
}

/// Makes the isolate's service with its first request: only then are the configuration and randomness there.
fn start(env: &Env) -> Result<(), String> {
    SERVICE.with_borrow_mut(|slot| {
        let service = slot.get_or_insert_with(|| {
            let table = Reflect::get(env, &CONFIG.into()).unwrap_or(JsValue::UNDEFINED);
            let config = if table.is_undefined() {
                Config::default()
            } else {
                Config::parse(serde_wasm_bindgen::Deserializer::from(table)).map_err(|error| error.to_string())?
            };
            let bytes = Uint8Array::new_with_length(8);
            fill_random(&bytes);
            let mut seed = [0; 8];
            bytes.copy_to(&mut seed);
            Ok(Service::new(config, u64::from_le_bytes(seed)))
        });
        service.as_ref().map(|_| ()).map_err(Clone::clone)
    })
}

/// Uses the isolate's service; `None` where there is none.
fn with_service<T>(use_it: impl FnOnce(&mut Service) -> T) -> Option<T> {
    SERVICE.with_borrow_mut(|slot| slot.as_mut().and_then(|service| service.as_mut().ok()).map(use_it))
}

fn now() -> Instant {
    Instant(js_sys::Date::now() as u64)
}

/// Performs a request's orders, all at once, until it ends; what is left then goes on behind the response.
async fn drive(mut step: Step, env: &Env, context: &Context) -> Option<End> {
    let mut running = FuturesUnordered::new();
    loop {
        running.extend(step.orders.into_iter().map(|order| perform(order, env.clone())));
        if let Some(end) = step.end {
            if !running.is_empty() {
                context.wait_until(finish(running));
            }
            return Some(end);
        }
        let (id, outcome) = running.next().await?;
        step = with_service(|service| service.complete(id, outcome, now()))?;
    }
}

/// Performs what is left of a request that has ended, and what comes of that.
async fn finish(mut running: FuturesUnordered<impl Future<Output = (OrderId, Outcome)>>) {
    while let Some((id, outcome)) = running.next().await {
        with_service(|service| service.complete(id, outcome, now()));
    }
}

async fn perform(order: Order, env: Env) -> (OrderId, Outcome) {
    let timeout = Duration::from_millis(order.timeout_millis);
    let outcome = match order.task {
        Task::ReadStore(keys) => Outcome::Read(within(timeout, read_store(&env, &keys)).await.flatten()),
        Task::WriteStore { entries, ttl_seconds } => {
            write_store(&env, entries, ttl_seconds).await;
            Outcome::Read(None)
        }
        Task::Fetch(request) => {
            let abort = AbortController::default();
            let fetched = within(timeout, fetch_origin(request, &abort, &env)).await;
            if fetched.is_none() {
                abort.abort();
            }
            Outcome::Fetched(fetched.unwrap_or(Err(FetchFailure::TimedOut)))
        }
        Task::Synthesize { delay_millis, body } => {
            Delay::from(Duration::from_millis(delay_millis).min(timeout)).await;
            let reply = with_service(|service| service.synthesize(&body, now()));
            let is_late = delay_millis > order.timeout_millis;
            Outcome::Fetched(reply.filter(|_| !is_late).ok_or(FetchFailure::TimedOut))
        }
    };
    (order.id, outcome)
}

/// What the future gives, if it does so in time.
async fn within<T>(timeout: Duration, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), Delay::from(timeout)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

fn store(env: &Env) -> Option<KvStore> {
    let binding = with_service(|service| service.config().l2.binding.clone())?;
    env.kv(&binding).ok()
}

/// Reads keys in one bulk operation. KV's bulk read gives text alone, so what is stored is base64.
async fn read_store(env: &Env, keys: &[StoreKey]) -> Option<Vec<Option<Vec<u8>>>> {
    let keys: Vec<&str> = keys.iter().map(StoreKey::as_str).collect();
    let mut values = store(env)?.get_bulk(&keys).text().await.ok()?;
    Some(keys.iter().map(|key| BASE64.decode(values.remove(*key)??).ok()).collect())
}

/// Writes rows, each by itself as KV has it. A write that fails is a row that is read from the origin once more.
async fn write_store(env: &Env, entries: Vec<(StoreKey, Vec<u8>)>, ttl_seconds: u64) {
    let Some(store) = store(env) else { return };
    join_all(entries.into_iter().map(async |(key, value)| {
        let put = store.put(key.as_str(), BASE64.encode(value)).ok()?;
        put.expiration_ttl(ttl_seconds).execute().await.ok()
    }))
    .await;
}

async fn fetch_origin(order: OriginRequest, abort: &AbortController, env: &Env) -> Result<OriginReply, FetchFailure> {
    let mut init = RequestInit::new();
    init.with_method(if order.method == "POST" { Method::Post } else { Method::Get });
    // A redirect would take the request to a place that nobody configured.
    init.with_redirect(RequestRedirect::Manual);
    let headers = Headers::new();
    if !order.body.is_empty() {
        init.with_body(Some(Uint8Array::from(order.body.as_slice()).into()));
        let _ = headers.set("content-type", "application/json");
    }
    if let Ok(authorization) = env.secret(ORIGIN_AUTHORIZATION) {
        let _ = headers.set("authorization", &authorization.to_string());
    }
    init.with_headers(headers);
    let request = Request::new_with_init(&order.url, &init).map_err(|_| FetchFailure::Unreachable)?;
    let response = Fetch::Request(request).send_with_signal(&abort.signal()).await;
    let mut response = response.map_err(|_| FetchFailure::Unreachable)?;
    let body = match announced_length(response.headers()) {
        Some(length) if length > order.max_bytes => return Err(FetchFailure::TooLarge),
        Some(_) => response.bytes().await.map_err(|_| FetchFailure::Unreachable)?,
        None => {
            let mut chunks = response.stream().map_err(|_| FetchFailure::Unreachable)?;
            let mut body = Vec::new();
            while let Some(chunk) = chunks.next().await {
                body.extend(chunk.map_err(|_| FetchFailure::Unreachable)?);
                if body.len() > order.max_bytes {
                    return Err(FetchFailure::TooLarge);
                }
            }
            body
        }
    };
    let content_type = response.headers().get("content-type").ok().flatten();
    Ok(OriginReply { status: response.status_code(), content_type, body })
}

fn announced_length(headers: &Headers) -> Option<usize> {
    headers.get("content-length").ok().flatten()?.parse().ok()
}

/// Reads the request's body, and no more of it than shows that it passes the limit.
async fn read_body(request: &mut Request, limit: usize) -> worker::Result<Vec<u8>> {
    match announced_length(request.headers()) {
        // One byte more than the limit is enough for the service to refuse it.
        Some(length) if length > limit => Ok(vec![0; limit + 1]),
        Some(_) => request.bytes().await,
        None if request.inner().body().is_none() => Ok(Vec::new()),
        None => {
            let mut chunks = request.stream()?;
            let mut body = Vec::new();
            while let Some(chunk) = chunks.next().await {
                body.extend(chunk?);
                if body.len() > limit {
                    break;
                }
            }
            Ok(body)
        }
    }
}

/// Passes a request to the origin as it came, and the answer back as it comes.
async fn forward(request: &Request, body: Option<Vec<u8>>, base: &str, env: &Env) -> worker::Result<web_sys::Response> {
    let url = request.inner().url();
    // Past `https://host`, what is left is path and query.
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    let init = web_sys::RequestInit::new();
    init.set_method(&request.inner().method());
    init.set_redirect(web_sys::RequestRedirect::Manual);
    let headers = web_sys::Headers::new_with_headers(&request.inner().headers())?;
    if !headers.has("authorization")?
        && let Ok(authorization) = env.secret(ORIGIN_AUTHORIZATION)
    {
        headers.set("authorization", &authorization.to_string())?;
    }
    init.set_headers(&headers);
    match body {
        Some(body) => init.set_body(&Uint8Array::from(body.as_slice())),
        None => init.set_body_opt_readable_stream(request.inner().body().as_ref()),
    }
    let target = format!("{}/{path}", base.trim_end_matches('/'));
    let request = web_sys::Request::new_with_str_and_init(&target, &init)?;
    match Fetch::Request(request.into()).send().await {
        Ok(response) => Ok(response.into()),
        Err(_) => {
            let detail = "the origin cannot be reached";
            response(&Reply::problem(
                502,
                problem::body(502, "origin-unreachable", "The origin could not answer", detail),
            ))
        }
    }
}

fn response(reply: &Reply) -> worker::Result<web_sys::Response> {
    let headers = web_sys::Headers::new()?;
    if let Some(content_type) = reply.content_type() {
        headers.set("content-type", content_type)?;
    }
    for header in reply.headers() {
        headers.set(header.name, &header.value)?;
    }
    let init = web_sys::ResponseInit::new();
    init.set_status(reply.status());
    init.set_headers(&headers);
    if reply.body().is_empty() {
        return Ok(web_sys::Response::new_with_opt_str_and_init(None, &init)?);
    }
    let body = Uint8Array::from(reply.body());
    Ok(web_sys::Response::new_with_opt_js_u8_array_and_init(Some(&body), &init)?)
}
