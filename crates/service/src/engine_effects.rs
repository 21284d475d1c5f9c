//! The engine's orders as the host's effects, as far as no request is needed to understand them.

use crate::io::{Continuation, Effect, IoRequest, RequestHandle, WriteBegun};

/// What is to be done under the name of a request; calls to the origin, which only the request knows how to make, are left out.
pub(super) fn effects(handle: RequestHandle, orders: Vec<engine::Order>) -> Vec<Effect> {
    orders.into_iter().filter_map(|order| effect(handle, order)).collect()
}

/// One of them.
pub(super) fn effect(handle: RequestHandle, order: engine::Order) -> Option<Effect> {
    let (continuation, request, timeout_millis) = match order {
        engine::Order::Read { tier, shard, batch, keys, timeout_millis } => {
            (Continuation::Read(tier, batch), IoRequest::ReadStore { tier, shard, keys }, timeout_millis)
        }
        engine::Order::Write { tier, shard, entries, ttl_seconds, timeout_millis, allowance, began } => {
            let write = WriteBegun { tier, rows: entries.len(), allowance, began };
            let request = IoRequest::WriteStore { tier, shard, entries, ttl_seconds };
            (Continuation::Write(write), request, timeout_millis)
        }
        engine::Order::Wake { millis } => (Continuation::Wake, IoRequest::Wait { outlives_request: false }, millis),
        engine::Order::Flush { tier, millis, allowance } => {
            (Continuation::Flush(tier, allowance), IoRequest::Wait { outlives_request: true }, millis)
        }
        engine::Order::Fetch { .. } => return None,
    };
    Some(Effect::new(handle, continuation, request, timeout_millis))
}
