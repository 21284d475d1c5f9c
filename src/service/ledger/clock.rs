//! The ledger's clock as an isolate knows it: how far it is ahead of the host's, at the least and at the most.
//!
//! Each answer bounds the offset: the clock showed what it says between the call and the answer (Cristian, "Probabilistic
//! clock synchronization", Distributed Computing 3, 1989), and the bounds of several answers intersect (Marzullo and Owicki,
//! "Maintaining the time in a distributed system", PODC 1983). Invariant: as long as the host's clock runs evenly, the
//! ledger's time is never before [`Clock::earliest`] nor after [`Clock::latest`], not even by the fraction of a millisecond
//! that clocks of whole milliseconds leave out. Drift widens the bound on which no stale value may depend, the earliest time.

use crate::model::time::Instant;

/// How far the two clocks may be apart before the ledger's has been heard, in milliseconds. Those that NTP keeps differ by
/// far less.
const UNHEARD_MILLIS: u32 = 1_000;

/// Two clocks drift apart by a millisecond in no less than this time, in milliseconds: 500 ppm, at which NTP stops steering
/// a clock (RFC 5905, section 11.3).
const DRIFT_MILLIS: u64 = 2_000;

/// What a clock of whole milliseconds leaves out.
const RESOLUTION_MILLIS: i64 = 1;

/// The offset of the ledger's clock from the host's.
#[derive(Debug)]
pub(super) struct Clock {
    /// The most that the ledger's clock is ahead of the host's, in milliseconds.
    most: i64,
    /// By how much that may be too much.
    spread: u64,
    /// Up to when drift is counted in, by the host's clock; `None` before the first answer.
    drifted_at: Option<Instant>,
}

/// What an answer of the ledger tells of its clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// What the ledger's clock showed.
    pub(super) clock: Instant,
    /// When the call was made and when the answer came, by the host's clock.
    pub(super) made_at: Instant,
    pub(super) heard_at: Instant,
    /// How long a call can have taken: where it took longer by the host's clock, that clock was set or stood still.
    pub(super) patience: u64,
}

/// What a reading has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Correction {
    /// By how many milliseconds the time was put back.
    pub(super) back_millis: u64,
    /// Whether the time was wrong: what was stamped by it may look newer than it is.
    pub(super) was_ahead: bool,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { most: UNHEARD_MILLIS.into(), spread: 2 * u64::from(UNHEARD_MILLIS), drifted_at: None }
    }

    /// The latest that the ledger's clock can show when the host's shows `host`.
    pub(super) fn latest(&self, host: Instant) -> Instant {
        Instant(host.0.saturating_add_signed(self.most))
    }

    /// The earliest that the ledger's clock can have shown at [`latest`](Clock::latest).
    pub(super) fn earliest(&self, latest: Instant) -> Instant {
        Instant(latest.0.saturating_sub(self.spread))
    }

    /// What the host's clock showed at [`latest`](Clock::latest).
    pub(super) fn host(&self, latest: Instant) -> Instant {
        Instant(latest.0.saturating_add_signed(self.most.saturating_neg()))
    }

    pub(super) fn spread(&self) -> u64 {
        self.spread
    }

    /// Learns from an answer. The time is put back only where it is wrong or `is_idle`, since deadlines run by it.
    ///
    /// `is_another`: the clock is not the one that was read before.
    pub(super) fn learn(&mut self, reading: Reading, is_another: bool, is_idle: bool) -> Correction {
        let Reading { clock, made_at, heard_at, patience } = reading;
        let ahead_of = |host: Instant| clock.0.wrapping_sub(host.0).cast_signed();
        let least = ahead_of(heard_at).saturating_sub(RESOLUTION_MILLIS);
        let slowest = least.saturating_add_unsigned(patience);
        let most = if made_at > heard_at { slowest } else { ahead_of(made_at).min(slowest) };
        let most = most.saturating_add(RESOLUTION_MILLIS);
        let is_first = self.drifted_at.is_none() || is_another;
        let drifted_at = self.drifted_at.filter(|at| !is_first && *at <= heard_at).unwrap_or(heard_at);
        let drift = heard_at.millis_since(drifted_at) / DRIFT_MILLIS;
        self.drifted_at = Some(drifted_at.plus(drift * DRIFT_MILLIS));
        let known_least = self.most.saturating_sub_unsigned(self.spread).saturating_sub_unsigned(drift);
        let was_ahead = most < known_least;
        let (least, most) = if was_ahead || least > self.most || is_first {
            (least, most)
        } else {
            (least.max(known_least), if is_idle { most.min(self.most) } else { self.most })
        };
        let back_millis = u64::try_from(self.most.saturating_sub(most)).unwrap_or_default();
        self.most = most;
        self.spread = most.saturating_sub(least).cast_unsigned();
        Correction { back_millis, was_ahead }
    }
}
