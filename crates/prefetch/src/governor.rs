//! Decides whether to prefetch: by the measured precision of similar predictions, by cost, and by a budget.
//!
//! Predictions of one source and of similar probability share a rule. Rows count for a rule's precision from their issue on, so rows in flight
//! count against it until they are used, and a new rule issues few. A rule below the minimum precision cools down. Then a few of its
//! predictions are issued as probes, if probes are a small share of all misses.

use model::request::Cohort;
use model::time::Timestamp;

use crate::outstanding::{Operations, Outstanding, PrefetchOutcome};
use crate::patterns::{Prediction, Source};

/// The settings of the governor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GovernorSettings {
    /// The most rows a second.
    pub max_rows_per_second: u32,
    /// The precision below which a rule cools down, in thousandths.
    pub min_precision_permille: u32,
    /// The share of sessions without prefetch, for comparison, in thousandths.
    pub holdout_permille: u32,
    /// How long a rule cools down, in milliseconds.
    pub cooldown_millis: u64,
    /// The prices of operations.
    pub prices: NanodollarPrices,
}

/// Prices of one operation, in nanodollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NanodollarPrices {
    /// A key read from the store.
    pub read: u64,
    /// A row written to it.
    pub write: u64,
    /// A row fetched from the origin.
    pub call: u64,
    /// The value of a millisecond of a request's latency.
    pub millisecond: u64,
}

/// What a miss of a row costs, and what its prefetch costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostModel {
    /// The latency of a request that misses it, in microseconds.
    pub miss_micros: u64,
    /// The cost of its fetch, in nanodollars.
    pub cost: u64,
}

/// The decision on a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefetchDecision {
    /// Fetch it.
    Prefetch,
    /// Fetch it to probe its rule, which has cooled down.
    Probe,
    /// Its rule cools down.
    BelowMinPrecision,
    /// Its expected cost exceeds its expected value.
    NotWorthCost,
}

impl PrefetchDecision {
    /// Its name in responses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PrefetchDecision::Prefetch => "prefetch",
            PrefetchDecision::Probe => "probe",
            PrefetchDecision::BelowMinPrecision => "below_min_precision",
            PrefetchDecision::NotWorthCost => "not_worth_cost",
        }
    }
}

/// Requested rows, and those of them that L1 did not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MissCounts {
    /// Requested rows.
    pub rows: u64,
    /// Those that L1 did not have.
    pub misses: u64,
}

/// The statistics of prefetch since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefetchStats {
    /// Rows issued.
    pub issued: u64,
    /// Of these, probes of a rule that cools down.
    pub probes: u64,
    /// Rows that arrived before a request for them.
    pub used: u64,
    /// Rows that were requested while they were fetched: the request waited for the rest of the fetch.
    pub late: u64,
    /// Rows that were evicted or expired before a request, or never requested.
    pub wasted: u64,
    /// Rows that did not arrive, or that a request fetched meanwhile.
    pub failed: u64,
    /// Rows not issued, because the budget of the second was spent.
    pub over_budget: u64,
    /// Rows not issued, because all rows in L1 are used more.
    pub admission_rejected: u64,
    /// Rows evicted for prefetched ones.
    pub evictions: u64,
    /// Of these, rows that were requested afterwards: pollution.
    pub polluting_evictions: u64,
    /// Keys read from stores, rows fetched from the origin and rows written, by prefetch.
    pub reads: u64,
    /// See `reads`.
    pub calls: u64,
    /// See `reads`.
    pub writes: u64,
    /// Their cost, in nanodollars.
    pub spent: u64,
    /// The cost that the used rows would have had on request, in nanodollars.
    pub saved: u64,
    /// Requests of sessions with prefetch.
    pub served: MissCounts,
    /// Requests of held-out sessions.
    pub held_out: MissCounts,
    /// Models of other isolates that were merged.
    pub models_merged: u64,
    /// Models that were not merged: damaged, of another version or of another project.
    pub models_ignored: u64,
}

impl PrefetchStats {
    /// Precision: of the rows with a known outcome, the share that was used in time, in thousandths.
    #[must_use]
    pub fn precision_permille(&self) -> Option<u64> {
        permille(self.used, self.used + self.late + self.wasted)
    }

    /// Timeliness: of the rows that were requested, the share that arrived in time, in thousandths.
    #[must_use]
    pub fn timeliness_permille(&self) -> Option<u64> {
        permille(self.used, self.used + self.late)
    }

    /// Coverage: the share of misses avoided, compared with held-out sessions, in thousandths.
    #[must_use]
    pub fn coverage_permille(&self) -> Option<u64> {
        let millionths = |of: MissCounts| (of.misses * 1_000_000).checked_div(of.rows);
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

/// The prediction's own probability counts as so many rows in its rule's precision.
const PRIOR: u32 = 8;

/// At how many rows a rule's counts are halved.
const HALVE_AT: u32 = 128;

/// Probes may be this share of all misses, in thousandths; and a rule has so many at a time.
const PROBES_PERMILLE: u64 = 5;
const PROBES: u32 = 4;
/// The most probes that are saved up.
const MAX_PROBES: u64 = 32;

/// The expected time from a row's arrival to its use, until that is measured, in milliseconds.
const DEFAULT_GAP_MILLIS: u64 = 5_000;

/// The expected latency of a request with misses, until that is measured, in microseconds.
const DEFAULT_MISS_MICROS: u64 = 20_000;

/// How many recent checks of predictions are kept, and for how many seconds. While all predicted rows are in L1, requests need not check
/// that again.
const RECENT_CHECKS: usize = 1_024;
const RECHECK_SECONDS: u32 = 5;

#[derive(Clone, Copy, Debug, Default)]
struct Rule {
    issued: u32,
    used: u32,
    /// When it may be probed, and how many probes it then still has.
    probe_at: Timestamp,
    probes: u32,
}

/// Decides what is prefetched, and measures the outcomes.
#[derive(Debug)]
pub struct Governor {
    settings: GovernorSettings,
    rules: [Rule; RULES],
    outstanding: Outstanding,
    stats: PrefetchStats,
    /// Rows that may be issued now, in thousandths, and as of when.
    tokens: u64,
    filled_at: Timestamp,
    /// Probes that may be made, in thousandths.
    probes: u64,
    gap_millis: u64,
    /// The recent mean latency of requests with misses, and the share of missed rows that came from the origin.
    miss_micros: u64,
    origin_permille: u64,
    /// Recently checked predictions: their names, and when, in seconds.
    recent_checks: Vec<(u32, u32)>,
}

impl Governor {
    /// A governor without measurements.
    #[must_use]
    pub fn new(settings: GovernorSettings) -> Governor {
        Governor {
            settings,
            rules: [Rule::default(); RULES],
            outstanding: Outstanding::default(),
            stats: PrefetchStats::default(),
            tokens: 0,
            filled_at: Timestamp::default(),
            probes: 0,
            gap_millis: DEFAULT_GAP_MILLIS,
            miss_micros: DEFAULT_MISS_MICROS,
            origin_permille: 1_000,
            recent_checks: Vec::new(),
        }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &GovernorSettings {
        &self.settings
    }

    /// The statistics.
    #[must_use]
    pub fn stats(&self) -> &PrefetchStats {
        &self.stats
    }

    /// The statistics, to add to.
    pub fn stats_mut(&mut self) -> &mut PrefetchStats {
        &mut self.stats
    }

    /// The cohort of a session.
    #[must_use]
    pub fn cohort(&self, session: Option<u64>) -> Cohort {
        match session {
            None => Cohort::NoSession,
            // The high half, since the low one chooses the session's set.
            Some(key) if (key >> 32) % 1_000 < u64::from(self.settings.holdout_permille) => Cohort::Holdout,
            Some(_) => Cohort::Prefetch,
        }
    }

    /// Records the misses of a request: how long it waited, how many rows arrived, and how many of these from the origin. No request waited
    /// for rows that were fetched in the background.
    pub fn record_miss_latency(&mut self, waited_millis: Option<u64>, rows: u64, called: u64) {
        if let Some(origin_permille) = (called * 1_000).checked_div(rows) {
            self.origin_permille = (self.origin_permille * 31 + origin_permille) / 32;
        }
        if let Some(millis) = waited_millis {
            self.miss_micros = (self.miss_micros * 31 + millis * 1_000) / 32;
        }
    }

    /// The costs of a row that passes through so many stores.
    #[must_use]
    pub fn cost_model(&self, stores: u64) -> CostModel {
        let NanodollarPrices { read, write, call, .. } = self.settings.prices;
        let cost = stores * read + (call + stores * write) * self.origin_permille / 1_000;
        CostModel { miss_micros: self.miss_micros, cost }
    }

    /// The probability that a row of this prediction is used in time, by its rule, in thousandths.
    #[must_use]
    pub fn precision(&self, prediction: &Prediction) -> u32 {
        let rule = self.rules.get(rule_of(prediction)).copied().unwrap_or_default();
        ((rule.used * 1_000 + PRIOR * prediction.permille) / (rule.issued + PRIOR)).min(1_000)
    }

    /// Decides on a prediction.
    #[must_use]
    pub fn decide(&self, prediction: &Prediction, cost_model: CostModel, now: Timestamp) -> PrefetchDecision {
        let precision = self.precision(prediction);
        if precision < self.settings.min_precision_permille {
            let rule = self.rules.get(rule_of(prediction)).copied().unwrap_or_default();
            let may_probe = self.probes >= 1_000 && now >= rule.probe_at;
            return if may_probe { PrefetchDecision::Probe } else { PrefetchDecision::BelowMinPrecision };
        }
        let precision = u64::from(precision);
        let saves = precision * (cost_model.miss_micros.saturating_mul(self.settings.prices.millisecond) / 1_000);
        if saves > (1_000 - precision) * cost_model.cost {
            PrefetchDecision::Prefetch
        } else {
            PrefetchDecision::NotWorthCost
        }
    }

    /// Moves its times back by so many milliseconds, because the clock was ahead.
    pub fn set_clock_back(&mut self, millis: u64) {
        self.filled_at = self.filled_at.minus(millis);
        self.rules.iter_mut().for_each(|rule| rule.probe_at = rule.probe_at.minus(millis));
    }

    /// How many of `requested` rows the budget allows now.
    pub fn allowance(&mut self, requested: usize, now: Timestamp) -> usize {
        let rate = u64::from(self.settings.max_rows_per_second);
        let earned = now.millis_since(self.filled_at).saturating_mul(rate);
        self.tokens = self.tokens.saturating_add(earned).min(rate * 1_000);
        self.filled_at = now;
        let allowed = requested.min((self.tokens / 1_000) as usize);
        self.stats.over_budget += (requested - allowed) as u64;
        allowed
    }

    /// Records that a row is issued.
    pub fn record_issue(&mut self, hash: u64, prediction: &Prediction, is_probe: bool, now: Timestamp) {
        let number = rule_of(prediction);
        if let Some(rule) = self.rules.get_mut(number) {
            rule.issued += 1;
            if rule.issued >= HALVE_AT {
                (rule.issued, rule.used) = (rule.issued / 2, rule.used / 2);
            }
            if is_probe {
                self.probes = self.probes.saturating_sub(1_000);
                rule.probes += 1;
                if rule.probes >= PROBES {
                    rule.probes = 0;
                    rule.probe_at = now.plus(self.settings.cooldown_millis);
                }
            }
        }
        self.tokens = self.tokens.saturating_sub(1_000);
        self.stats.issued += 1;
        self.stats.probes += u64::from(is_probe);
        let wasted = self.outstanding.record_issue(hash, number as u8, now);
        self.record_outcome(wasted);
    }

    /// Records that an issued row has arrived, and the operations for it.
    pub fn record_arrival(&mut self, hash: u64, operations: Operations) {
        self.outstanding.record_arrival(hash, operations);
        let Operations { is_read, is_called } = operations;
        let stats = &mut self.stats;
        stats.reads += u64::from(is_read);
        stats.calls += u64::from(is_called);
        // Rows of the origin are written if there is a store.
        stats.writes += u64::from(is_called && is_read);
        stats.spent += cost(&self.settings.prices, operations);
    }

    /// Records that an issued row did not arrive.
    pub fn record_failure(&mut self, hash: u64) {
        if let Some(rule) = self.outstanding.record_failure(hash).and_then(|rule| self.rules.get_mut(usize::from(rule)))
        {
            // That is no evidence against the rule.
            rule.issued = rule.issued.saturating_sub(1);
        }
        self.stats.failed += 1;
    }

    /// Records that a row was evicted for a prefetched one.
    pub fn record_eviction(&mut self, hash: u64, now: Timestamp) {
        self.stats.evictions += 1;
        let wasted = self.outstanding.record_eviction(hash, now);
        self.record_outcome(wasted);
    }

    /// Records that a row is requested, and whether L1 has it.
    #[inline]
    pub fn record_request(&mut self, hash: u64, is_cached: bool, now: Timestamp) {
        let outcome = self.outstanding.record_request(hash, is_cached, now);
        if outcome.is_some() {
            self.record_outcome(outcome);
        }
    }

    /// Whether to check a prediction's rows now: it is worth a prefetch, and was not checked recently. Counts as a check.
    pub fn begin_check(&mut self, prediction: &Prediction, cost_model: CostModel, now: Timestamp) -> bool {
        let name = prediction.shape.rotate_left(16) ^ prediction.entity;
        let is_due = !self.was_checked(name, now)
            && matches!(self.decide(prediction, cost_model, now), PrefetchDecision::Prefetch | PrefetchDecision::Probe);
        if is_due {
            self.record_check(name, now);
        }
        is_due
    }

    /// Whether a prediction, or all predictions of a request, were checked recently.
    #[inline]
    #[must_use]
    pub fn was_checked(&self, name: u32, now: Timestamp) -> bool {
        let seconds = (now.0 / 1_000) as u32;
        let is_it = |known: &(u32, u32)| known.0 == name && seconds.wrapping_sub(known.1) < RECHECK_SECONDS;
        self.recent_checks.get(name as usize % RECENT_CHECKS).is_some_and(is_it)
    }

    /// Records that a prediction, or all predictions of a request, were checked.
    pub fn record_check(&mut self, name: u32, now: Timestamp) {
        if self.recent_checks.is_empty() {
            self.recent_checks = vec![(0, 0); RECENT_CHECKS];
        }
        if let Some(check) = self.recent_checks.get_mut(name as usize % RECENT_CHECKS) {
            *check = (name, (now.0 / 1_000) as u32);
        }
    }

    /// Whether there are outstanding rows.
    #[inline]
    #[must_use]
    pub fn has_outstanding(&self) -> bool {
        self.outstanding.count() > 0
    }

    /// Records how many rows a request looked up, and how many of them missed.
    #[inline]
    pub fn record_lookups(&mut self, cohort: Cohort, rows: u64, misses: u64) {
        let counted = match cohort {
            Cohort::NoSession => return,
            Cohort::Prefetch => &mut self.stats.served,
            Cohort::Holdout => &mut self.stats.held_out,
        };
        counted.rows += rows;
        counted.misses += misses;
        self.probes = (self.probes + misses * PROBES_PERMILLE).min(MAX_PROBES * 1_000);
    }

    /// The recent mean time from a row's arrival to its use, in milliseconds.
    #[must_use]
    pub fn gap_millis(&self) -> u64 {
        self.gap_millis
    }

    /// The memory that it uses, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.outstanding.bytes() + self.recent_checks.capacity() * size_of::<(u32, u32)>()
    }

    fn record_outcome(&mut self, outcome: Option<PrefetchOutcome>) {
        match outcome {
            None => {}
            Some(PrefetchOutcome::Used { rule, operations, after_millis }) => {
                self.stats.used += 1;
                self.stats.saved += cost(&self.settings.prices, operations);
                self.gap_millis = (self.gap_millis * 15 + after_millis) / 16;
                if let Some(rule) = self.rules.get_mut(usize::from(rule)) {
                    rule.used += 1;
                }
            }
            Some(PrefetchOutcome::Late { .. }) => self.stats.late += 1,
            Some(PrefetchOutcome::Wasted { .. }) => self.stats.wasted += 1,
            Some(PrefetchOutcome::Polluting) => self.stats.polluting_evictions += 1,
        }
    }
}

fn cost(prices: &NanodollarPrices, operations: Operations) -> u64 {
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
    const COST_MODEL: CostModel = CostModel { miss_micros: 20_000, cost: 6_000 };

    fn governor() -> Governor {
        Governor::new(GovernorSettings {
            max_rows_per_second: 100,
            min_precision_permille: 500,
            holdout_permille: 50,
            cooldown_millis: 60_000,
            prices: NanodollarPrices { read: 500, write: 5_000, call: 300, millisecond: 1_000 },
        })
    }

    fn sure(permille: u32) -> Prediction {
        Prediction { shape: 1, entity: 1, permille, source: Source::NextEntity }
    }

    /// Orders what the governor lets through of 1,000 predictions a second apart, each of which is used with that chance in a
    /// hundred; how many.
    fn run(governor: &mut Governor, percent: u64, seconds: core::ops::Range<u64>) -> u64 {
        let before = governor.stats().issued;
        for second in seconds {
            let now = Timestamp(second * 1_000);
            governor.record_lookups(Cohort::Prefetch, 10, 5);
            let decision = governor.decide(&sure(800), COST_MODEL, now);
            if matches!(decision, PrefetchDecision::Prefetch | PrefetchDecision::Probe)
                && governor.allowance(1, now) == 1
            {
                governor.record_issue(second << 32 | second, &sure(800), decision == PrefetchDecision::Probe, now);
                governor.record_arrival(second << 32 | second, CALLED);
                if second * 37 % 100 < percent {
                    governor.record_request(second << 32 | second, true, now.plus(500));
                }
            }
        }
        governor.stats().issued - before
    }

    #[test]
    fn a_precise_rule_prefetches_and_an_imprecise_one_cools_down() {
        assert!(run(&mut governor(), 80, 0..1_000) > 950);
        let issued = run(&mut governor(), 10, 0..1_000);
        assert!(issued < 60, "{issued}");
    }

    #[test]
    fn a_rule_that_cools_down_is_probed_and_prefetches_again_once_it_is_precise() {
        let mut governor = governor();
        run(&mut governor, 0, 0..2_000);
        let probes = governor.stats().probes;
        assert!((4..=50).contains(&probes), "a small part of 10,000 misses: {probes}");
        run(&mut governor, 100, 2_000..4_000);
        assert!(run(&mut governor, 100, 4_000..5_000) > 900);
    }

    #[test]
    fn a_prediction_that_costs_more_than_it_saves_is_not_prefetched() {
        let governor = governor();
        let decide = |miss_millis: u64, cost| {
            governor.decide(&sure(600), CostModel { miss_micros: miss_millis * 1_000, cost }, Timestamp(0))
        };
        assert_eq!(decide(20, 6_000), PrefetchDecision::Prefetch);
        assert_eq!(decide(1, 6_000), PrefetchDecision::NotWorthCost);
        assert_eq!(decide(20, 60_000), PrefetchDecision::NotWorthCost);
        assert_eq!(governor.decide(&sure(300), COST_MODEL, Timestamp(0)), PrefetchDecision::BelowMinPrecision);
    }

    #[test]
    fn the_budget_of_a_second_is_kept() {
        let mut governor = governor();
        let mut issued = 0;
        for millis in 0..5_000 {
            let allowed = governor.allowance(20, Timestamp(100_000 + millis));
            (0..allowed).for_each(|row| governor.record_issue(row as u64, &sure(900), false, Timestamp(millis)));
            issued += allowed;
        }
        assert!((500..=600).contains(&issued), "{issued}");
        assert!(governor.stats().over_budget > 0);
    }

    #[test]
    fn precision_coverage_and_cost_are_measured() {
        let mut governor = governor();
        (0..10).for_each(|row| governor.record_issue(row << 32 | row, &sure(900), false, Timestamp(0)));
        (0..9).for_each(|row| governor.record_arrival(row << 32 | row, CALLED));
        governor.record_failure(9 << 32 | 9);
        (0..6).for_each(|row| governor.record_request(row << 32 | row, true, Timestamp(100)));
        governor.record_request(6 << 32 | 6, false, Timestamp(100));
        governor.record_lookups(Cohort::Prefetch, 100, 20);
        governor.record_lookups(Cohort::Holdout, 10, 5);
        governor.record_lookups(Cohort::NoSession, 1_000, 1_000);
        let stats = governor.stats();
        assert_eq!((stats.used, stats.wasted, stats.failed), (6, 1, 1));
        assert_eq!(stats.precision_permille(), Some(857));
        assert_eq!(stats.coverage_permille(), Some(600));
        assert_eq!((stats.spent, stats.saved), (9 * 5_800, 6 * 5_800));
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
