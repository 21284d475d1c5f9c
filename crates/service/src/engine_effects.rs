//! The engine's orders as the host's, as far as no request is needed to understand them.

use crate::io::{Order, Part, Task, Ticket, WriteBegun};

/// What is to be done under the name of a request; calls to the origin, which only the request knows how to make, are left out.
pub(super) fn effects(ticket: Ticket, orders: Vec<engine::Order>) -> Vec<Order> {
    orders.into_iter().filter_map(|order| effect(ticket, order)).collect()
}

/// One of them.
pub(super) fn effect(ticket: Ticket, order: engine::Order) -> Option<Order> {
    let (part, task, timeout_millis) = match order {
        engine::Order::Read { tier, shard, batch, keys, timeout_millis } => {
            (Part::Read(tier, batch), Task::ReadStore { tier, shard, keys }, timeout_millis)
        }
        engine::Order::Write { tier, shard, entries, ttl_seconds, timeout_millis, allowance, began } => {
            let write = WriteBegun { tier, rows: entries.len(), allowance, began };
            (Part::Write(write), Task::WriteStore { tier, shard, entries, ttl_seconds }, timeout_millis)
        }
        engine::Order::Wake { millis } => (Part::Wake, Task::Wait { outlives_request: false }, millis),
        engine::Order::Flush { tier, millis, allowance } => {
            (Part::Flush(tier, allowance), Task::Wait { outlives_request: true }, millis)
        }
        engine::Order::Fetch { .. } => return None,
    };
    Some(Order::new(ticket, part, task, timeout_millis))
}
