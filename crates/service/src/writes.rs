//! Writes that pass through this service, and what they make of what is cached: as soon as a write is acknowledged, nothing
//! that was fetched before it is served by this isolate, nor, where there is a ledger, by any other within a bound.
//!
//! Rows are marked when the origin has answered and before the caller hears of it, whatever the answer was: a write that
//! failed halfway may have written something.

use std::borrow::Cow;

use crate::io::{End, Incoming, Order, OrderId, Part, Step, Task, Ticket};
use crate::{Pending, Reply, Service, reply};
use model::refusal::Refusal;
use model::request::Priority;
use model::time::Instant;
use origin::planner::Reach;
use origin::write::{self, Invalidation, Target};
use protocol::problem;

/// What a write changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that is cached.
    Nothing,
    /// Nobody knows.
    Everything,
    /// Rows of these views.
    Views(Vec<Changed>),
}

/// What a write changes of one view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) view: String,
    /// The canonical hashes of the rows' keys; `None` for all rows.
    pub(super) rows: Option<Vec<u64>>,
}

impl Change {
    /// The memory that it takes, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        let Change::Views(views) = self else { return 0 };
        let of_view =
            |Changed { view, rows }: &Changed| view.capacity() + rows.as_ref().map_or(0, |rows| size_of_val(&**rows));
        views.iter().map(|changed| size_of::<Changed>() + of_view(changed)).sum()
    }

    /// The same of all rows of its views.
    fn widened(self) -> Change {
        match self {
            Change::Views(views) => {
                Change::Views(views.into_iter().map(|changed| Changed { rows: None, ..changed }).collect())
            }
            other => other,
        }
    }
}

impl Service {
    /// A write on its way to the origin.
    #[inline(never)]
    pub(super) fn write(&mut self, incoming: Incoming<'_>, now: Instant) -> Step {
        let allowed = self.config.limits.write_body_bytes;
        if incoming.body.len() > allowed {
            let refusal = Refusal::Limit { limit: "write_body_bytes", allowed, found: incoming.body.len() };
            return Reply::problem(refusal.status(), problem::refusal(&refusal)).into();
        }
        let Some(base) = self.forward_base() else { return self.forward(incoming, now) };
        let change = self.change_of(incoming);
        // A write is never refused for want of memory: what it changes is told of whole views then.
        let change = if self.has_room(Priority::High, change.held_bytes()) { change } else { change.widened() };
        let ticket = self.next_ticket(now);
        self.pending.insert(ticket.0, Pending::Write { change, began: now });
        let id = OrderId { ticket, part: Part::Forward };
        let order = Order { id, task: Task::Forward { base }, timeout_millis: self.config.origin.timeout_ms };
        Step { ticket: Some(ticket), orders: vec![order], ..Step::default() }
    }

    /// The origin has answered to a write, or cannot be reached.
    pub(super) fn forwarded(&mut self, ticket: Ticket, now: Instant) -> Step {
        let change = match self.pending.remove(ticket.0) {
            Some(Pending::Write { change, began }) => {
                self.recorder.write(began, now);
                change
            }
            // It took so long that it was given up as lost.
            _ => Change::Everything,
        };
        self.apply(&change, now);
        self.tell(ticket, End::Forwarded { notice: None }, &change, now)
    }

    /// An operator's word that something was written past this service.
    #[inline(never)]
    pub(super) fn invalidate(&mut self, incoming: Incoming<'_>, now: Instant) -> Step {
        if !incoming.is_operator {
            return reply::forbidden().into();
        }
        match self.change_named(incoming.body) {
            Ok(change) => {
                self.apply(&change, now);
                let reply = Reply::json(200, Cow::Owned(describe(&change)));
                let ticket = self.next_ticket(now);
                self.tell(ticket, End::Reply(reply), &change, now)
            }
            Err(refusal) => Reply::problem(refusal.status(), problem::refusal(&refusal)).into(),
        }
    }

    fn change_named(&self, body: &[u8]) -> Result<Change, Refusal> {
        let allowed = self.config.limits.body_bytes;
        if body.len() > allowed {
            return Err(Refusal::Limit { limit: "body_bytes", allowed, found: body.len() });
        }
        match write::read_invalidation(body)? {
            Invalidation::Everything => Ok(Change::Everything),
            Invalidation::View(view) => Ok(Change::Views(self.reach(&view, |_| None))),
            Invalidation::Entities(view, columns) => {
                if !self.planner.key_columns(&view).is_some_and(|keys| write::has_keys(&columns, keys)) {
                    let message = "the view's join keys must be known, and be equally long lists of strings or numbers";
                    return Err(Refusal::field(&["body", "entities"], "value_error", message));
                }
                // Of keys that cannot be told for certain, all of the view is meant.
                Ok(Change::Views(self.reach(&view, |keys| write::rows(&columns, keys))))
            }
        }
    }

    fn change_of(&self, incoming: Incoming<'_>) -> Change {
        if !self.config.writes.invalidation {
            return Change::Nothing;
        }
        let Some(written) = write::read(incoming.path, incoming.body) else { return Change::Everything };
        let views = match &written.target {
            Target::View(view) => vec![view.as_str()],
            Target::PushSource(source) => self.planner.fed_by(source),
        };
        if views.is_empty() {
            return Change::Everything;
        }
        Change::Views(views.iter().flat_map(|view| self.reach(view, |keys| written.rows(keys))).collect())
    }

    /// What a write to `view` changes, there first; `rows` tells its rows by the columns that key it.
    fn reach(&self, view: &str, rows: impl Fn(&[String]) -> Option<Vec<u64>>) -> Vec<Changed> {
        let rows = self.planner.key_columns(view).and_then(rows);
        let others = self.planner.made_of(view).into_iter().map(|(other, reach)| Changed {
            view: other.to_owned(),
            rows: rows.clone().filter(|_| reach == Reach::SameRows),
        });
        let others: Vec<Changed> = others.collect();
        core::iter::once(Changed { view: view.to_owned(), rows }).chain(others).collect()
    }

    fn apply(&mut self, change: &Change, now: Instant) {
        let marks = self.engine.marks();
        match change {
            Change::Nothing => {}
            Change::Everything => marks.mark_all(now),
            Change::Views(views) => {
                for Changed { view, rows } in views {
                    match rows {
                        Some(rows) => marks.mark_rows(view, rows, now),
                        None => marks.mark_view(view, now),
                    }
                }
            }
        }
    }
}

/// What was invalidated, in JSON.
fn describe(change: &Change) -> Vec<u8> {
    let Change::Views(views) = change else { return br#"{"invalidated":"everything"}"#.to_vec() };
    let mut text = br#"{"invalidated":{"#.to_vec();
    for (number, Changed { view, rows }) in views.iter().enumerate() {
        if number > 0 {
            text.push(b',');
        }
        json::write_string(&mut text, view);
        text.push(b':');
        match rows {
            Some(rows) => text.extend_from_slice(rows.len().to_string().as_bytes()),
            None => text.extend_from_slice(br#""all""#),
        }
    }
    text.extend_from_slice(b"}}");
    text
}
