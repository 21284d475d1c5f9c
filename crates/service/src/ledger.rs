//! The ledger: what other isolates have written, and what this one tells them.
//!
//! One object keeps the marks of all writes in their order. Whoever writes tells it before the caller hears of the write;
//! whoever reads has asked it within a bound, so that a write is seen everywhere within that bound. It knows no view and no
//! row: it keeps bytes, numbers them and gives them a time. Invariant: no request waits for it past its timeout or half of
//! its own deadline, and none fails by it; what was served without its word is counted.
//!
//! Answers may come in any order, and each is judged by what its own call carried: the number of the last mark that was
//! known then, and the epoch of the ledger that had told it. The epoch is the ledger's identity. An answer of another epoch
//! than the call's comes from a ledger that has taken the other's place: what that one had been told is lost, so everything
//! fetched before counts as written. An answer of the same epoch never means more than the marks that it brings.
//!
//! Times are the ledger's. A mark has the time of the ledger's own clock. A writer's clock adds to it only where the writer has
//! heard this very ledger, and by no more than the writer's knowledge of it leaves open, so that neither a clock that was
//! never compared nor one that was set since makes rows uncacheable. What is fetched gets the earliest time that the ledger's
//! clock can have shown, and its age is taken by the latest: see [`clock`].

use std::borrow::Cow;

use crate::io::{End, Order, OrderId, Outcome, Part, Step, Task, Ticket};
use crate::writes::Change;
use crate::{Pending, Protocol, Service, setup};
use cache::marks::Marks;
use config::Config;
use engine::breaker::{Breaker, BreakerSettings};
use invalidation_log::{Append, Appended};
use model::time::Instant;
use protocol::call::Call;
use telemetry::trace::Context;

mod clock;
mod wire;

use clock::{ClockOffset, Correction, Reading};

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
    /// By the host's clock: what is known of the ledger's may change with every answer.
    breaker: Breaker,
    clock: ClockOffset,
    /// Which ledger was heard; 0 where none was yet.
    epoch: u64,
    /// The number of the last of its marks up to which all were heard.
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
    /// What was known when it was made.
    epoch: u64,
    after: u64,
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
    /// The memory that it takes, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Reader>() + self.body.capacity() + self.call.size()
    }

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

/// Past this many bytes of marks that the ledger does not have, all is meant.
const MAX_UNTOLD: usize = 256 << 10;

/// What a caller is told whose write the ledger does not have yet, in the form of RFC 9211.
const UNTOLD: (&str, &str) = ("cache-status", "featheredge-ledger; detail=unreached");

impl Ledger {
    /// The ledger's place, where the configuration has one.
    pub(super) fn new(config: &Config) -> Option<Ledger> {
        let Config { l3, writes, breaker, .. } = config;
        let breaker = BreakerSettings { window: MAX_FAILURES, ..setup::breaker_settings(breaker) };
        (l3.enabled && writes.ledger && writes.invalidation).then(|| Ledger {
            bound: writes.visible_within_ms,
            timeout: l3.timeout_ms,
            keep: setup::longest_life(config),
            breaker: Breaker::new(breaker),
            clock: ClockOffset::new(),
            epoch: 0,
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
        self.clock.latest(host)
    }

    /// Whether it has never answered, and is worth asking.
    pub(super) fn is_unheard(&self) -> bool {
        self.known_at.is_none() && self.made == 0
    }

    fn host(&self, now: Instant) -> Instant {
        self.clock.host(now)
    }

    pub(super) fn counts(&self) -> LedgerCounts {
        self.counts
    }

    /// Whether it is worth asking. Whoever is told so is taken to ask.
    fn admits(&mut self, now: Instant) -> bool {
        let host = self.host(now);
        self.breaker.admits(host)
    }

    /// For how many milliseconds nothing was heard; `None` where nothing ever was, and where the clock was set back since.
    fn silence(&self, now: Instant) -> Option<u64> {
        self.known_at.and_then(|known_at| age(known_at, self.host(now)))
    }

    /// How long a call can take.
    fn patience(&self) -> u64 {
        self.timeout + LOST_AFTER_MILLIS
    }

    /// The last call, if it is under way: its round, and for how many milliseconds.
    fn under_way(&self, now: Instant) -> Option<(u64, u64)> {
        let host = self.host(now);
        let patience = self.patience();
        let ages = self.calls.iter().filter_map(|call| Some((call.round, age(call.made_at, host)?)));
        ages.filter(|(_, age)| *age <= patience).max()
    }

    /// Keeps marks that the ledger does not have, for the next call.
    fn owe(&mut self, add: impl FnOnce(&mut Vec<u8>)) {
        if self.untold == wire::EVERYTHING {
            return;
        }
        add(&mut self.untold);
        if self.untold.len() > MAX_UNTOLD {
            self.untold = wire::EVERYTHING.to_vec();
        }
    }

    /// A call that tells what is untold and asks what is new.
    fn call(&mut self, ticket: Ticket, attempt: u32, now: Instant) -> Order {
        let made_at = self.host(now);
        let patience = self.patience();
        let is_lost = |call: &mut Told| age(call.made_at, made_at).is_none_or(|age| age > patience);
        let lost: Vec<Told> = self.calls.extract_if(.., is_lost).collect();
        for lost in lost {
            self.owe(|untold| untold.extend(lost.marks));
        }
        let marks = core::mem::take(&mut self.untold);
        let Ledger { epoch, after, keep, .. } = *self;
        self.made += 1;
        self.counts.calls += 1;
        let spread_millis = self.clock.spread();
        let request = Append { after, epoch, marks: &marks, at: now.0, spread_millis, keep_millis: keep }.to_bytes();
        self.calls.push(Told { ticket, round: self.made, made_at, epoch, after, marks, attempt });
        Order {
            id: OrderId { ticket, part: Part::Ledger },
            task: Task::Ledger { request },
            timeout_millis: self.timeout,
        }
    }

    /// Learns marks from what the ledger answered to `call`; `None` where it cannot be read.
    fn learn(&mut self, answer: &[u8], call: &Told, marks: &mut Marks) -> Option<Word> {
        let Appended { clock, last, dropped, dropped_at, epoch, marks: news } = Appended::read(answer)?;
        // To a call of another epoch, a ledger answers with all that it has.
        let is_expected = call.epoch == epoch;
        let after = if is_expected { call.after } else { 0 };
        if after < dropped {
            marks.mark_all(Instant(dropped_at));
        }
        self.counts.marks += news.len() as u64;
        for (at, mark) in news {
            wire::learn(mark, marks, Instant(at));
        }
        let who = if epoch == self.epoch {
            // One that has gone back to an earlier state of it would give the same numbers to other marks.
            if is_expected && after > last { Who::Another } else { Who::Same }
        } else if self.epoch == 0 || self.epoch == call.epoch {
            Who::Another
        } else {
            // The call was made before the present one was heard, which tells the next call whether it still is the present one.
            Who::Former
        };
        match who {
            Who::Another => (self.epoch, self.after) = (epoch, last),
            // Nothing is missing between what was known and what this answer begins with.
            Who::Same if after <= self.after => self.after = self.after.max(last),
            Who::Same | Who::Former => {}
        }
        Some(Word { clock: Instant(clock), who })
    }
}

/// What an answer says beside its marks.
#[derive(Clone, Copy, Debug)]
struct Word {
    clock: Instant,
    who: Who,
}

/// Of whom an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Same,
    /// The first one ever heard, or one that has taken the other's place.
    Another,
    /// One whose place another may have taken.
    Former,
}

/// For how many milliseconds something has been; `None` where it has not begun, by a clock that was set back.
fn age(began: Instant, now: Instant) -> Option<u64> {
    now.0.checked_sub(began.0)
}

/// After how many failures of the last so many the ledger is left alone for a while: whoever waits for it waits in vain.
const MAX_FAILURES: u32 = 3;

impl Service {
    /// The time that what is fetched at `now` counts as fetched: the least that it can be.
    pub(super) fn stamp(&self, now: Instant) -> Instant {
        self.ledger.as_ref().map_or(now, |ledger| ledger.clock.earliest(now))
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
        began: Instant,
        now: Instant,
    ) -> Step {
        let Some(ledger) = self.ledger.as_mut() else {
            return self.serve_known(protocol, call, body, began, now);
        };
        let silence = ledger.silence(now).unwrap_or(u64::MAX);
        if ledger.bound > 0 && silence <= ledger.bound {
            // Asked behind an answer while there is time, so that under steady traffic nobody waits.
            let is_due = silence > ledger.bound / 2 && ledger.under_way(now).is_none() && ledger.admits(now);
            let refresh = is_due.then(|| self.call_ledger(now)).flatten();
            let mut step = self.serve_known(protocol, call, body, began, now);
            step.orders.extend(refresh);
            return step;
        }
        let (bound, next) = (ledger.bound, ledger.made + 1);
        let (host, began_by_host) = (ledger.host(now), ledger.host(began));
        let under_way = ledger.under_way(now);
        let needs = match under_way {
            Some((round, age)) if bound > 0 && age <= bound => round,
            _ => next,
        };
        // Who finds no room to wait is served with what is known, as when the ledger is left alone.
        let has_room = self.has_room(protocol.priority(), body.len() + call.size());
        let Some(ledger) = &mut self.ledger else { return Step::default() };
        let is_full = !has_room || ledger.readers.len() >= self.config.load.max_waiting;
        if is_full || (under_way.is_none() && !ledger.admits(now)) {
            ledger.counts.unsure += 1;
            return self.serve_known(protocol, call, body, began, now);
        }
        let ticket = self.next_ticket(now);
        let waited = now.millis_since(began);
        let millis = self.config.l3.timeout_ms.min(self.half_of_deadline(protocol, waited));
        let mut orders = vec![Order::wait(ticket, millis)];
        self.spare_call = Some(Box::new(call.successor()));
        let (body, until, context) = (body.into_owned(), host.plus(millis), self.context.take());
        let reader = Reader { protocol, call, body, began: began_by_host, until, needs, context };
        self.pending.insert(ticket.0, Pending::Reader(Box::new(reader)));
        if let Some(ledger) = &mut self.ledger {
            match under_way {
                None => orders.push(ledger.call(ticket, 0, now)),
                Some(_) => ledger.readers.push(ticket),
            }
        }
        Step { ticket: Some(ticket), orders, ..Step::default() }
    }

    /// Lets a request that waits for the ledger look whether it may go on, as it may when its timer has gone off.
    pub(super) fn wake_reader(&mut self, ticket: Ticket, reader: Box<Reader>, is_timer: bool, now: Instant) -> Step {
        let Some(ledger) = self.ledger.as_mut() else { return Step::default() };
        let has_ended = is_timer || ledger.ended >= reader.needs || ledger.host(now) >= reader.until;
        let may_call = !has_ended && ledger.under_way(now).is_none();
        if has_ended || (may_call && !ledger.admits(now)) {
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
        let Some(ledger) = self.ledger.as_mut().filter(|_| *change != Change::Nothing) else {
            return Step { end: Some(end), ..Step::default() };
        };
        ledger.owe(|untold| wire::write(change, untold));
        if !ledger.admits(now) {
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
        if let Some(ledger) = self.ledger.as_mut().filter(|ledger| !ledger.untold.is_empty()) {
            step.orders.push(ledger.call(ticket, attempt + 1, now));
        }
        step
    }

    /// A call behind whatever is served.
    pub(super) fn call_ledger(&mut self, now: Instant) -> Option<Order> {
        let ticket = self.next_ticket(now);
        self.ledger.as_mut().map(|ledger| ledger.call(ticket, 0, now))
    }

    /// What came of a call to the ledger.
    pub(super) fn heard(&mut self, ticket: Ticket, outcome: &Outcome, now: Instant) -> Step {
        let Some(ledger) = self.ledger.as_mut() else { return Step::default() };
        let Some(position) = ledger.calls.iter().position(|call| call.ticket == ticket) else {
            // It was given up as lost, by a clock that jumped or a host that stood still, and its marks are told by another call.
            return self.after_hearing(ticket, false, now);
        };
        let call = ledger.calls.remove(position);
        let host = ledger.host(now);
        let answer = if let Outcome::Heard(Some(answer)) = outcome { Some(answer) } else { None };
        let word = answer.and_then(|answer| ledger.learn(answer, &call, self.engine.marks()));
        let has_heard = word.is_some();
        ledger.breaker.record(has_heard, host);
        ledger.ended = ledger.ended.max(call.round);
        let mut orders = Vec::new();
        if let Some(word) = word {
            let is_first = ledger.known_at.is_none();
            ledger.answered = ledger.answered.max(call.round);
            // What was known at a time that is still to come was known by a clock that was set back.
            let known_at = ledger.known_at.filter(|known_at| *known_at <= host);
            ledger.known_at = known_at.max(Some(call.made_at.min(host)));
            if word.who != Who::Former {
                self.set_clock(word, call.made_at, host, is_first);
            }
        } else {
            ledger.counts.errors += 1;
            if !call.marks.is_empty() && call.attempt < MAX_ATTEMPTS {
                orders.push(retry(ticket, call.attempt));
            }
            ledger.owe(|untold| untold.extend(call.marks));
        }
        let Some(ledger) = self.ledger.as_mut() else { return Step::default() };
        let now = ledger.now(host);
        let woken = core::mem::take(&mut ledger.readers);
        let mut step = self.after_hearing(ticket, has_heard, now);
        step.orders.extend(orders);
        step.woken.extend(woken.into_iter().filter(|woken| *woken != ticket));
        step
    }

    /// Sets the time by what the ledger's clock showed, and forgets what can no longer be told to be newer than a write.
    fn set_clock(&mut self, Word { clock, who }: Word, made_at: Instant, host: Instant, is_first: bool) {
        let is_idle = self.engine.sessions() == 0;
        let Some(ledger) = &mut self.ledger else { return };
        let reading = Reading { clock, made_at, heard_at: host, patience: ledger.patience() };
        let Correction { back_millis, was_ahead } = ledger.clock.learn(reading, who == Who::Another, is_idle);
        let now = ledger.now(host);
        self.set_back(back_millis);
        if is_first || was_ahead {
            // What was marked by a time that was ahead would look newer than what is fetched.
            self.engine.marks().limit(now);
        }
        if was_ahead {
            // What was fetched by it might look newer than what is written from now on.
            self.engine.forget();
        }
        if who == Who::Another && !is_first {
            self.engine.marks().mark_all(now);
            self.engine.forget();
        }
    }

    /// Lets the request go on that made a call to the ledger.
    fn after_hearing(&mut self, ticket: Ticket, has_heard: bool, now: Instant) -> Step {
        match self.pending.remove(ticket.0) {
            Some(Pending::Reader(reader)) => self.wake_reader(ticket, reader, false, now),
            Some(Pending::Unread { body, caller, began }) => self.warm_unread(&body, caller, began, now),
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

#[cfg(test)]
mod tests {
    use super::*;
    use model::request::Writes;

    fn ledger() -> Ledger {
        let mut config = Config::default();
        config.l3.enabled = true;
        Ledger::new(&config).unwrap()
    }

    fn call(ledger: &mut Ledger) -> Told {
        ledger.call(Ticket(1), 0, Instant(1_000));
        ledger.calls.pop().unwrap()
    }

    /// An answer whose marks, of everything, have these times.
    fn answer(epoch: u64, last: u64, dropped: (u64, u64), marks: &[u64]) -> Vec<u8> {
        let marks = marks.iter().map(|at| (*at, serde_bytes::Bytes::new(&wire::EVERYTHING))).collect();
        Appended { clock: 900, last, dropped: dropped.0, dropped_at: dropped.1, epoch, marks }.to_bytes()
    }

    /// Of whom the answer to a call is, what is known then, and up to when all is marked.
    fn learn(ledger: &mut Ledger, answer: &[u8], call: &Told) -> (Option<Who>, u64, u64, u64) {
        let mut marks = Marks::default();
        let word = ledger.learn(answer, call, &mut marks);
        let at = marks.floor(&Writes::Any).at(b"");
        (word.map(|word| word.who), ledger.epoch, ledger.after, at.0)
    }

    #[test]
    fn answers_of_one_ledger_bring_their_marks_in_any_order() {
        let mut ledger = ledger();
        let first = call(&mut ledger);
        assert_eq!(learn(&mut ledger, &answer(5, 4, (1, 0), &[10, 20, 30]), &first), (Some(Who::Another), 5, 4, 30));
        let [one, two] = [call(&mut ledger), call(&mut ledger)];
        assert_eq!((one.epoch, one.after, one.round + 1), (5, 4, two.round));
        assert_eq!(learn(&mut ledger, &answer(5, 6, (1, 0), &[40, 50]), &two), (Some(Who::Same), 5, 6, 50));
        assert_eq!(learn(&mut ledger, &answer(5, 5, (1, 0), &[40]), &one), (Some(Who::Same), 5, 6, 40));
        // Nor do those who called before they knew of it.
        assert_eq!(learn(&mut ledger, &answer(5, 4, (1, 7), &[]), &first), (Some(Who::Same), 5, 6, 7));
        assert_eq!(ledger.counts.marks, 6);
    }

    #[test]
    fn what_was_dropped_counts_for_whoever_does_not_know_it() {
        let mut ledger = ledger();
        let first = call(&mut ledger);
        assert_eq!(learn(&mut ledger, &answer(5, 9, (9, 70), &[]), &first).3, 70);
        let second = call(&mut ledger);
        assert_eq!(learn(&mut ledger, &answer(5, 9, (9, 70), &[]), &second).3, 0);
        let third = call(&mut ledger);
        assert_eq!(learn(&mut ledger, &answer(5, 12, (10, 80), &[90]), &third), (Some(Who::Same), 5, 12, 90));
        // Another one's numbers are not its own.
        assert_eq!(learn(&mut ledger, &answer(6, 12, (1, 85), &[]), &third).3, 85);
    }

    #[test]
    fn another_ledger_takes_the_place_of_the_one_that_was_called_and_of_no_later_one() {
        let mut ledger = ledger();
        let before = [call(&mut ledger), call(&mut ledger)];
        learn(&mut ledger, &answer(5, 3, (1, 0), &[]), &before[0]);
        let [late, next] = [call(&mut ledger), call(&mut ledger)];
        assert_eq!(learn(&mut ledger, &answer(6, 30, (1, 0), &[]), &next), (Some(Who::Another), 6, 30, 0));
        assert_eq!(learn(&mut ledger, &answer(5, 4, (1, 0), &[60]), &late), (Some(Who::Former), 6, 30, 60));
        assert_eq!(learn(&mut ledger, &answer(5, 4, (1, 0), &[60]), &before[1]), (Some(Who::Former), 6, 30, 60));
    }

    #[test]
    fn a_ledger_that_has_gone_back_to_an_earlier_state_is_another() {
        let mut ledger = ledger();
        let first = call(&mut ledger);
        learn(&mut ledger, &answer(5, 20, (1, 0), &[]), &first);
        let [one, two] = [call(&mut ledger), call(&mut ledger)];
        assert_eq!(learn(&mut ledger, &answer(5, 12, (1, 0), &[]), &one), (Some(Who::Another), 5, 12, 0));
        // What was answered before must not make it miss what has had these numbers since.
        assert_eq!(learn(&mut ledger, &answer(5, 21, (1, 0), &[]), &two), (Some(Who::Same), 5, 12, 0));
    }

    #[test]
    fn an_answer_that_is_cut_off_is_none() {
        let mut ledger = ledger();
        let call = call(&mut ledger);
        let whole = answer(5, 3, (1, 0), &[60]);
        for length in 0..whole.len() {
            let mut marks = Marks::default();
            assert!(ledger.learn(&whole[..length], &call, &mut marks).is_none(), "{length} bytes");
            assert_eq!((ledger.epoch, marks.floor(&Writes::Any).at(b"")), (0, Instant(0)), "{length} bytes");
        }
    }

    #[test]
    fn a_call_says_what_is_known_and_how_well() {
        let mut ledger = ledger();
        ledger.owe(|untold| untold.extend(wire::EVERYTHING));
        let order = ledger.call(Ticket(3), 0, Instant(5_000));
        assert_eq!((order.id, order.timeout_millis), (OrderId { ticket: Ticket(3), part: Part::Ledger }, 500));
        let Task::Ledger { request } = order.task else { panic!("{:?}", order.task) };
        let (marks, keep_millis) = (&wire::EVERYTHING[..], ledger.keep);
        let expected = Append { after: 0, epoch: 0, marks, at: 5_000, spread_millis: 2_000, keep_millis };
        assert_eq!(Append::read(&request), Some(expected));
        assert!(ledger.untold.is_empty() && ledger.keep > 300_000);
    }

    #[test]
    fn what_is_owed_is_bounded_and_never_forgotten() {
        let mut ledger = ledger();
        ledger.owe(|untold| untold.resize(MAX_UNTOLD, 1));
        assert_eq!(ledger.untold.len(), MAX_UNTOLD);
        ledger.owe(|untold| untold.push(1));
        assert_eq!(ledger.untold, wire::EVERYTHING);
        ledger.owe(|untold| untold.push(1));
        assert_eq!(ledger.untold, wire::EVERYTHING);
    }

    #[test]
    fn a_call_of_which_nothing_was_heard_is_lost_with_its_time_and_its_marks_are_owed() {
        for (later, is_lost) in [(600, false), (601, true), (-1, true)] {
            let mut ledger = ledger();
            let at = |host: i64| ledger_time(host + 10_000);
            ledger.owe(|untold| untold.push(7));
            ledger.call(Ticket(1), 0, at(0));
            assert_eq!(ledger.under_way(at(later)).is_none(), is_lost, "after {later} ms");
            let order = ledger.call(Ticket(2), 0, at(later));
            let Task::Ledger { request } = order.task else { panic!("{:?}", order.task) };
            let marks = Append::read(&request).unwrap().marks;
            assert_eq!((marks.len(), ledger.calls.len()), if is_lost { (1, 1) } else { (0, 2) });
        }
    }

    /// The time of a ledger that was never heard.
    fn ledger_time(host: i64) -> Instant {
        ClockOffset::new().latest(Instant(host as u64))
    }

    #[test]
    fn nothing_is_known_of_the_ledger_where_the_clock_was_set_back_since() {
        let mut ledger = ledger();
        assert_eq!(ledger.silence(ledger_time(10_000)), None);
        ledger.known_at = Some(Instant(10_000));
        assert_eq!(ledger.silence(ledger_time(10_300)), Some(300));
        assert_eq!(ledger.silence(ledger_time(9_999)), None);
    }
}
