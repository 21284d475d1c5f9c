//! Percentiles against exact ones, windows that slide, and isolates that merge.

use featheredge_telemetry::histogram::{ALL, Count, MAX_ERROR_PERMILLE, OTHER, SeriesKind, Windows};
use featheredge_telemetry::sla::{self, BURN_WINDOWS, Status, Targets};
use model::time::Timestamp;

const TARGETS: Targets = Targets {
    p50_millis: 20,
    p95_millis: 50,
    p99_millis: 100,
    availability: 999_000,
    error_rate: 1_000,
    burn_rate_min_requests: 100,
};
const MINUTE: u64 = 60_000;
const START: Timestamp = Timestamp(1_795_420_800_000);

fn windows() -> Windows {
    let mut windows = Windows::new(300_000, 60 * MINUTE);
    windows.advance(START);
    windows
}

/// SplitMix64, so that every run draws the same samples.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From 0 to 1, without 0.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (core::f64::consts::TAU * self.unit()).cos()
    }
}

/// Draws a latency in milliseconds.
type Draw = fn(&mut Random) -> f64;

#[test]
fn percentiles_of_a_million_samples_are_right_to_one_percent_for_five_distributions() {
    let distributions: [(&str, Draw); 5] = [
        ("uniform", |random| random.unit() * 2_000.0),
        ("exponential", |random| -random.unit().ln() * 200.0),
        ("log-normal", |random| (4.0 + 1.1 * random.normal()).exp()),
        ("Pareto", |random| 20.0 / random.unit().powf(1.0 / 1.5)),
        ("cache hits and misses", |random| {
            if random.unit() < 0.9 { random.unit() * 3.0 } else { 150.0 + 40.0 * random.normal() }
        }),
    ];
    for (name, draw) in distributions {
        let mut random = Random(42);
        let mut windows = windows();
        let mut samples: Vec<u64> = (0..1_000_000).map(|_| draw(&mut random).clamp(0.0, 200_000.0) as u64).collect();
        samples.iter().for_each(|&sample| windows.record(ALL, sample));
        samples.sort_unstable();
        let summary = windows.all().unwrap().summary();
        for (permille, found) in [(500, summary.p50), (950, summary.p95), (990, summary.p99)] {
            let exact = samples[(samples.len() * permille).div_ceil(1_000) - 1];
            let error = found.abs_diff(exact) * 1_000;
            assert!(error <= MAX_ERROR_PERMILLE * exact, "{name} at {permille}: {found}, exactly {exact}");
        }
    }
}

#[test]
fn what_is_older_than_the_window_is_forgotten_and_still_counts_in_the_totals() {
    let mut windows = windows();
    windows.record(ALL, 100);
    for (seconds, expected) in [(269, 1), (300, 0)] {
        windows.advance(START.plus(seconds * 1_000));
        assert_eq!(windows.all().unwrap().summary().of(Count::Requests), expected, "after {seconds} s");
    }
    let totals = windows.all().unwrap().totals(&windows);
    assert_eq!((totals.of(Count::Requests), totals.bounds[4]), (1, 1));
}

#[test]
fn an_hour_without_requests_leaves_nothing_behind() {
    let mut windows = windows();
    (0..50).for_each(|_| windows.record(ALL, 9));
    windows.advance(START.plus(60 * MINUTE));
    windows.record(ALL, 1);
    let summary = windows.all().unwrap().summary();
    assert_eq!((summary.of(Count::Requests), summary.p99), (1, 1));
}

#[test]
fn the_windows_of_many_isolates_merge_into_those_of_one_that_saw_all() {
    let mut random = Random(7);
    let mut one = windows();
    let mut isolates: Vec<Windows> = (0..7).map(|_| windows()).collect();
    let mut merged = Windows::merged(300_000, 60 * MINUTE);
    let mut stored = merged.encode();
    let mut last = START;
    for step in 0..200_000_u64 {
        let now = START.plus(step * 2);
        let millis = (-random.unit().ln() * 80.0) as u64;
        let chosen = (random.next() % 7) as usize;
        for windows in [&mut one, &mut isolates[chosen]] {
            windows.advance(now);
            let view = windows.series_of(SeriesKind::View, if millis.is_multiple_of(2) { "even" } else { "odd" });
            for series in [ALL, view] {
                windows.record(series, millis);
                windows.add(series, &[(Count::Errors, u64::from(millis > 300)), (Count::Served, 5)]);
            }
        }
        if isolates[chosen].has_unsent()
            && let Some(slots) = isolates[chosen].take_closed_slots()
        {
            // The object that merges is put to sleep and woken between any two of them.
            let mut woken = Windows::merged(300_000, 60 * MINUTE);
            assert!(woken.merge_encoded(&stored, now) && woken.merge_encoded(&slots, now));
            stored = woken.encode();
        }
        last = now;
    }
    let end = last.plus(30_000);
    one.advance(end);
    merged.merge_encoded(&stored, end);
    for isolate in &mut isolates {
        isolate.advance(end);
        let slots = isolate.take_closed_slots().unwrap();
        assert!(merged.merge_encoded(&slots, end));
        assert_eq!(isolate.take_closed_slots(), None, "nothing is sent twice");
    }
    assert_eq!(one.series().len(), merged.series().len());
    for series in one.series() {
        let other =
            merged.series().iter().find(|other| (other.kind, &other.name) == (series.kind, &series.name)).unwrap();
        assert!(series.summary().of(Count::Requests) > 10_000);
        assert_eq!(series.summary(), other.summary(), "{}", series.name);
        assert_eq!(series.totals(&one), other.totals(&merged));
    }
    for sixtieths in [5, 30, 60, 360, 4_320] {
        assert_eq!(one.slo_counts(sixtieths, end), merged.slo_counts(sixtieths, end), "{sixtieths}");
    }
}

#[test]
fn bytes_that_are_no_windows_change_nothing_they_should_not_and_never_fail() {
    let mut windows = windows();
    windows.record(ALL, 5);
    windows.advance(START.plus(MINUTE));
    let slots = windows.take_closed_slots().unwrap();
    let mut random = Random(3);
    for length in 0..slots.len() {
        let mut merged = Windows::merged(300_000, 60 * MINUTE);
        assert!(!merged.merge_encoded(&slots[..length], START.plus(MINUTE)));
        let mut damaged = slots.clone();
        damaged[length] ^= (random.next() as u8) | 1;
        merged.merge_encoded(&damaged, START.plus(MINUTE));
    }
    let mut other = Windows::merged(10_000, 60 * MINUTE);
    assert!(!other.merge_encoded(&slots, START), "windows of another length do not mix");
    let mut earlier = slots.clone();
    earlier[2] -= 1;
    assert!(
        !Windows::merged(300_000, 60 * MINUTE).merge_encoded(&earlier, START.plus(MINUTE)),
        "nor do those of another version"
    );
}

#[test]
fn the_largest_encodable_numbers_saturate() {
    let mut windows = windows();
    windows.record_many(ALL, u64::MAX, u64::MAX);
    windows.add(ALL, &[(Count::Served, u64::MAX)]);
    let later = START.plus(MINUTE);
    windows.advance(later);
    let slots = windows.take_closed_slots().unwrap();
    let mut merged = Windows::merged(300_000, 60 * MINUTE);
    assert!(
        merged.merge_encoded(&slots, later)
            && merged.merge_encoded(&slots, later)
            && merged.merge_encoded(&merged.clone().encode(), later)
    );
    assert_eq!(merged.all().unwrap().summary().of(Count::Served), u64::MAX);
    assert_eq!(merged.slo_counts(60, later).requests, u64::MAX);
}

#[test]
fn what_comes_from_a_clock_that_is_hours_ahead_is_left_out() {
    let mut merged = Windows::merged(300_000, 60 * MINUTE);
    let mut counted = Vec::new();
    for minutes in [0, 59, 600, 1 << 40] {
        let mut isolate = Windows::new(300_000, 60 * MINUTE);
        isolate.advance(START.plus(minutes * MINUTE));
        isolate.record(ALL, 1);
        isolate.advance(START.plus(minutes * MINUTE + MINUTE));
        assert!(merged.merge_encoded(&isolate.take_closed_slots().unwrap(), START.plus(MINUTE)));
        let stored = merged.encode();
        merged = Windows::merged(300_000, 60 * MINUTE);
        assert!(merged.merge_encoded(&stored, START.plus(MINUTE)));
        counted.push(merged.all().unwrap().totals(&merged).of(Count::Requests));
    }
    assert_eq!(counted, [1, 2, 2, 2]);
}

#[test]
fn a_window_complies_violates_or_has_nothing_to_say() {
    let mut windows = windows();
    let status = |windows: &Windows| sla::check(&TARGETS, &windows.all().unwrap().summary()).0;
    assert_eq!(status(&windows), Status::NoData);
    (0..1_000).for_each(|_| windows.record(ALL, 15));
    assert_eq!(status(&windows), Status::Compliant);
    // All requests failing is no compliance, however fast they do.
    windows.add(ALL, &[(Count::Errors, 2)]);
    assert_eq!(status(&windows), Status::Violation);
    windows.advance(START.plus(300_000));
    (0..1_000).for_each(|_| windows.record(ALL, 30));
    let (status, checks) = sla::check(&TARGETS, &windows.all().unwrap().summary());
    assert_eq!(status, Status::Violation);
    assert!(!checks.p50_compliant && checks.missed() == 1, "{checks:?}");
}

#[test]
fn a_budget_burns_only_while_both_windows_do_and_enough_was_asked() {
    let mut windows = windows();
    let [fast, ..] = BURN_WINDOWS;
    let mut now = START;
    let ask = |windows: &mut Windows, now: Timestamp, requests: u64, errors: u64| {
        windows.advance(now);
        (0..requests).for_each(|_| windows.record(ALL, 5));
        windows.add(ALL, &[(Count::Errors, errors)]);
    };
    ask(&mut windows, now, 50, 50);
    assert_eq!(sla::burn_rate(&TARGETS, &windows, fast, now), 0, "too few");
    for _ in 0..10 {
        now = now.plus(MINUTE);
        ask(&mut windows, now, 100, 2);
    }
    // Two in a hundred, where one in a thousand may fail.
    let rate = sla::burn_rate(&TARGETS, &windows, fast, now);
    assert_eq!(rate, 20_000);
    assert!(rate > fast.rate);
    assert_eq!(sla::error_budget_remaining(&TARGETS, &windows, now), 0);
    for _ in 0..5 {
        now = now.plus(MINUTE);
        ask(&mut windows, now, 100, 0);
    }
    assert_eq!(sla::burn_rate(&TARGETS, &windows, fast, now), 0, "the short window is over it");
}

#[test]
fn views_that_there_is_no_room_for_are_together() {
    let mut merged = Windows::merged(300_000, 3_600_000);
    for isolate in 0..6 {
        let mut windows = windows();
        for view in 0..16 {
            let series = windows.series_of(SeriesKind::View, &format!("v{isolate}-{view}"));
            windows.record(series, 1);
        }
        let later = START.plus(MINUTE);
        windows.advance(later);
        assert!(merged.merge_encoded(&windows.take_closed_slots().unwrap(), later));
    }
    let views = merged.series().iter().filter(|series| series.kind == SeriesKind::View);
    let requests: u64 = views.clone().map(|series| series.totals(&merged).of(Count::Requests)).sum();
    assert_eq!(requests, 96);
    assert!(views.clone().any(|series| &*series.name == OTHER));
}

#[test]
fn windows_of_another_hour_are_left_out() {
    let mut trial = Windows::merged(300_000, 600_000);
    let mut isolate = Windows::new(300_000, 600_000);
    isolate.record(ALL, 1);
    isolate.advance(Timestamp(60_000));
    assert!(trial.merge_encoded(&isolate.take_closed_slots().unwrap(), Timestamp(60_000)));
    assert!(!Windows::merged(300_000, 3_600_000).merge_encoded(&trial.encode(), Timestamp(60_000)));
}
