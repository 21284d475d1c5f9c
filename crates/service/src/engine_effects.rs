//! Translates the engine's effects into the host's, as far as no request is needed. It keeps nothing.
//! Invariant: origin calls, which only their request can phrase, are left out.

use crate::io::{Continuation, Effect, IoRequest, PendingWrite, RequestHandle};

/// The effects of a request; origin calls are left out.
pub(super) fn effects(handle: RequestHandle, engine_effects: Vec<engine::EngineEffect>) -> Vec<Effect> {
    engine_effects.into_iter().filter_map(|it| effect(handle, it)).collect()
}

/// One of them.
pub(super) fn effect(handle: RequestHandle, engine_effect: engine::EngineEffect) -> Option<Effect> {
    let (continuation, request, timeout_millis) = match engine_effect {
        engine::EngineEffect::Read { tier, shard, batch, keys, timeout_millis } => {
            (Continuation::Read(tier, batch), IoRequest::ReadStore { tier, shard, keys }, timeout_millis)
        }
        engine::EngineEffect::Write { tier, shard, entries, ttl_seconds, timeout_millis, allowance, began } => {
            let write = PendingWrite { tier, rows: entries.len(), allowance, began };
            let request = IoRequest::WriteStore { tier, shard, entries, ttl_seconds };
            (Continuation::Write(write), request, timeout_millis)
        }
        engine::EngineEffect::Wake { millis } => {
            (Continuation::Wake, IoRequest::Wait { outlives_request: false }, millis)
        }
        engine::EngineEffect::Flush { tier, millis, allowance } => {
            (Continuation::Flush(tier, allowance), IoRequest::Wait { outlives_request: true }, millis)
        }
        engine::EngineEffect::Fetch { .. } => return None,
    };
    Some(Effect::new(handle, continuation, request, timeout_millis))
}
