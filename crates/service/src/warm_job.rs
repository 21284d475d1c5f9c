//! A warm-up job: what remains of it, and what has been done.
//!
//! It knows no engine: its caller performs [`WarmJob::next`] and reports the result. Invariant: every row
//! of the body is counted once.

use std::borrow::Cow;
use std::rc::Rc;

use crate::io::{Continuation, Effect, IoRequest, PendingWrite};
use crate::reply::Reply;
use crate::request::RequestContext;
use model::answer::{Action, Answer, Tier};
use model::request::{Priority, RowQuery};
use model::row::Row;
use model::time::Timestamp;
use protocol::parsed_request::ParsedRequest;
use protocol::plan::Plan;

/// A warm-up in progress.
#[derive(Debug)]
pub(super) struct WarmJob {
    /// The remaining steps, the next at the end.
    remaining: Vec<WarmStep>,
    report: Report,
    /// Store writes in progress.
    writes: usize,
    /// How many rows are being fetched.
    fetching: usize,
    pub(super) began: Timestamp,
}

#[derive(Debug)]
pub(super) enum WarmStep {
    /// Rows to fetch where they are missing.
    Fetch {
        request: ParsedRequest<'static>,
        context: RequestContext<'static>,
        plan: Rc<Plan>,
        rows: usize,
    },
    Load(Load),
}

/// Rows with their values.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) query: Box<RowQuery>,
    pub(super) rows: Vec<(usize, Row)>,
    pub(super) request: ParsedRequest<'static>,
    pub(super) plan: Rc<Plan>,
}

impl WarmStep {
    fn footprint(&self) -> usize {
        match self {
            WarmStep::Fetch { request, plan, .. } => request.size() + plan.size(),
            WarmStep::Load(Load { query, rows, request, plan }) => {
                let part = |row: &Row| row.size() + row.schema().size() / Rc::strong_count(row.schema());
                let rows: usize = rows.iter().map(|(_, row)| part(row)).sum();
                rows + query.keys.size() + request.size() + plan.size()
            }
        }
    }

    /// How many rows it is of.
    pub(super) fn rows(&self) -> usize {
        match self {
            WarmStep::Fetch { rows, .. } => *rows,
            WarmStep::Load(Load { rows, .. }) => rows.len(),
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
    stores: [WriteTotals; 2],
}

#[derive(Debug, Default)]
struct WriteTotals {
    rows: usize,
    failed: usize,
    bytes: usize,
}

impl WarmJob {
    /// A job of these steps, with `rows` rows in all.
    pub(super) fn new(mut remaining: Vec<WarmStep>, rows: usize, began: Timestamp) -> WarmJob {
        remaining.reverse();
        WarmJob { remaining, report: Report { rows, ..Report::default() }, writes: 0, fetching: 0, began }
    }

    /// The next step, before the deadline; `None` where the job is done.
    pub(super) fn next(&mut self, deadline_millis: u64, now: Timestamp) -> Option<WarmStep> {
        let is_late = now.millis_since(self.began) >= deadline_millis;
        let step = self.remaining.pop().filter(|_| !is_late)?;
        match &step {
            WarmStep::Fetch { rows, .. } => self.fetching = *rows,
            WarmStep::Load(Load { rows, .. }) => self.report.loaded += rows.len(),
        }
        Some(step)
    }

    /// Whether store writes are in progress.
    pub(super) fn awaits_stores(&self) -> bool {
        self.writes > 0
    }

    /// Counts the rows of the present step as failed, because it cannot begin.
    pub(super) fn skip(&mut self) {
        self.report.failed += self.fetching;
    }

    /// A store has answered one of its writes.
    pub(super) fn on_written(&mut self, tier: Tier, failed: usize) {
        self.writes = self.writes.saturating_sub(1);
        self.written(tier).failed += failed;
    }

    /// The memory that it takes, in bytes.
    pub(super) fn footprint(&self) -> usize {
        size_of::<WarmJob>() + self.remaining.iter().map(WarmStep::footprint).sum::<usize>()
    }

    fn written(&mut self, tier: Tier) -> &mut WriteTotals {
        let [l2, l3] = &mut self.report.stores;
        if tier == Tier::L3 { l3 } else { l2 }
    }

    /// Counts its own writes, to wait for them. Its handle may also write rows of other requests.
    pub(super) fn count_writes(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Continuation::Write(PendingWrite { allowance: None, .. }) = effect.id.continuation
                && let IoRequest::WriteStore { tier, entries, .. } = &effect.request
            {
                self.writes += 1;
                let written = self.written(*tier);
                written.rows += entries.len();
                written.bytes += entries.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
            }
        }
    }

    /// Counts unmerged rows as failed writes.
    pub(super) fn count_unmerged(&mut self, unmerged: &[(Tier, u64)]) {
        for &(tier, rows) in unmerged {
            let written = self.written(tier);
            written.rows += rows as usize;
            written.failed += rows as usize;
        }
    }

    /// Gives a query the lowest priority and the job's remaining time.
    pub(super) fn apply_limits(&self, query: &mut RowQuery, deadline_millis: u64, now: Timestamp) {
        query.priority = Priority::Low;
        query.max_staleness = None;
        query.background_timeout_millis = Some(deadline_millis.saturating_sub(now.millis_since(self.began)));
    }

    /// Counts the rows of an answer.
    pub(super) fn count(&mut self, answer: &Answer) {
        let report = &mut self.report;
        report.origin_calls += answer.tier_counts.compute_requests;
        for found in &answer.found {
            let counter = match &found.row {
                Some(row) if found.action != Action::Fetch => {
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

    /// The reply of a job that is done.
    pub(super) fn reply(&self) -> Reply {
        let Report { rows, fetched, fresh, unknown, loaded, failed, origin_calls, stores: [l2, l3] } = &self.report;
        let left = rows.saturating_sub(fetched + fresh + unknown + loaded + failed);
        let mut text = String::new();
        for (before, number) in [
            (r#"{"rows":"#, *rows),
            (r#","fetched":"#, *fetched),
            (r#","fresh":"#, *fresh),
            (r#","not_found":"#, *unknown),
            (r#","loaded":"#, *loaded),
            (r#","failed":"#, *failed),
            (r#","remaining":"#, left),
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
