//! Warming: an operator's `POST /v1/warm` brings rows into the tiers before anybody asks for them.
//!
//! The body is read and planned as a whole before anything is done. Then its groups are gone through one after the other:
//! what is to be fetched by sessions like any other's, of the lowest priority; what brings its values is written. The reply
//! waits for the stores. Invariant: every row of the body is counted once.

use std::borrow::Cow;
use std::rc::Rc;

use crate::io::{End, Incoming, Order, Part, Step, Task, Ticket, WriteBegun};
use crate::ledger::Ledger;
use crate::rows::Waiting;
use crate::{Pending, Protocol, Reply, Service, reply};
use ::origin::origin::{self, Table, Wanted};
use ::origin::warm::{self, Group};
use model::answer::{Answer, Need, Tier};
use model::refusal::Refusal;
use model::request::{Ask, Columns, Priority};
use model::row::Row;
use model::time::Instant;
use protocol::call::Call;
use protocol::native::Options;
use protocol::plan::{Naming, Plan, Planned};
use protocol::problem;

/// A body under way.
#[derive(Debug)]
pub(super) struct Job {
    /// What is left to be done, the next at the end.
    rest: Vec<Work>,
    report: Report,
    /// Writes that the stores have not answered to.
    writes: usize,
    /// How many rows are being fetched.
    places: usize,
    pub(super) began: Instant,
}

#[derive(Debug)]
enum Work {
    Fetch { protocol: Protocol, call: Box<Call>, body: Vec<u8>, plan: Rc<Plan>, places: usize },
    Keep { ask: Box<Ask>, rows: Vec<(usize, Row)>, call: Box<Call>, body: Vec<u8>, plan: Rc<Plan> },
}

impl Work {
    fn held_bytes(&self) -> usize {
        match self {
            Work::Fetch { call, body, plan, .. } => call.size() + body.capacity() + plan.size(),
            Work::Keep { ask, rows, call, body, plan } => {
                let part = |row: &Row| row.size() + row.schema().size() / Rc::strong_count(row.schema());
                let rows: usize = rows.iter().map(|(_, row)| part(row)).sum();
                rows + ask.keys.size() + call.size() + body.capacity() + plan.size()
            }
        }
    }

    fn rows(&self) -> usize {
        match self {
            Work::Fetch { places, .. } => *places,
            Work::Keep { rows, .. } => rows.len(),
        }
    }
}

/// What has been done, in rows: entities times views.
#[derive(Debug, Default)]
struct Report {
    rows: usize,
    fetched: usize,
    fresh: usize,
    unknown: usize,
    loaded: usize,
    failed: usize,
    origin_calls: u32,
    /// Of L2, then of L3.
    stores: [Written; 2],
}

#[derive(Debug, Default)]
struct Written {
    rows: usize,
    failed: usize,
    bytes: usize,
}

impl Service {
    /// Begins to warm what the body says.
    pub(super) fn warm(&mut self, incoming: Incoming<'_>, now: Instant) -> Step {
        if !incoming.is_operator {
            return reply::forbidden().into();
        }
        let allowed = self.config.limits.write_body_bytes;
        if incoming.body.len() > allowed {
            return refuse(&Refusal::Limit { limit: "write_body_bytes", allowed, found: incoming.body.len() });
        }
        if !self.has_room(Priority::Critical, incoming.body.len()) {
            self.engine.note_shed();
            return reply::overloaded(false, Priority::Critical, 1).into();
        }
        // How views are keyed, and whose clock counts, must be known before rows are made.
        if self.planner.must_learn(now) && !self.planner.has_learned() {
            let (body, caller) = (incoming.body.to_vec(), incoming.caller.to_owned());
            let millis = self.config.deadlines.warm_ms / 2;
            return self.await_registry(Pending::Unread { body, caller, began: now }, millis, now);
        }
        self.warm_unread(incoming.body, incoming.caller.to_owned(), now, now)
    }

    /// Warms what a body says that came at `began` and has not been read yet, once the ledger was heard.
    pub(super) fn warm_unread(&mut self, body: &[u8], caller: String, began: Instant, now: Instant) -> Step {
        if self.ledger.as_ref().is_some_and(Ledger::is_unheard)
            && let Some(order) = self.call_ledger(now)
        {
            let ticket = order.id.ticket;
            let left = self.config.deadlines.warm_ms.saturating_sub(now.millis_since(began));
            self.pending.insert(ticket.0, Pending::Unread { body: body.to_vec(), caller, began });
            return Step {
                ticket: Some(ticket),
                orders: vec![Order::wait(ticket, left / 2), order],
                ..Step::default()
            };
        }
        self.caller = caller;
        self.warm_body(body, began, now)
    }

    #[inline(never)]
    fn warm_body(&mut self, body: &[u8], began: Instant, now: Instant) -> Step {
        let most = self.config.limits.warm_rows;
        let prepared = warm::read(body, most).and_then(|groups| {
            let mut rest = Vec::new();
            let mut rows = 0;
            for group in &groups {
                let work = self.prepare(group, now)?;
                rows += work.rows();
                rest.push(work);
            }
            let refusal = Refusal::Limit { limit: "warm_rows", allowed: most, found: rows };
            if rows > most { Err(refusal) } else { Ok((rest, rows)) }
        });
        match prepared {
            Ok((mut rest, rows)) => {
                rest.reverse();
                let report = Report { rows, ..Report::default() };
                let ticket = self.next_ticket(now);
                self.warming = Some(Box::new(Job { rest, report, writes: 0, places: 0, began }));
                self.warm_on(ticket, Step::default(), now)
            }
            Err(refusal) => refuse(&refusal),
        }
    }

    /// What a group means.
    fn prepare(&mut self, group: &Group<'_>, now: Instant) -> Result<Work, Refusal> {
        let body = group.request();
        let mut call = self.spare_call.take().unwrap_or_default();
        let (protocol, read) = self.read(Protocol::Native(Options::default()), &body, &mut call);
        let planned = read.map(|()| self.planner.plan(&call, &body, Naming::AsAsked));
        self.spare_call = Some(Box::new(call.successor()));
        let planned = planned?;
        let Planned::Serve(plan) = planned else {
            let message =
                "a feature is malformed: it is `view:feature`, or `feature` for the view `native.default_view`";
            return Err(Refusal::field(&["body", "feature_names"], "value_error", message));
        };
        self.check_keys(&plan, group)?;
        let ask = self.ask(protocol, &call, &body, &plan)?;
        if !group.has_values() {
            let places = ask.keys.len();
            self.spare_ask = Some(ask);
            return Ok(Work::Fetch { protocol, call, body, plan, places });
        }
        let answer = group.answer(&plan);
        let columns = plan.columns.len() + plan.outputs.len();
        let table = Table::read(&answer, ask.rows, columns, self.config.limits.depth)
            .map_err(|reason| Refusal::field(&["body", "values"], "value_error", reason))?;
        if let Some(time) = table.unknown_time() {
            let message = format!("the event time {time} cannot be read");
            return Err(Refusal::field(&["body", "event_timestamps"], "value_error", message));
        }
        let columns_of = |columns: &Columns| if let Columns::Named(names) = columns { names.len() } else { 0 };
        let views: Vec<(usize, Vec<usize>)> = (0..)
            .zip(ask.views.iter())
            .map(|(view, asked)| (view, (0..columns_of(asked.columns())).collect()))
            .collect();
        let (rows, places): (Vec<usize>, Vec<usize>) = ((0..ask.rows).collect(), (0..ask.keys.len()).collect());
        let wanted = Wanted { rows: &rows, views: &views, places: &places };
        let stamp = self.stamp(now);
        let rows = origin::rows(&table, &plan, &ask, &wanted, self.engine.interner(), stamp);
        Ok(Work::Keep { ask, rows, call, body, plan })
    }

    /// Refuses entities whose columns are not the keys of the views, as far as these are known: no request would read the rows.
    fn check_keys(&self, plan: &Plan, group: &Group<'_>) -> Result<(), Refusal> {
        let has_column = |key: &String| plan.columns.iter().any(|column| **column == **key);
        let mut views: Vec<(&str, Option<&[String]>)> = Vec::new();
        if let Some(service) = plan.service.as_deref() {
            let facts = self.planner.project().services.get(service);
            views.push((service, facts.map(|facts| facts.key_columns.as_slice()).filter(|keys| !keys.is_empty())));
        }
        for output in &plan.outputs {
            let Some((view, feature)) = output.reference.split_once(':') else { continue };
            let known = self.planner.key_columns(view);
            let is_key = |key: &String| key == feature;
            if group.has_values() && (known.is_some_and(|keys| keys.iter().any(is_key)) || has_column(&feature.into()))
            {
                let message = format!("`{feature}` is a key of `{view}` and no feature");
                return Err(Refusal::field(&["body", "values", &output.name], "value_error", message));
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
        let names = |names: &mut dyn Iterator<Item = &str>| {
            names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        let mut message = format!("the entities have {}", names(&mut plan.columns.iter().map(|column| &**column)));
        for (view, keys) in views {
            if let Some(keys) = keys {
                message += &format!("; `{view}` is keyed by {}", names(&mut keys.iter().map(String::as_str)));
            }
        }
        Err(Refusal::field(&["body", group.entities_field()], "value_error", message))
    }

    /// Goes on with a job, where one is left to be gone on with: `step` is what came of its last part.
    pub(super) fn warm_on(&mut self, ticket: Ticket, step: Step, now: Instant) -> Step {
        if self.warming.is_none() { step } else { self.warm_rest(ticket, step, now) }
    }

    /// Goes on with what is left of a job.
    #[inline(never)]
    fn warm_rest(&mut self, mut ticket: Ticket, mut step: Step, now: Instant) -> Step {
        while let Some(mut job) = self.warming.take() {
            job.count_writes(&step.orders);
            if job.writes > 0 {
                self.pending.insert(ticket.0, Pending::Warm(job));
                return Step { ticket: Some(ticket), ..step };
            }
            let is_late = now.millis_since(job.began) >= self.config.deadlines.warm_ms;
            let next = match job.rest.pop().filter(|_| !is_late) {
                None => return Step { end: Some(End::Reply(job.reply())), ticket: None, ..step },
                Some(Work::Keep { mut ask, rows, call, body, plan }) => {
                    job.report.loaded += rows.len();
                    job.adapt(&mut ask, self.config.deadlines.warm_ms, now);
                    let ticket = self.next_ticket(now);
                    let (route, progress) = self.engine.load(ticket.session(), ask, rows, now);
                    let waiting = Waiting::behind(call, body, plan, route, now).for_job(job);
                    self.go_on(ticket, waiting, progress, now)
                }
                Some(Work::Fetch { protocol, mut call, body, plan, places }) => {
                    if let Some(mut spare) = self.spare_call.take() {
                        call.succeed(&mut spare);
                    }
                    job.places = places;
                    self.warming = Some(job);
                    self.serve_plan(protocol, call, body.into(), plan, now, now)
                }
            };
            // Its orders are told under the name of the session that gave them.
            ticket = next.ticket.unwrap_or(ticket);
            step.ticket = next.ticket;
            step.orders.extend(next.orders);
            step.woken.extend(next.woken);
        }
        step
    }

    /// Leaves the part of a job that cannot even be begun.
    pub(super) fn leave(&mut self, mut job: Box<Job>) -> Step {
        job.report.failed += job.places;
        self.warming = Some(job);
        Step::default()
    }

    /// A store has answered to a write of a job.
    pub(super) fn warm_written(&mut self, ticket: Ticket, tier: Tier, failed: usize, now: Instant) -> Step {
        match self.pending.remove(ticket.0) {
            Some(Pending::Warm(mut job)) => {
                job.writes = job.writes.saturating_sub(1);
                job.written(tier).failed += failed;
                self.warming = Some(job);
                self.warm_on(ticket, Step::default(), now)
            }
            Some(other) => {
                self.pending.insert(ticket.0, other);
                Step::default()
            }
            None => Step::default(),
        }
    }
}

fn refuse(refusal: &Refusal) -> Step {
    Reply::problem(refusal.status(), problem::refusal(refusal)).into()
}

impl Job {
    /// The memory that it takes, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Job>() + self.rest.iter().map(Work::held_bytes).sum::<usize>()
    }

    fn written(&mut self, tier: Tier) -> &mut Written {
        let [l2, l3] = &mut self.report.stores;
        if tier == Tier::L3 { l3 } else { l2 }
    }

    /// Waits for its own writes, and counts them. Under its name others' rows may be written too.
    pub(super) fn count_writes(&mut self, orders: &[Order]) {
        for order in orders {
            if let Part::Write(WriteBegun { allowance: None, .. }) = order.id.part
                && let Task::WriteStore { tier, entries, .. } = &order.task
            {
                self.writes += 1;
                let written = self.written(*tier);
                written.rows += entries.len();
                written.bytes += entries.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
            }
        }
    }

    /// Counts rows that a store was not written as ones that it did not take.
    pub(super) fn count_unmerged(&mut self, unmerged: &[(Tier, u64)]) {
        for &(tier, rows) in unmerged {
            let written = self.written(tier);
            written.rows += rows as usize;
            written.failed += rows as usize;
        }
    }

    /// Asks as a job does: after all others, and for as long as the job may take.
    pub(super) fn adapt(&self, ask: &mut Ask, deadline_millis: u64, now: Instant) {
        ask.priority = Priority::Low;
        ask.max_staleness = None;
        ask.patience_millis = Some(deadline_millis.saturating_sub(now.millis_since(self.began)));
    }

    /// Counts the rows of an answer.
    pub(super) fn count(&mut self, answer: &Answer) {
        let report = &mut self.report;
        report.origin_calls += answer.tally.compute_requests;
        for found in &answer.found {
            let counter = match &found.row {
                Some(row) if found.need != Need::Completion => {
                    let is_unknown = row.uniform_cell().is_some_and(|cell| cell.is_negative);
                    match found.tier {
                        _ if is_unknown => &mut report.unknown,
                        Tier::Origin => &mut report.fetched,
                        _ => &mut report.fresh,
                    }
                }
                _ => &mut report.failed,
            };
            *counter += 1;
        }
    }

    fn reply(&self) -> Reply {
        let Report { rows, fetched, fresh, unknown, loaded, failed, origin_calls, stores: [l2, l3] } = &self.report;
        let left = rows.saturating_sub(fetched + fresh + unknown + loaded + failed);
        let mut text = String::new();
        for (before, number) in [
            (r#"{"rows":"#, *rows),
            (r#","fetched":"#, *fetched),
            (r#","fresh":"#, *fresh),
            (r#","unknown":"#, *unknown),
            (r#","loaded":"#, *loaded),
            (r#","failed":"#, *failed),
            (r#","left":"#, left),
            (r#","origin_calls":"#, *origin_calls as usize),
            (r#","stores":{"l2_distributed":{"rows":"#, l2.rows),
            (r#","failed":"#, l2.failed),
            (r#","bytes":"#, l2.bytes),
            (r#"},"l3_storage":{"rows":"#, l3.rows),
            (r#","failed":"#, l3.failed),
            (r#","bytes":"#, l3.bytes),
        ] {
            text.push_str(before);
            text.push_str(&number.to_string());
        }
        text.push_str("}}}");
        Reply::json(200, Cow::Owned(text.into_bytes()))
    }
}
