//! `GET /v1/predictions`: what would be prefetched after a request, and why.
//!
//! It fetches nothing and trains nothing. Invariant: it is for operators only, because it shows what other
//! callers requested.

use std::borrow::Cow;

use crate::io::{Incoming, Transition};
use crate::prefetch::entities;
use crate::read_path::ReadPath;
use crate::reply::{self, Reply};
use crate::request::Protocol;
use ::prefetch::patterns::{Entity, Prediction, is_of};
use model::request_error::RequestError;
use model::time::Timestamp;
use origin::prefetch_request;
use protocol::native::Options;
use protocol::parsed_request::ParsedRequest;
use protocol::plan::PlanOutcome;

/// Replies to `GET /v1/predictions`.
#[cold]
pub(super) fn explain(read_path: &mut ReadPath, incoming: Incoming<'_>, now: Timestamp) -> Transition {
    if !incoming.is_operator {
        return reply::forbidden().into();
    }
    match predictions(read_path, incoming.query_string, now) {
        Ok(text) => Reply::json(200, Cow::Owned(text)).into(),
        Err(refusal) => reply::refused_as_problem(&refusal).into(),
    }
}

fn predictions(read_path: &mut ReadPath, query: &str, now: Timestamp) -> Result<Vec<u8>, RequestError> {
    let refuse = |kind, message: &str| RequestError::field(&["query", "request"], kind, message.to_owned());
    let named = |name: &str| query.split('&').find_map(|parameter| parameter.strip_prefix(name));
    let (value, mut protocol) = match (named("request="), named("native=")) {
        (Some(value), _) => (value, Protocol::Feast),
        (None, Some(value)) => (value, Protocol::Native(Options::default())),
        (None, None) => return Err(refuse("missing", "`request` or `native` is required")),
    };
    let body = decoded(value);
    let mut call = Box::default();
    protocol.read(&read_path.config, &body, &mut call)?;
    let request = ParsedRequest { fields: call, body: body.into() };
    let PlanOutcome::Serve(plan) = read_path.planner.plan(&request, "", protocol.naming()) else {
        return Err(refuse("value_error", "such a request is passed through to the origin, and trains no predictions"));
    };
    let query = read_path.query(&protocol, &request, &plan)?;
    let mut buffer = Vec::new();
    let (known, count) = entities(&query, &plan.shape, &mut buffer);
    let known = known.get(..count).unwrap_or_default();
    let predicted = read_path.engine.predict(&plan.shape, known);
    let mut out = b"{\"predictions\":[".to_vec();
    for (number, prediction) in predicted.as_slice().iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        describe(read_path, prediction, known, now, &mut out);
    }
    let (cost_model, settings) = (read_path.engine.cost_model(), &read_path.config.prefetch);
    append(&mut out, "],\"min_precision\":", &decimal(settings.min_precision_percent * 10));
    append(&mut out, ",\"miss_microseconds\":", &cost_model.miss_micros.to_string());
    append(&mut out, ",\"row_nanodollars\":", &cost_model.cost.to_string());
    append(&mut out, ",\"latency_value_nanodollars_per_ms\":", &settings.latency_value_nanodollars_per_ms.to_string());
    out.push(b'}');
    Ok(out)
}

/// A prediction: what would be requested, how probable that is, and what is decided.
fn describe(
    read_path: &mut ReadPath,
    prediction: &Prediction,
    known: &[Entity<'_>],
    now: Timestamp,
    out: &mut Vec<u8>,
) {
    let engine = &read_path.engine;
    let mut decision = engine.governor().decide(prediction, engine.cost_model(), now).name();
    let plan = read_path.planner.find_by_shape(|name| is_of(prediction.shape, name)).cloned();
    let asked = known.iter().find(|entity| entity.name == prediction.entity).map(|entity| entity.key);
    let key = asked.or_else(|| engine.patterns().key(prediction.entity));
    let made = plan
        .zip(key)
        .and_then(|(plan, key)| prefetch_request::request(&plan, &[key], &read_path.config.limits).zip(Some(plan)));
    append(out, "{\"features\":", "[");
    if let Some((_, plan)) = &made {
        let names = plan.service.iter().chain(plan.outputs.iter().map(|output| &output.reference));
        for (number, name) in names.enumerate() {
            if number > 0 {
                out.push(b',');
            }
            json::write_string(out, name);
        }
    }
    append(out, "],\"entities\"", ":");
    match made {
        Some((request, plan)) => {
            out.extend_from_slice(&request.body);
            let query = read_path.query(&Protocol::Feast, &request, &plan);
            if query.is_ok_and(|query| read_path.engine.has_all(&query, now)) {
                decision = "in_memory";
            }
        }
        // It comes from another isolate's model.
        None => {
            append(out, "{", "}");
            decision = "unknown_view";
        }
    }
    append(out, ",\"source\":\"", prediction.source.name());
    append(out, "\",\"decision\":\"", decision);
    append(out, "\",\"probability\":", &decimal(prediction.permille));
    append(out, ",\"precision\":", &decimal(read_path.engine.governor().precision(prediction)));
    out.push(b'}');
}

#[inline(never)]
fn append(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(value.as_bytes());
}

/// Thousandths, as a number of three decimals.
fn decimal(permille: u32) -> String {
    let mut text = (1_000 + permille % 1_000).to_string();
    text.replace_range(..1, if permille < 1_000 { "0." } else { "1." });
    text
}

/// Percent-decodes a query string; an invalid code stands for itself.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
        let code = digit(0).zip(digit(1)).filter(|_| byte == b'%').map(|(high, low)| (high << 4 | low) as u8);
        rest = if code.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
        out.push(code.unwrap_or(if byte == b'+' { b' ' } else { byte }));
    }
    out
}
