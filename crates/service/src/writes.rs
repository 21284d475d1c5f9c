//! Passed-through writes, and what they invalidate. Once a write is acknowledged, nothing that was fetched
//! before it is served by this isolate, nor, with an invalidation log, by any other within a bound.
//!
//! Rows are invalidated when the origin has answered and before the caller gets the response, whatever its
//! status: a write that failed halfway may have written something. This module parses what a write
//! changes; [`Invalidation`](crate::invalidation::Invalidation) applies it.

use std::rc::Rc;

use crate::bypass::Bypass;
use crate::in_progress::{Pending, RequestsInProgress};
use crate::invalidation::{InvalidatedView, InvalidationScope};
use crate::io::{Continuation, Incoming, IoRequest, Transition};
use crate::origin_requests;
use crate::read_path::ReadPath;
use crate::reply;
use crate::routes::Endpoint;
use crate::write_kind::WriteKind;
use config::Config;
use model::request::Priority;
use model::request_error::RequestError;
use model::time::Timestamp;
use origin::planner::{Planner, WriteEffect};
use origin::write::{self, WriteTarget};

/// Begins a write to the origin.
#[inline(never)]
pub(super) fn begin(
    read_path: &mut ReadPath,
    requests: &mut RequestsInProgress,
    incoming: Incoming<'_>,
    now: Timestamp,
) -> Transition {
    let config = Rc::clone(&read_path.config);
    let size = Endpoint::Write.check_size(&config, &incoming);
    if let Err(refusal) = &size
        && config.limits.refuse
    {
        return reply::refused_as_problem(refusal).into();
    }
    let Some(base) = origin_requests::forward_base(&config) else {
        return origin_requests::forward(&config, incoming);
    };
    // A body over the limit is not parsed.
    let (bypass, body) = if size.is_ok() { (Bypass::Path, incoming.body) } else { (Bypass::OverLimit, &[][..]) };
    let scope = invalidation_scope(&config, &read_path.planner, Incoming { body, ..incoming });
    // A write is never shed for lack of memory: it then invalidates whole views.
    let has_room = read_path.has_room(requests, Priority::High, scope.footprint());
    let scope = if has_room { scope } else { scope.widened_to_views() };
    let kind = WriteKind::of(incoming.path);
    let pending = Pending::Write { scope, kind, began: now };
    let timeout_millis = kind.timeout_millis(&config);
    Transition::waiting_for(requests.begin(
        pending,
        Continuation::Forward,
        IoRequest::Forward { base, bypass },
        timeout_millis,
    ))
}

/// What an operator says was written past this service.
pub(super) fn requested_scope(
    config: &Config,
    planner: &Planner,
    incoming: &Incoming<'_>,
) -> Result<InvalidationScope, RequestError> {
    Endpoint::Invalidate.check_size(config, incoming)?;
    match write::read_invalidation(incoming.body, config.limits.depth)? {
        write::Invalidation::Everything => Ok(InvalidationScope::Everything),
        write::Invalidation::View(view) => Ok(InvalidationScope::Views(invalidated_views(planner, &view, |_| None))),
        write::Invalidation::Entities(view, columns) => {
            if !planner.key_columns(&view).is_some_and(|keys| write::has_keys(&columns, keys)) {
                let message = "the view's join keys must be known, and be equally long lists of strings or numbers";
                return Err(RequestError::field(&["body", "entities"], "value_error", message));
            }
            // Uncertain keys invalidate the whole view.
            Ok(InvalidationScope::Views(invalidated_views(planner, &view, |keys| write::rows(&columns, keys))))
        }
    }
}

/// The scope of a write.
fn invalidation_scope(config: &Config, planner: &Planner, incoming: Incoming<'_>) -> InvalidationScope {
    if !config.writes.invalidation {
        return InvalidationScope::Nothing;
    }
    let Some(written) = write::read(incoming.path, incoming.body) else { return InvalidationScope::Everything };
    let views = match &written.target {
        WriteTarget::Views(views) => views.iter().map(String::as_str).collect(),
        WriteTarget::PushSource(source) => planner.fed_by(source),
    };
    if views.is_empty() {
        return InvalidationScope::Everything;
    }
    InvalidationScope::Views(
        views.iter().flat_map(|view| invalidated_views(planner, view, |keys| written.rows(keys))).collect(),
    )
}

/// The views that a write to `view` invalidates, that view first; `rows` computes its row hashes from its
/// key columns.
fn invalidated_views(
    planner: &Planner,
    view: &str,
    rows: impl Fn(&[String]) -> Option<Vec<u64>>,
) -> Vec<InvalidatedView> {
    let rows = planner.key_columns(view).and_then(rows);
    let others = planner.affected_by(view).into_iter().map(|(other, reach)| InvalidatedView {
        view: other.to_owned(),
        rows: rows.clone().filter(|_| reach == WriteEffect::SameRows),
    });
    let others: Vec<InvalidatedView> = others.collect();
    core::iter::once(InvalidatedView { view: view.to_owned(), rows }).chain(others).collect()
}
