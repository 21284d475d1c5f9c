//! Whether to act on a prediction: what past ones of its kind were worth, what it may cost, and what is left to spend.
//!
//! Predictions of one source and of about one probability share a rule. A rule's precision is measured from the moment its
//! rows are ordered, so many rows under way count against it until they are used, and a rule begins with few. Below the floor a
//! rule rests; then a few of its rows are fetched again to see whether it has become better, as far as these few stay a
//! small part of what is missed.

use model::request::Cohort;
use model::time::Timestamp;

use crate::ledger::{Ledger, Operations, PrefetchOutcome};
use crate::patterns::{Prediction, Source};

/// What the governor is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most rows in a second.
    pub max_rows_per_second: u32,
    /// The precision below which a rule rests, in thousandths.
    pub floor_permille: u32,
    /// The share of sessions for which nothing is prefetched, so that there is something to compare with, in thousandths.
    pub holdout_permille: u32,
    /// How long a rule rests, in milliseconds.
    pub rest_millis: u64,
    /// What operations cost.
    pub prices: Prices,
}

/// Prices in nanodollars, the millionth part of a dollar for a thousand operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// A key read from the store.
    pub read: u64,
    /// A row written to it.
    pub write: u64,
    /// A row asked of the origin.
    pub call: u64,
    /// What a millisecond is worth that a request need not wait.
    pub millisecond: u64,
}

/// What is at stake for one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostModel {
    /// How long a request waits that misses it, in microseconds.
    pub miss_micros: u64,
    /// What it costs to fetch it, in nanodollars.
    pub cost: u64,
}

/// What is decided of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Fetch it.
    Prefetch,
    /// Fetch it to see whether its rule, which rests, has become better.
    Probe,
    /// Its rule rests.
    BelowFloor,
    /// It is expected to cost more than it is worth.
    TooDear,
}

impl Verdict {
    /// Its name in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Prefetch => "prefetch",
            Verdict::Probe => "probe",
            Verdict::BelowFloor => "below_min_precision",
            Verdict::TooDear => "not_worth_cost",
        }
    }
}

/// Rows that were asked for, and of these, those that memory did not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Misses {
    /// All.
    pub rows: u64,
    /// Those not there.
    pub misses: u64,
}

/// What prefetch did and was worth since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Rows ordered.
    pub issued: u64,
    /// Of these, rows ordered to probe a rule that rests.
    pub probes: u64,
    /// Rows that came before they were asked for, and were then.
    pub used: u64,
    /// Rows that were asked for while they were fetched: the request waited, though not for all of the time.
    pub late: u64,
    /// Rows that were evicted or expired before they were asked for, or never were.
    pub wasted: u64,
    /// Rows that did not come, or that others fetched meanwhile.
    pub failed: u64,
    /// Rows that were not ordered since the second's budget was spent.
    pub over_budget: u64,
    /// Rows that were not kept since all in memory is warmer.
    pub admission_rejected: u64,
    /// Rows that made room for prefetched ones.
    pub evictions: u64,
    /// Of these, rows that were then asked for: pollution.
    pub polluting_evictions: u64,
    /// Keys read from stores, rows asked of the origin and rows written, to prefetch.
    pub reads: u64,
    /// See `reads`.
    pub calls: u64,
    /// See `reads`.
    pub writes: u64,
    /// What these cost, in nanodollars.
    pub spent: u64,
    /// What the rows that were used would have cost when they were asked for, in nanodollars.
    pub saved: u64,
    /// Requests of sessions for which rows are prefetched.
    pub served: Misses,
    /// Requests of sessions for which none are.
    pub held_out: Misses,
    /// Models of other isolates that were taken over.
    pub models_merged: u64,
    /// Models that were not: damaged, of another version or of another project.
    pub models_ignored: u64,
}

impl Measured {
    /// Of the rows whose fate is known, the share that was used in time, in thousandths.
    #[must_use]
    pub fn precision_permille(&self) -> Option<u64> {
        permille(self.used, self.used + self.late + self.wasted)
    }

    /// Of the rows that were asked for after all, the share that came in time, in thousandths.
    #[must_use]
    pub fn timeliness_permille(&self) -> Option<u64> {
        permille(self.used, self.used + self.late)
    }

    /// The share of misses that is gone, compared with the sessions for which nothing is prefetched, in thousandths.
    #[must_use]
    pub fn coverage_permille(&self) -> Option<u64> {
        let millionths = |of: Misses| (of.misses * 1_000_000).checked_div(of.rows);
        let left = (millionths(self.served)? * 1_000).checked_div(millionths(self.held_out)?)?;
        Some(1_000_u64.saturating_sub(left))
    }
}

fn permille(part: u64, of: u64) -> Option<u64> {
    part.saturating_mul(1_000).checked_div(of)
}

/// Rules of one source: one for each tenth of probability.
const TENTHS: usize = 10;
const RULES: usize = 3 * TENTHS;

/// How many rows the prediction's own probability counts for in its rule's precision.
const PRIOR: u32 = 8;

/// At how many rows a rule's counts are halved.
const FADE_AT: u32 = 128;

/// Beside what is missed, probes may be this share of it, in thousandths; and a rule has so many at a time.
const PROBES_PERMILLE: u64 = 5;
const PROBES: u32 = 4;
/// The most probes that are saved up.
const MAX_PROBES: u64 = 32;

/// How long a row is expected to lie before it is used, until that is measured, in milliseconds.
const USUAL_GAP_MILLIS: u64 = 5_000;

/// How long a request is taken to wait that misses something, until that is measured, in microseconds.
const USUAL_MISS_MICROS: u64 = 20_000;

/// How many predictions and requests are remembered, and for how many seconds: where all is in memory already, requests cost no
/// look at it.
const LOOKED_INTO: usize = 1_024;
const LOOKED_INTO_SECONDS: u32 = 5;

#[derive(Clone, Copy, Debug, Default)]
struct Rule {
    issued: u32,
    used: u32,
    /// When it may be probed, and how many probes it then still has.
    probe_at: Timestamp,
    probes: u32,
}

/// Decides what is prefetched, and measures what came of it.
#[derive(Debug)]
pub struct Governor {
    settings: Settings,
    rules: [Rule; RULES],
    ledger: Ledger,
    measured: Measured,
    /// Rows that may be ordered now, in thousandths, as of when.
    tokens: u64,
    filled_at: Timestamp,
    /// Probes that may be made, in thousandths.
    probes: u64,
    gap_millis: u64,
    /// How long requests waited that missed something, and how much of that came from the origin, on average of late.
    miss_micros: u64,
    called_permille: u64,
    /// What was predicted and looked into of late: its name, and when, in seconds.
    looked_into: Vec<(u32, u32)>,
}

impl Governor {
    /// A governor that has measured nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Governor {
        Governor {
            settings,
            rules: [Rule::default(); RULES],
            ledger: Ledger::default(),
            measured: Measured::default(),
            tokens: 0,
            filled_at: Timestamp::default(),
            probes: 0,
            gap_millis: USUAL_GAP_MILLIS,
            miss_micros: USUAL_MISS_MICROS,
            called_permille: 1_000,
            looked_into: Vec::new(),
        }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What was measured.
    #[must_use]
    pub fn measured(&self) -> &Measured {
        &self.measured
    }

    /// What was measured, to be added to.
    pub fn measured_mut(&mut self) -> &mut Measured {
        &mut self.measured
    }

    /// The cohort of a session.
    #[must_use]
    pub fn cohort(&self, session: Option<u64>) -> Cohort {
        match session {
            None => Cohort::NoSession,
            // The high half, since the low one chooses the session's place.
            Some(key) if (key >> 32) % 1_000 < u64::from(self.settings.holdout_permille) => Cohort::Holdout,
            Some(_) => Cohort::Prefetch,
        }
    }

    /// Notes what became of the rows that a request missed: how long it waited, how many came, and how many of these from the
    /// origin. Nobody waited for what was fetched behind an answer.
    pub fn learn_miss(&mut self, waited_millis: Option<u64>, rows: u64, called: u64) {
        if let Some(called_permille) = (called * 1_000).checked_div(rows) {
            self.called_permille = (self.called_permille * 31 + called_permille) / 32;
        }
        if let Some(millis) = waited_millis {
            self.miss_micros = (self.miss_micros * 31 + millis * 1_000) / 32;
        }
    }

    /// What is at stake for a row that passes through so many stores.
    #[must_use]
    pub fn cost_model(&self, stores: u64) -> CostModel {
        let Prices { read, write, call, .. } = self.settings.prices;
        let cost = stores * read + (call + stores * write) * self.called_permille / 1_000;
        CostModel { miss_micros: self.miss_micros, cost }
    }

    /// How probable it is, in thousandths, that a row of this prediction is used in time, by what its rule has shown.
    #[must_use]
    pub fn precision(&self, prediction: &Prediction) -> u32 {
        let rule = self.rules.get(rule_of(prediction)).copied().unwrap_or_default();
        ((rule.used * 1_000 + PRIOR * prediction.permille) / (rule.issued + PRIOR)).min(1_000)
    }

    /// What to do about a prediction.
    #[must_use]
    pub fn judge(&self, prediction: &Prediction, cost_model: CostModel, now: Timestamp) -> Verdict {
        let precision = self.precision(prediction);
        if precision < self.settings.floor_permille {
            let rule = self.rules.get(rule_of(prediction)).copied().unwrap_or_default();
            let may_probe = self.probes >= 1_000 && now >= rule.probe_at;
            return if may_probe { Verdict::Probe } else { Verdict::BelowFloor };
        }
        let precision = u64::from(precision);
        let saves = precision * (cost_model.miss_micros.saturating_mul(self.settings.prices.millisecond) / 1_000);
        if saves > (1_000 - precision) * cost_model.cost { Verdict::Prefetch } else { Verdict::TooDear }
    }

    /// Puts its times back by so many milliseconds: the clock that they were taken by was ahead.
    pub fn set_back(&mut self, millis: u64) {
        self.filled_at = self.filled_at.minus(millis);
        self.rules.iter_mut().for_each(|rule| rule.probe_at = rule.probe_at.minus(millis));
    }

    /// How many of `wanted` rows may be ordered now.
    pub fn allowance(&mut self, wanted: usize, now: Timestamp) -> usize {
        let rate = u64::from(self.settings.max_rows_per_second);
        let earned = now.millis_since(self.filled_at).saturating_mul(rate);
        self.tokens = self.tokens.saturating_add(earned).min(rate * 1_000);
        self.filled_at = now;
        let allowed = wanted.min((self.tokens / 1_000) as usize);
        self.measured.over_budget += (wanted - allowed) as u64;
        allowed
    }

    /// Notes that a row is ordered.
    pub fn issue(&mut self, hash: u64, prediction: &Prediction, is_probe: bool, now: Timestamp) {
        let number = rule_of(prediction);
        if let Some(rule) = self.rules.get_mut(number) {
            rule.issued += 1;
            if rule.issued >= FADE_AT {
                (rule.issued, rule.used) = (rule.issued / 2, rule.used / 2);
            }
            if is_probe {
                self.probes = self.probes.saturating_sub(1_000);
                rule.probes += 1;
                if rule.probes >= PROBES {
                    rule.probes = 0;
                    rule.probe_at = now.plus(self.settings.rest_millis);
                }
            }
        }
        self.tokens = self.tokens.saturating_sub(1_000);
        self.measured.issued += 1;
        self.measured.probes += u64::from(is_probe);
        let displaced = self.ledger.issue(hash, number as u8, now);
        self.learn(displaced);
    }

    /// Notes that an ordered row has come, and what that took.
    pub fn land(&mut self, hash: u64, operations: Operations) {
        self.ledger.land(hash, operations);
        let Operations { is_read, is_called } = operations;
        let measured = &mut self.measured;
        measured.reads += u64::from(is_read);
        measured.calls += u64::from(is_called);
        // What the origin gave is written where there is a store.
        measured.writes += u64::from(is_called && is_read);
        measured.spent += cost(&self.settings.prices, operations);
    }

    /// Notes that an ordered row did not come.
    pub fn fail(&mut self, hash: u64) {
        if let Some(rule) = self.ledger.fail(hash).and_then(|rule| self.rules.get_mut(usize::from(rule))) {
            // It says nothing of the rule.
            rule.issued = rule.issued.saturating_sub(1);
        }
        self.measured.failed += 1;
    }

    /// Notes that a row made room for one that was prefetched.
    pub fn displace(&mut self, hash: u64, now: Timestamp) {
        self.measured.evictions += 1;
        let displaced = self.ledger.displace(hash, now);
        self.learn(displaced);
    }

    /// Notes that a row is asked for, and whether memory has it.
    #[inline]
    pub fn settle(&mut self, hash: u64, is_there: bool, now: Timestamp) {
        let fate = self.ledger.settle(hash, is_there, now);
        if fate.is_some() {
            self.learn(fate);
        }
    }

    /// Whether a prediction is to be looked into now, since it is worth it and was not a moment ago.
    pub fn look_into(&mut self, prediction: &Prediction, cost_model: CostModel, now: Timestamp) -> bool {
        let name = prediction.shape.rotate_left(16) ^ prediction.entity;
        let is_due = !self.was_looked_into(name, now)
            && matches!(self.judge(prediction, cost_model, now), Verdict::Prefetch | Verdict::Probe);
        if is_due {
            self.note_look(name, now);
        }
        is_due
    }

    /// Whether a prediction, or all that a request lets expect, was looked into a moment ago.
    #[inline]
    #[must_use]
    pub fn was_looked_into(&self, name: u32, now: Timestamp) -> bool {
        let seconds = (now.0 / 1_000) as u32;
        let is_it = |known: &(u32, u32)| known.0 == name && seconds.wrapping_sub(known.1) < LOOKED_INTO_SECONDS;
        self.looked_into.get(name as usize % LOOKED_INTO).is_some_and(is_it)
    }

    /// Notes that a prediction, or all that a request lets expect, has been looked into.
    pub fn note_look(&mut self, name: u32, now: Timestamp) {
        if self.looked_into.is_empty() {
            self.looked_into = vec![(0, 0); LOOKED_INTO];
        }
        if let Some(place) = self.looked_into.get_mut(name as usize % LOOKED_INTO) {
            *place = (name, (now.0 / 1_000) as u32);
        }
    }

    /// Whether rows are waited for to be asked for.
    #[inline]
    #[must_use]
    pub fn is_watching(&self) -> bool {
        self.ledger.outstanding() > 0
    }

    /// Notes how many rows a request asked for, and how many of them were missing.
    #[inline]
    pub fn count(&mut self, cohort: Cohort, rows: u64, misses: u64) {
        let counted = match cohort {
            Cohort::NoSession => return,
            Cohort::Prefetch => &mut self.measured.served,
            Cohort::Holdout => &mut self.measured.held_out,
        };
        counted.rows += rows;
        counted.misses += misses;
        self.probes = (self.probes + misses * PROBES_PERMILLE).min(MAX_PROBES * 1_000);
    }

    /// How long a prefetched row lies before it is used, in milliseconds, on average of late.
    #[must_use]
    pub fn gap_millis(&self) -> u64 {
        self.gap_millis
    }

    /// How much memory the measuring takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ledger.bytes() + self.looked_into.capacity() * size_of::<(u32, u32)>()
    }

    fn learn(&mut self, fate: Option<PrefetchOutcome>) {
        match fate {
            None => {}
            Some(PrefetchOutcome::Used { rule, operations, after_millis }) => {
                self.measured.used += 1;
                self.measured.saved += cost(&self.settings.prices, operations);
                self.gap_millis = (self.gap_millis * 15 + after_millis) / 16;
                if let Some(rule) = self.rules.get_mut(usize::from(rule)) {
                    rule.used += 1;
                }
            }
            Some(PrefetchOutcome::Late { .. }) => self.measured.late += 1,
            Some(PrefetchOutcome::Wasted { .. }) => self.measured.wasted += 1,
            Some(PrefetchOutcome::Missed) => self.measured.polluting_evictions += 1,
        }
    }
}

fn cost(prices: &Prices, operations: Operations) -> u64 {
    let Operations { is_read, is_called } = operations;
    let price = |is_done: bool, price: u64| if is_done { price } else { 0 };
    price(is_read, prices.read) + price(is_called, prices.call) + price(is_called && is_read, prices.write)
}

fn rule_of(prediction: &Prediction) -> usize {
    let source = match prediction.source {
        Source::SameEntity => 0,
        Source::NextEntity => 1,
        Source::Related => 2,
    };
    source * TENTHS + (prediction.permille as usize / 100).min(TENTHS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLED: Operations = Operations { is_read: true, is_called: true };
    const STAKES: CostModel = CostModel { miss_micros: 20_000, cost: 6_000 };

    fn governor() -> Governor {
        Governor::new(Settings {
            max_rows_per_second: 100,
            floor_permille: 500,
            holdout_permille: 50,
            rest_millis: 60_000,
            prices: Prices { read: 500, write: 5_000, call: 300, millisecond: 1_000 },
        })
    }

    fn sure(permille: u32) -> Prediction {
        Prediction { shape: 1, entity: 1, permille, source: Source::NextEntity }
    }

    /// Orders what the governor lets through of 1,000 predictions a second apart, each of which is used with that chance in a
    /// hundred; how many.
    fn run(governor: &mut Governor, percent: u64, seconds: core::ops::Range<u64>) -> u64 {
        let before = governor.measured().issued;
        for second in seconds {
            let now = Timestamp(second * 1_000);
            governor.count(Cohort::Prefetch, 10, 5);
            let verdict = governor.judge(&sure(800), STAKES, now);
            if matches!(verdict, Verdict::Prefetch | Verdict::Probe) && governor.allowance(1, now) == 1 {
                governor.issue(second << 32 | second, &sure(800), verdict == Verdict::Probe, now);
                governor.land(second << 32 | second, CALLED);
                if second * 37 % 100 < percent {
                    governor.settle(second << 32 | second, true, now.plus(500));
                }
            }
        }
        governor.measured().issued - before
    }

    #[test]
    fn a_rule_that_holds_is_followed_and_one_that_does_not_rests() {
        assert!(run(&mut governor(), 80, 0..1_000) > 950);
        let issued = run(&mut governor(), 10, 0..1_000);
        assert!(issued < 60, "{issued}");
    }

    #[test]
    fn a_rule_that_rests_is_probed_and_comes_back_when_it_holds_again() {
        let mut governor = governor();
        run(&mut governor, 0, 0..2_000);
        let probes = governor.measured().probes;
        assert!((4..=50).contains(&probes), "a small part of 10,000 misses: {probes}");
        run(&mut governor, 100, 2_000..4_000);
        assert!(run(&mut governor, 100, 4_000..5_000) > 900);
    }

    #[test]
    fn what_costs_more_than_it_saves_is_left_alone() {
        let governor = governor();
        let judge = |miss_millis: u64, cost| {
            governor.judge(&sure(600), CostModel { miss_micros: miss_millis * 1_000, cost }, Timestamp(0))
        };
        assert_eq!(judge(20, 6_000), Verdict::Prefetch);
        assert_eq!(judge(1, 6_000), Verdict::TooDear);
        assert_eq!(judge(20, 60_000), Verdict::TooDear);
        assert_eq!(governor.judge(&sure(300), STAKES, Timestamp(0)), Verdict::BelowFloor);
    }

    #[test]
    fn a_seconds_budget_is_not_passed() {
        let mut governor = governor();
        let mut issued = 0;
        for millis in 0..5_000 {
            let allowed = governor.allowance(20, Timestamp(100_000 + millis));
            (0..allowed).for_each(|row| governor.issue(row as u64, &sure(900), false, Timestamp(millis)));
            issued += allowed;
        }
        assert!((500..=600).contains(&issued), "{issued}");
        assert!(governor.measured().over_budget > 0);
    }

    #[test]
    fn precision_coverage_and_money_are_told() {
        let mut governor = governor();
        (0..10).for_each(|row| governor.issue(row << 32 | row, &sure(900), false, Timestamp(0)));
        (0..9).for_each(|row| governor.land(row << 32 | row, CALLED));
        governor.fail(9 << 32 | 9);
        (0..6).for_each(|row| governor.settle(row << 32 | row, true, Timestamp(100)));
        governor.settle(6 << 32 | 6, false, Timestamp(100));
        governor.count(Cohort::Prefetch, 100, 20);
        governor.count(Cohort::Holdout, 10, 5);
        governor.count(Cohort::NoSession, 1_000, 1_000);
        let measured = governor.measured();
        assert_eq!((measured.used, measured.wasted, measured.failed), (6, 1, 1));
        assert_eq!(measured.precision_permille(), Some(857));
        assert_eq!(measured.coverage_permille(), Some(600));
        assert_eq!((measured.spent, measured.saved), (9 * 5_800, 6 * 5_800));
    }

    #[test]
    fn a_share_of_sessions_is_held_out_and_always_the_same() {
        let governor = governor();
        let held_out = |key: u64| governor.cohort(Some(key.wrapping_mul(0x9e37_79b9_7f4a_7c15))) == Cohort::Holdout;
        let share = (0..10_000).filter(|&key| held_out(key)).count();
        assert!((400..600).contains(&share), "{share}");
        assert_eq!(governor.cohort(None), Cohort::NoSession);
    }
}
