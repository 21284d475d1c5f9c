//! The ledger: what other isolates have written, and what this one tells them.
//!
//! One object keeps the marks of all writes in their order. Whoever writes tells it before the caller hears of the write;
//! whoever reads has asked it within a bound, so that a write is seen everywhere within that bound. It knows no view and no
//! row: it keeps bytes, numbers them and gives them a time. Invariant: no request waits for it past its timeout or half of
//! its own deadline, and none fails by it; what was served without its word is counted.
//!
//! Times are the ledger's. An isolate's clock may differ, and a value that it fetched must not look newer than a write which
//! came after, nor younger than it is. So once the ledger has been heard, the time is the most that its clock can show, and
//! what is fetched gets the least that it can have shown: what it said lies between the call and the answer (Cristian,
//! "Probabilistic clock synchronization", Distributed Computing 3, 1989).

use std::borrow::Cow;

use crate::cache::marks::Marks;
use crate::config::Config;
use crate::engine::breaker::{Breaker, BreakerSettings};
use crate::model::request::Priority;
use crate::model::time::Instant;
use crate::observe::trace::Context;
use crate::protocol::call::Call;
use crate::service::io::{End, Order, OrderId, Outcome, Part, Step, Task, Ticket};
use crate::service::writes::{Change, Changed};
use crate::service::{Pending, Protocol, Service, setup};

/// What passed between an isolate and the ledger, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    /// Calls.
    pub calls: u64,
    /// Of these, those that failed or came too late.
    pub errors: u64,
    /// Marks that were heard, this isolate's own among them.
    pub marks: u64,
    /// Requests that were served without having heard what they should.
    pub unsure: u64,
    /// Writes that were acknowledged before the ledger had them.
    pub untold: u64,
}

/// What this isolate knows of the ledger.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Within how many milliseconds a write is to be seen; 0 for at once.
    bound: u64,
    timeout: u64,
    /// How long a mark matters: no value is served that is older.
    keep: u64,
    breaker: Breaker,
    /// The most that the ledger's clock is ahead of the host's, in milliseconds, and by how much that may be too much.
    offset: i64,
    spread: u64,
    /// The number of the last mark that was heard.
    after: u64,
    /// When the last call that was answered was made, by the host's clock.
    known_at: Option<Instant>,
    /// The rounds: of the last call that was made, that ended, and that was answered.
    made: u64,
    ended: u64,
    answered: u64,
    calls: Vec<Told>,
    /// The requests that wait for a call to end.
    readers: Vec<Ticket>,
    /// Marks that the ledger does not have yet.
    untold: Vec<u8>,
    counts: LedgerCounts,
}

/// A call under way.
#[derive(Debug)]
struct Told {
    ticket: Ticket,
    round: u64,
    /// By the host's clock.
    made_at: Instant,
    marks: Vec<u8>,
    attempt: u32,
}

/// A request that waits for the ledger's word.
#[derive(Debug)]
pub(super) struct Reader {
    protocol: Protocol,
    call: Box<Call>,
    body: Vec<u8>,
    /// When it began and until when it waits, by the host's clock: the ledger's may be found to be another meanwhile.
    began: Instant,
    until: Instant,
    /// The first round whose word is late enough for it.
    needs: u64,
    /// Where it stands in a trace, if in one.
    context: Option<Context>,
}

impl Reader {
    /// Whether its host has gone silent.
    pub(super) fn is_lost(&self, ledger: &Ledger, now: Instant, patience: u64) -> bool {
        ledger.host(now).millis_since(self.until) > patience
    }
}

/// A call of which nothing was heard for so long past its timeout is lost with its host, in milliseconds.
const LOST_AFTER_MILLIS: u64 = 100;

/// A write that the ledger could not be told is told again after this long, in milliseconds, then after twice as long and so
/// on: some 15 s in all, since a host lets nothing go on behind an answer for more than 30. After that, the next call brings it.
const RETRY_MILLIS: u64 = 1_000;
const MAX_ATTEMPTS: u32 = 4;

/// The most rows of one write that are named; past it, all of its view are meant.
const MAX_ROWS: usize = 10_000;

/// Past this many bytes of marks that the ledger does not have, all is meant.
const MAX_UNTOLD: usize = 256 << 10;

/// In place of a name's length, that everything is meant; in place of a number of rows, that all of them are.
const EVERYTHING: u16 = u16::MAX;
const ALL_ROWS: u32 = u32::MAX;

/// What a caller is told whose write the ledger does not have yet, in the form of RFC 9211.
const UNTOLD: (&str, &str) = ("cache-status", "featheredge-ledger; detail=unreached");

/// Whether this build can have a ledger: no JavaScript host has one. All ways there are barred by it, so that a build without it has
/// none of the code.
const IS_BUILT_IN: bool = cfg!(not(feature = "npm"));

impl Ledger {
    /// The ledger's place, where the configuration has one.
    pub(super) fn new(config: &Config) -> Option<Ledger> {
        let Config { l3, writes, breaker, .. } = config;
        let breaker = BreakerSettings { window: MAX_FAILURES, ..setup::breaker_settings(breaker) };
        (IS_BUILT_IN && l3.enabled && writes.ledger && writes.invalidation).then(|| Ledger {
            bound: writes.visible_within_ms,
            timeout: l3.timeout_ms,
            keep: setup::longest_life(config),
            breaker: Breaker::new(breaker),
            offset: 0,
            spread: 0,
            after: 0,
            known_at: None,
            made: 0,
            ended: 0,
            answered: 0,
            calls: Vec::new(),
            readers: Vec::new(),
            untold: Vec::new(),
            counts: LedgerCounts::default(),
        })
    }

    /// The ledger's time when the host's clock shows `host`, or a little later.
    pub(super) fn now(&self, host: Instant) -> Instant {
        Instant(host.0.saturating_add_signed(self.offset))
    }

    /// Whether it has never answered, and is worth asking.
    pub(super) fn is_unheard(&self) -> bool {
        self.known_at.is_none() && self.made == 0
    }

    fn host(&self, now: Instant) -> Instant {
        Instant(now.0.saturating_add_signed(-self.offset))
    }

    pub(super) fn counts(&self) -> LedgerCounts {
        self.counts
    }

    /// For how many milliseconds nothing was heard; `None` where nothing ever was.
    fn silence(&self, now: Instant) -> Option<u64> {
        self.known_at.map(|known_at| self.host(now).millis_since(known_at))
    }

    /// The last call, if it is under way.
    fn under_way(&self, now: Instant) -> Option<&Told> {
        let host = self.host(now);
        self.calls.iter().rfind(|call| host.millis_since(call.made_at) <= self.timeout + LOST_AFTER_MILLIS)
    }

    /// A call that tells what is untold and asks what is new.
    fn call(&mut self, ticket: Ticket, attempt: u32, now: Instant) -> Order {
        let made_at = self.host(now);
        let patience = self.timeout + LOST_AFTER_MILLIS;
        for lost in self.calls.extract_if(.., |call| made_at.millis_since(call.made_at) > patience) {
            self.untold.extend(lost.marks);
        }
        if self.untold.len() > MAX_UNTOLD {
            self.untold = EVERYTHING.to_le_bytes().to_vec();
        }
        let marks = core::mem::take(&mut self.untold);
        self.made += 1;
        self.counts.calls += 1;
        self.calls.push(Told { ticket, round: self.made, made_at, marks: marks.clone(), attempt });
        Order {
            id: OrderId { ticket, part: Part::Ledger },
            task: Task::Ledger { after: self.after, marks, at: now, keep_millis: self.keep },
            timeout_millis: self.timeout,
        }
    }

    /// Learns marks from what the ledger answered, and gives what its clock showed meanwhile; `None` where it cannot be read.
    fn learn(&mut self, answer: &[u8], marks: &mut Marks) -> Option<u64> {
        let mut rest = answer;
        let [clock, last] = [number(&mut rest)?, number(&mut rest)?];
        let [dropped, dropped_at] = [number(&mut rest)?, number(&mut rest)?];
        if self.after < dropped {
            marks.mark_all(Instant(dropped_at));
        }
        if self.after > last {
            // It is another ledger than before, and what that one had is not to be had.
            marks.mark_all(Instant(clock));
            self.after = last;
        }
        while !rest.is_empty() {
            let at = Instant(number(&mut rest)?);
            let length = number(&mut rest)? as usize;
            read(taken(&mut rest, length)?, marks, at)?;
            self.counts.marks += 1;
        }
        self.after = self.after.max(last);
        Some(clock)
    }

    /// Sets the clock by the ledger's, which showed `clock` between `made_at` and `host`; whether it was ahead so far.
    ///
    /// It is put back only where it is wrong or `is_idle`: deadlines run by it.
    fn set_clock(&mut self, clock: u64, made_at: Instant, host: Instant, is_idle: bool) -> bool {
        let ahead_of = |instant: Instant| clock.wrapping_sub(instant.0).cast_signed();
        let (least, most) = (ahead_of(host), ahead_of(made_at));
        let known = self.offset.saturating_sub_unsigned(self.spread)..=self.offset;
        let was_ahead = most < *known.start();
        let (least, most) = if was_ahead || least > *known.end() || self.known_at.is_none() {
            (least, most)
        } else {
            (least.max(*known.start()), if is_idle { most.min(*known.end()) } else { *known.end() })
        };
        self.offset = most;
        self.spread = most.saturating_sub(least).cast_unsigned();
        was_ahead
    }
}

/// After how many failures of the last so many the ledger is left alone for a while: whoever waits for it waits in vain.
const MAX_FAILURES: u32 = 3;

impl Service {
    /// The time that what is fetched at `now` counts as fetched: the least that it can be.
    pub(super) fn stamp(&self, now: Instant) -> Instant {
        Instant(now.0.saturating_sub(self.ledger.as_ref().map_or(0, |ledger| ledger.spread)))
    }

    /// What passed between this isolate and the ledger, where there is one.
    #[must_use]
    pub fn ledger_counts(&self) -> Option<LedgerCounts> {
        self.ledger.as_ref().map(Ledger::counts)
    }

    /// Serves a request for features once this isolate has heard the ledger late enough.
    pub(super) fn serve_call(
        &mut self,
        protocol: Protocol,
        mut call: Box<Call>,
        body: Cow<'_, [u8]>,
        now: Instant,
    ) -> Step {
        let Some(ledger) = self.ledger.as_mut().filter(|_| IS_BUILT_IN) else {
            return self.serve_known(protocol, call, body, now, now);
        };
        let silence = ledger.silence(now).unwrap_or(u64::MAX);
        if ledger.bound > 0 && silence <= ledger.bound {
            // Asked behind an answer while there is time, so that under steady traffic nobody waits.
            let is_due = silence > ledger.bound / 2 && ledger.under_way(now).is_none() && ledger.breaker.admits(now);
            let refresh = is_due.then(|| self.call_ledger(now)).flatten();
            let mut step = self.serve_known(protocol, call, body, now, now);
            step.orders.extend(refresh);
            return step;
        }
        let (bound, next) = (ledger.bound, ledger.made + 1);
        let host = ledger.host(now);
        let under_way = ledger.under_way(now).map(|call| (call.round, host.millis_since(call.made_at)));
        let needs = match under_way {
            Some((round, age)) if bound > 0 && age <= bound => round,
            _ => next,
        };
        let is_full = ledger.readers.len() >= self.config.load.max_waiting;
        if is_full || (under_way.is_none() && !ledger.breaker.admits(now)) {
            ledger.counts.unsure += 1;
            return self.serve_known(protocol, call, body, now, now);
        }
        let ticket = self.next_ticket(now);
        let millis = self.patience(protocol);
        let mut orders = vec![Order {
            id: OrderId { ticket, part: Part::Wake },
            task: Task::Wait { outlives_request: false },
            timeout_millis: millis,
        }];
        self.spare_call = Some(Box::new(call.successor()));
        let (body, until, context) = (body.into_owned(), host.plus(millis), self.context.take());
        let reader = Reader { protocol, call, body, began: host, until, needs, context };
        self.pending.insert(ticket.0, Pending::Reader(Box::new(reader)));
        if let Some(ledger) = &mut self.ledger {
            match under_way {
                None => orders.push(ledger.call(ticket, 0, now)),
                Some(_) => ledger.readers.push(ticket),
            }
        }
        Step { ticket: Some(ticket), orders, ..Step::default() }
    }

    /// How long a request waits for the ledger, in milliseconds.
    fn patience(&self, protocol: Protocol) -> u64 {
        let (own, priority) = match protocol {
            Protocol::Feast => (None, Priority::Normal),
            Protocol::Native(options) => (options.deadline_millis, options.priority),
        };
        let Config { routing, deadlines, l3, .. } = &self.config;
        let usual = if priority >= Priority::High { routing.real_time_deadline_ms } else { deadlines.default_ms };
        l3.timeout_ms.min(own.unwrap_or(usual).min(deadlines.default_ms) / 2)
    }

    /// Lets a request that waits for the ledger look whether it may go on, as it may when its timer has gone off.
    pub(super) fn wake_reader(&mut self, ticket: Ticket, reader: Box<Reader>, is_timer: bool, now: Instant) -> Step {
        let Some(ledger) = self.ledger.as_mut().filter(|_| IS_BUILT_IN) else { return Step::default() };
        let has_ended = is_timer || ledger.ended >= reader.needs || ledger.host(now) >= reader.until;
        let may_call = !has_ended && ledger.under_way(now).is_none();
        if has_ended || (may_call && !ledger.breaker.admits(now)) {
            ledger.counts.unsure += u64::from(ledger.answered < reader.needs);
            ledger.readers.retain(|waiting| *waiting != ticket);
            let Reader { protocol, mut call, body, began, context, .. } = *reader;
            if let Some(mut spare) = self.spare_call.take() {
                call.succeed(&mut spare);
            }
            let began = ledger.now(began);
            self.context = context;
            let step = self.serve_known(protocol, call, body.into(), began, now);
            self.context = None;
            return step;
        }
        let mut step = Step { ticket: Some(ticket), ..Step::default() };
        if may_call {
            step.orders.push(ledger.call(ticket, 0, now));
        } else if !ledger.readers.contains(&ticket) {
            ledger.readers.push(ticket);
        }
        self.pending.insert(ticket.0, Pending::Reader(reader));
        step
    }

    /// Tells the ledger of a change, and only then ends the request with `end`.
    pub(super) fn tell(&mut self, ticket: Ticket, end: End, change: &Change, now: Instant) -> Step {
        let Some(ledger) = self.ledger.as_mut().filter(|_| IS_BUILT_IN && *change != Change::Nothing) else {
            return Step { end: Some(end), ..Step::default() };
        };
        write(change, &mut ledger.untold);
        if !ledger.breaker.admits(now) {
            ledger.counts.untold += 1;
            return Step { end: Some(end.with_notice(UNTOLD)), orders: vec![retry(ticket, 0)], ..Step::default() };
        }
        let order = ledger.call(ticket, 0, now);
        self.pending.insert(ticket.0, Pending::Told { end: Box::new(end), began: now });
        Step { ticket: Some(ticket), orders: vec![order], ..Step::default() }
    }

    /// Tells the ledger again what it does not have yet.
    pub(super) fn tell_again(&mut self, ticket: Ticket, attempt: u32, now: Instant) -> Step {
        let mut step = Step::default();
        if let Some(ledger) = self.ledger.as_mut().filter(|ledger| IS_BUILT_IN && !ledger.untold.is_empty()) {
            step.orders.push(ledger.call(ticket, attempt + 1, now));
        }
        step
    }

    /// A call behind whatever is served.
    pub(super) fn call_ledger(&mut self, now: Instant) -> Option<Order> {
        let ticket = self.next_ticket(now);
        self.ledger.as_mut().filter(|_| IS_BUILT_IN).map(|ledger| ledger.call(ticket, 0, now))
    }

    /// What came of a call to the ledger.
    pub(super) fn heard(&mut self, ticket: Ticket, outcome: &Outcome, now: Instant) -> Step {
        let Some(ledger) = self.ledger.as_mut().filter(|_| IS_BUILT_IN) else { return Step::default() };
        let Some(position) = ledger.calls.iter().position(|call| call.ticket == ticket) else {
            // It was given up as lost, by a clock that jumped or a host that stood still, and its marks are told by another call.
            return self.after_hearing(ticket, false, now);
        };
        let call = ledger.calls.swap_remove(position);
        let answer = if let Outcome::Heard(Some(answer)) = outcome { Some(answer) } else { None };
        let clock = answer.and_then(|answer| ledger.learn(answer, self.engine.marks()));
        let has_heard = clock.is_some();
        ledger.breaker.record(has_heard, now);
        let host = ledger.host(now);
        let is_idle = self.engine.sessions() == 0;
        if clock.is_some_and(|clock| ledger.set_clock(clock, call.made_at, host, is_idle)) {
            // What was fetched by a clock that was ahead might look newer than what is written from now on.
            self.engine.forget();
        }
        let now = ledger.now(host);
        ledger.ended = ledger.ended.max(call.round);
        let mut orders = Vec::new();
        if has_heard {
            ledger.answered = ledger.answered.max(call.round);
            ledger.known_at = ledger.known_at.max(Some(call.made_at));
        } else {
            ledger.counts.errors += 1;
            if !call.marks.is_empty() && call.attempt < MAX_ATTEMPTS {
                orders.push(retry(ticket, call.attempt));
            }
            ledger.untold.extend(call.marks);
        }
        let woken = core::mem::take(&mut ledger.readers);
        let mut step = self.after_hearing(ticket, has_heard, now);
        step.orders.extend(orders);
        step.woken.extend(woken.into_iter().filter(|woken| *woken != ticket));
        step
    }

    /// Lets the request go on that made a call to the ledger.
    fn after_hearing(&mut self, ticket: Ticket, has_heard: bool, now: Instant) -> Step {
        match self.pending.remove(&ticket.0) {
            Some(Pending::Reader(reader)) => self.wake_reader(ticket, reader, false, now),
            Some(Pending::Unread { body, caller, .. }) => self.warm_unread(&body, caller, now),
            Some(Pending::Told { end, .. }) if has_heard => Step { end: Some(*end), ..Step::default() },
            Some(Pending::Told { end, .. }) => {
                if let Some(ledger) = &mut self.ledger {
                    ledger.counts.untold += 1;
                }
                Step { end: Some(end.with_notice(UNTOLD)), ..Step::default() }
            }
            _ => Step::default(),
        }
    }
}

fn retry(ticket: Ticket, attempt: u32) -> Order {
    Order {
        id: OrderId { ticket, part: Part::Retry(attempt) },
        task: Task::Wait { outlives_request: true },
        timeout_millis: RETRY_MILLIS << attempt,
    }
}

/// Appends a change as marks: for each view its name's length in two bytes and its name, then the number of rows in four
/// and the hashes of eight, all little-endian.
fn write(change: &Change, out: &mut Vec<u8>) {
    match change {
        Change::Nothing => {}
        Change::Everything => out.extend_from_slice(&EVERYTHING.to_le_bytes()),
        Change::Views(views) => {
            for Changed { view, rows } in views {
                let length = u16::try_from(view.len()).unwrap_or(EVERYTHING);
                out.extend_from_slice(&length.to_le_bytes());
                if length == EVERYTHING {
                    continue;
                }
                out.extend_from_slice(view.as_bytes());
                let rows = rows.as_deref().filter(|rows| rows.len() <= MAX_ROWS);
                out.extend_from_slice(&rows.map_or(ALL_ROWS, |rows| rows.len() as u32).to_le_bytes());
                for row in rows.unwrap_or_default() {
                    out.extend_from_slice(&row.to_le_bytes());
                }
            }
        }
    }
}

/// Makes marks of what [`write`] wrote; `None` where it is not understood.
fn read(mut bytes: &[u8], marks: &mut Marks, at: Instant) -> Option<()> {
    while !bytes.is_empty() {
        let length = u16::from_le_bytes(*taken(&mut bytes, 2)?.first_chunk()?);
        if length == EVERYTHING {
            marks.mark_all(at);
            continue;
        }
        let view = core::str::from_utf8(taken(&mut bytes, usize::from(length))?).ok()?;
        let rows = u32::from_le_bytes(*taken(&mut bytes, 4)?.first_chunk()?);
        if rows == ALL_ROWS {
            marks.mark_view(view, at);
            continue;
        }
        let mut hashes = Vec::new();
        for _ in 0..rows {
            hashes.push(number(&mut bytes)?);
        }
        marks.mark_rows(view, &hashes, at);
    }
    Some(())
}

fn taken<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*taken(bytes, 8)?.first_chunk()?))
}
