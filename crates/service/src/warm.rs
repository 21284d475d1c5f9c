//! Warming: an operator's `POST /v1/warm` brings rows into the tiers before they are requested.
//!
//! The body is parsed and planned as a whole before anything is done. Its groups then run one after the
//! other. Rows to fetch use sessions of the lowest priority; rows with values are written. It knows no
//! store. Invariant: the reply waits for the stores.

use std::rc::Rc;

use crate::in_progress::{Pending, RequestsInProgress};
use crate::io::{RequestHandle, Response, Transition};
use crate::origin_requests::MALFORMED_FEATURE;
use crate::read_path::{Advanced, ReadPath};
use crate::reply;
use crate::request::RequestContext;
use crate::warm_job::{Load, WarmJob, WarmStep};
use ::origin::origin::{self, OriginResponse};
use ::origin::planner::Planner;
use ::origin::warm::{self, WarmGroup};
use model::answer::Tier;
use model::fetch_spec::FetchSpec;
use model::request::{Columns, RowQuery};
use model::request_error::RequestError;
use model::time::Timestamp;
use protocol::parsed_request::ParsedRequest;
use protocol::plan::{FeatureNaming, Plan, PlanOutcome};

/// Warms what a body lists for its caller; the values count as fetched at `stamp`.
#[inline(never)]
pub(super) fn begin(
    read_path: &mut ReadPath,
    requests: &mut RequestsInProgress,
    body: &[u8],
    context: &RequestContext<'_>,
    stamp: Timestamp,
    now: Timestamp,
) -> Transition {
    let most = read_path.config.limits.warm_rows;
    let prepared = warm::read(body, most).and_then(|groups| {
        let mut rest = Vec::new();
        let mut rows = 0;
        for group in &groups {
            let step = prepare(read_path, group, context, stamp)?;
            rows += step.rows();
            rest.push(step);
        }
        let refusal = RequestError::LimitExceeded { limit: "warm_rows", allowed: most, found: rows };
        if rows > most { Err(refusal) } else { Ok((rest, rows)) }
    });
    match prepared {
        Ok((rest, rows)) => {
            let handle = requests.next();
            let job = Some(Box::new(WarmJob::new(rest, rows, context.began)));
            advance(read_path, requests, handle, Advanced { transition: Transition::default(), job }, now)
        }
        Err(refusal) => reply::refused_as_problem(&refusal).into(),
    }
}

/// Continues a warm-up of which a part is done; any other request stays as it is.
#[inline]
pub(super) fn advance(
    read_path: &mut ReadPath,
    requests: &mut RequestsInProgress,
    handle: RequestHandle,
    Advanced { transition, job }: Advanced,
    now: Timestamp,
) -> Transition {
    match job {
        None => transition,
        Some(job) => advance_job(read_path, requests, handle, transition, job, now),
    }
}

#[inline(never)]
fn advance_job(
    read_path: &mut ReadPath,
    requests: &mut RequestsInProgress,
    mut handle: RequestHandle,
    mut transition: Transition,
    mut job: Box<WarmJob>,
    now: Timestamp,
) -> Transition {
    let deadline_millis = read_path.config.deadlines.warm_ms;
    loop {
        job.count_writes(&transition.effects);
        if job.awaits_stores() {
            requests.insert(handle, Pending::Warm(job));
            return Transition { handle: Some(handle), ..transition };
        }
        let next = match job.next(deadline_millis, now) {
            None => return Transition { response: Some(Response::Reply(job.reply())), handle: None, ..transition },
            Some(WarmStep::Load(mut load)) => {
                job.apply_limits(&mut load.query, deadline_millis, now);
                read_path.load(requests, load, job, now)
            }
            Some(WarmStep::Fetch { mut request, mut context, plan, .. }) => {
                read_path.pool.attach_lists(&mut request.fields);
                context.began = now;
                read_path.serve_plan(requests, request, &context, plan, Some(job), now)
            }
        };
        // Its effects carry the handle of the session that issued them.
        handle = next.transition.handle.unwrap_or(handle);
        transition.handle = next.transition.handle;
        transition.effects.extend(next.transition.effects);
        transition.woken.extend(next.transition.woken);
        match next.job {
            Some(next) => job = next,
            None => return transition,
        }
    }
}

/// A store has answered a write of a warm-up.
pub(super) fn on_written(
    read_path: &mut ReadPath,
    requests: &mut RequestsInProgress,
    handle: RequestHandle,
    (tier, failed): (Tier, usize),
    now: Timestamp,
) -> Transition {
    let Some(mut job) = requests.take_job(handle) else { return Transition::default() };
    job.on_written(tier, failed);
    advance_job(read_path, requests, handle, Transition::default(), job, now)
}

/// Plans a group.
fn prepare(
    read_path: &mut ReadPath,
    group: &WarmGroup<'_>,
    context: &RequestContext<'_>,
    stamp: Timestamp,
) -> Result<WarmStep, RequestError> {
    let mut protocol = context.protocol;
    let mut request = read_path.parse(&mut protocol, group.request().into())?;
    let planned = read_path.planner.plan(&request, &context.caller, FeatureNaming::AsRequested);
    read_path.pool.detach_lists(&mut request.fields);
    let PlanOutcome::Serve(plan) = planned else {
        return Err(RequestError::field(&["body", "feature_names"], "value_error", MALFORMED_FEATURE));
    };
    check_keys(&read_path.planner, &plan, group)?;
    let query = read_path.query(&protocol, &request, &plan)?;
    if !group.has_values() {
        let rows = query.keys.len();
        read_path.pool.recycle_query(query);
        let context = RequestContext { protocol, began: stamp, ..context.to_owned() };
        return Ok(WarmStep::Fetch { request, context, plan, rows });
    }
    Ok(WarmStep::Load(load(read_path, group, request, plan, query, stamp)?))
}

/// The rows of a group with values.
fn load(
    read_path: &mut ReadPath,
    group: &WarmGroup<'_>,
    request: ParsedRequest<'static>,
    plan: Rc<Plan>,
    query: Box<RowQuery>,
    stamp: Timestamp,
) -> Result<Load, RequestError> {
    let answer = group.origin_response(&plan);
    let columns = plan.columns.len() + plan.outputs.len();
    let table = OriginResponse::read(&answer, query.rows, columns, read_path.config.limits.depth)
        .map_err(|reason| RequestError::field(&["body", "values"], "value_error", reason))?;
    if let Some(time) = table.unknown_time() {
        let message = format!("the event time {time} cannot be read");
        return Err(RequestError::field(&["body", "event_timestamps"], "value_error", message));
    }
    let columns_of = |columns: &Columns| if let Columns::Named(names) = columns { names.len() } else { 0 };
    let views: Vec<(usize, Vec<usize>)> =
        (0..).zip(query.views.iter()).map(|(view, asked)| (view, (0..columns_of(asked.columns())).collect())).collect();
    let everything = FetchSpec { rows: (0..query.rows).collect(), views, indices: (0..query.keys.len()).collect() };
    let rows = origin::rows(&table, &plan, &query, &everything, read_path.engine.interner(), stamp);
    Ok(Load { query, rows, request, plan })
}

/// Refuses entities whose columns are not the keys of the views, as far as these are known: no request would read the rows.
fn check_keys(planner: &Planner, plan: &Plan, group: &WarmGroup<'_>) -> Result<(), RequestError> {
    let has_column = |key: &String| plan.columns.iter().any(|column| **column == **key);
    let mut views: Vec<(&str, Option<&[String]>)> = Vec::new();
    if let Some(service) = plan.service.as_deref() {
        let facts = planner.project().services.get(service);
        views.push((service, facts.map(|facts| facts.key_columns.as_slice()).filter(|keys| !keys.is_empty())));
    }
    for output in &plan.outputs {
        let Some((view, feature)) = output.reference.split_once(':') else { continue };
        let known = planner.key_columns(view);
        let is_key = |key: &String| key == feature;
        if group.has_values() && (known.is_some_and(|keys| keys.iter().any(is_key)) || has_column(&feature.into())) {
            let message = format!("`{feature}` is a key of `{view}` and no feature");
            return Err(RequestError::field(&["body", "values", &output.name], "value_error", message));
        }
        if !views.iter().any(|(other, _)| *other == view) {
            views.push((view, known));
        }
    }
    let known = || views.iter().filter_map(|(_, keys)| *keys).flatten();
    let is_key = |column: &str| known().any(|key| key == column);
    let are_all_known = views.iter().all(|(_, keys)| keys.is_some());
    if known().all(has_column) && (!are_all_known || plan.columns.iter().all(|column| is_key(column))) {
        return Ok(());
    }
    let names =
        |names: &mut dyn Iterator<Item = &str>| names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut message = format!("the entities have {}", names(&mut plan.columns.iter().map(|column| &**column)));
    for (view, keys) in views {
        if let Some(keys) = keys {
            message += &format!("; `{view}` is keyed by {}", names(&mut keys.iter().map(String::as_str)));
        }
    }
    Err(RequestError::field(&["body", group.entities_field()], "value_error", message))
}
