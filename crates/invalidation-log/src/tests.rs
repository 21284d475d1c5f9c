use super::*;
use serde_bytes::Bytes;

const NOW: u64 = 10_000_000;
const KEEP: u64 = 3_600_000;

fn begin() -> InvalidationLog {
    InvalidationLog::restore(None, 7, NOW).0
}

fn limited(limits: Limits) -> InvalidationLog {
    let mut log = begin();
    log.set_limits(limits);
    log
}

fn call<'a>(log: &InvalidationLog, marks: &'a [u8]) -> Append<'a> {
    Append { epoch: log.epoch, marks, keep_millis: KEEP, ..Append::default() }
}

/// Appends by somebody who has heard the log, and stores what is to be stored.
fn append(log: &mut InvalidationLog, stored: &mut Option<Stored>, call: &Append<'_>, now: u64) {
    for change in log.append(call, now, || log_epoch(now)) {
        store(stored, change);
    }
}

fn log_epoch(now: u64) -> u64 {
    now + 1
}

/// What a host stores.
fn store(stored: &mut Option<Stored>, change: Change) {
    if let Change::Begin { epoch, dropped } = change {
        *stored = Some(Stored { epoch, dropped, marks: Vec::new() });
        return;
    }
    let stored = stored.as_mut().unwrap();
    match change {
        Change::Begin { .. } => {}
        Change::Insert(mark) => stored.marks.push(mark),
        Change::Expire { at, number } => stored.marks.retain(|mark| mark.at >= at || mark.number >= number),
        Change::Drop(dropped) => {
            stored.dropped = dropped;
            stored.marks.retain(|mark| mark.number > dropped.number);
        }
    }
}

fn told(log: &InvalidationLog, call: &Append<'_>) -> Vec<Vec<u8>> {
    log.answer(call).marks.iter().map(|(_, mark)| mark.to_vec()).collect()
}

#[test]
fn a_log_begins_as_one_that_nobody_has_heard() {
    let (log, change) = InvalidationLog::restore(None, 7, NOW);
    let dropped = Dropped { number: 1, at: NOW - 2 };
    assert_eq!(change, Some(Change::Begin { epoch: 7, dropped }));
    assert_eq!((log.last, log.latest, log.dropped, log.marks.len()), (1, NOW - 2, dropped, 0));
}

#[test]
fn marks_are_numbered_and_whoever_knows_some_is_told_the_others() {
    let mut log = begin();
    for mark in [b"a", b"b", b"c"] {
        log.append(&call(&log, mark), NOW, || 0);
    }
    let after = |after, epoch| told(&log, &Append { after, epoch, ..Append::default() });
    assert_eq!(log.last, 4, "the first number is of all that was before");
    assert_eq!(after(2, 7), [b"b", b"c"]);
    assert_eq!(after(4, 7), Vec::<Vec<u8>>::new());
    // Who has heard another log knows none of this one's marks.
    for epoch in [0, 8] {
        assert_eq!(after(4, epoch), [b"a", b"b", b"c"]);
    }
}

#[test]
fn a_call_without_marks_changes_nothing() {
    let mut log = begin();
    assert_eq!(log.append(&call(&log, b""), NOW + 5, || 0), []);
    assert_eq!((log.last, log.answer(&call(&log, b"")).clock), (1, NOW + 5));
}

#[test]
fn the_clock_of_a_writer_that_has_heard_the_log_counts_as_far_as_that_knows_it_and_no_others() {
    for (epoch, at, spread_millis, ahead) in [
        (0, NOW + 500, 2_000, 0),
        (8, NOW + 500, 2_000, 0),
        (7, NOW + 500, 2_000, 500),
        (7, NOW + 500, 20, 20),
        (7, NOW + 5_000, 2_000, 1_000),
        (7, NOW - 500, 2_000, 0),
        (7, u64::MAX, u64::MAX, 1_000),
    ] {
        let mut log = begin();
        log.append(&Append { epoch, at, spread_millis, marks: b"a", ..Append::default() }, NOW, || 0);
        assert_eq!(log.marks[0].at, NOW + ahead, "{epoch} {at} {spread_millis}");
        assert_eq!(log.answer(&call(&log, b"")).clock, NOW, "no mark sets the clock");
    }
}

#[test]
fn a_clock_that_runs_back_a_little_stands_still_and_by_more_another_log_begins() {
    let mut log = begin();
    log.append(&call(&log, b"a"), NOW, || 0);
    assert!(log.append(&call(&log, b"b"), NOW - 1_000, || panic!("another")).len() == 1);
    assert_eq!((log.epoch, log.marks[1].at, log.clock), (7, NOW, NOW));
    let changes = log.append(&call(&log, b"c"), NOW - 1_001, || 9);
    assert_eq!(changes[0], Change::Begin { epoch: 9, dropped: Dropped { number: 1, at: NOW - 1_003 } });
    assert_eq!((log.epoch, log.last, log.clock), (9, 2, NOW - 1_001));
    // It knows of no clock but what it has stored: a mark that is ahead is as good as a look at the clock.
    let mut log = begin();
    let ahead = Append { at: NOW + 800, spread_millis: 1_000, ..call(&log, b"a") };
    log.append(&ahead, NOW, || 0);
    log.clock = 0;
    log.append(&call(&log, b""), NOW - 200, || panic!("another"));
    log.append(&call(&log, b""), NOW - 201, || 9);
    assert_eq!(log.epoch, 9);
}

#[test]
fn marks_that_matter_to_no_value_any_more_go_once_in_a_while_and_the_last_one_stays() {
    let mut log = limited(Limits { sweep_every: 4, ..Limits::default() });
    for (mark, now) in [(b"a", NOW), (b"b", NOW + 10)] {
        log.append(&Append { keep_millis: 10, ..call(&log, mark) }, now, || 0);
    }
    let changes = log.append(&Append { keep_millis: 10, ..call(&log, b"c") }, NOW + 20, || 0);
    assert_eq!(changes[1..], [Change::Expire { at: NOW + 10, number: 4 }]);
    assert_eq!(log.marks.iter().map(|mark| mark.number).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(log.dropped.number, 1, "nobody needs to know of them");
    for number in 5..9 {
        log.append(&Append { keep_millis: 0, ..call(&log, b"d") }, NOW + 1_000 * number, || 0);
    }
    assert_eq!((log.marks.len(), log.last), (1, 8));
}

#[test]
fn past_its_bounds_the_older_half_is_dropped_and_its_time_is_told() {
    let mut log = limited(Limits { marks: 8, ..Limits::default() });
    for number in 0..9 {
        log.append(&call(&log, b"a"), NOW + number, || 0);
    }
    let answer = log.answer(&call(&log, b""));
    assert_eq!((answer.last, answer.dropped, answer.dropped_at, answer.marks.len()), (10, 5, NOW + 3, 5));
    let mut log = begin();
    let long = vec![1; 20_000];
    for _ in 0..60 {
        log.append(&call(&log, &long), NOW, || 0);
        assert!(log.bytes <= MAX_MARK_BYTES);
    }
    assert!(log.dropped.number > 20 && log.last == 61);
}

#[test]
fn a_mark_that_alone_is_past_the_bound_is_kept() {
    let mut log = begin();
    log.append(&call(&log, b"a"), NOW, || 0);
    let long = vec![1; MAX_MARK_BYTES + 1];
    log.append(&call(&log, &long), NOW, || 0);
    assert_eq!((log.marks.len(), log.dropped.number, log.last), (1, 2, 3));
}

#[test]
fn a_log_that_is_restored_goes_on_as_if_it_had_never_ended() {
    let limits = Limits { marks: 20, bytes: 300, sweep_every: 7 };
    let (mut log, change) = InvalidationLog::restore(None, 7, NOW);
    log.set_limits(limits);
    let mut stored = None;
    store(&mut stored, change.unwrap());
    for number in 0..200_u64 {
        let marks = vec![1; (number % 40) as usize];
        let call = Append { keep_millis: 30, after: number / 2, ..call(&log, &marks) };
        append(&mut log, &mut stored, &call, NOW + number * 3);
        let (restored, begin) = InvalidationLog::restore(stored.clone(), 9, NOW);
        assert_eq!(begin, None);
        let answer = Appended { clock: 0, ..log.answer(&call) };
        assert_eq!(restored.answer(&call), answer, "after {number}");
        assert_eq!((restored.latest, restored.bytes), (log.latest, log.bytes));
    }
    // The clock is set back by an hour.
    let call = call(&log, b"b");
    append(&mut log, &mut stored, &call, NOW - KEEP);
    assert_eq!(log.marks, stored.unwrap().marks);
}

#[test]
fn what_is_stored_of_a_call_in_part_tells_no_caller_that_less_was_written() {
    let limits = Limits { marks: 4, bytes: 1_000, sweep_every: 3 };
    let mut log = limited(limits);
    let mut whole = Some(Stored { epoch: 7, dropped: log.dropped, marks: Vec::new() });
    for number in 0..40_u64 {
        let call = Append { keep_millis: 5, ..call(&log, b"a") };
        let before = log.clone();
        let changes = log.append(&call, NOW + number, || 0);
        for length in 0..=changes.len() {
            let mut part = whole.clone();
            changes[..length].iter().for_each(|change| store(&mut part, change.clone()));
            let (restored, _) = InvalidationLog::restore(part, 9, NOW);
            let known = Append { after: before.last - 1, ..call };
            let answer = restored.answer(&known);
            // Each mark that may matter is told, or taken as told by what was dropped.
            for mark in before.marks.iter().filter(|mark| mark.number > known.after && mark.at + 5 >= NOW + number) {
                let is_told = answer.marks.iter().any(|(at, _)| *at == mark.at);
                assert!(
                    is_told || (answer.dropped >= mark.number && answer.dropped_at >= mark.at),
                    "{number} {length}"
                );
            }
        }
        changes.into_iter().for_each(|change| store(&mut whole, change));
    }
}

#[test]
fn messages_are_read_as_they_were_written_and_in_no_part() {
    let append = Append { after: 1, epoch: u64::MAX, marks: b"mark", at: 3, spread_millis: 4, keep_millis: 5 };
    let mark = (6, Bytes::new(b"mark"));
    let appended = Appended { clock: 1, last: 2, dropped: 3, dropped_at: 4, epoch: 5, marks: vec![mark; 3] };
    let (one, other) = (append.to_bytes(), appended.to_bytes());
    assert_eq!((Append::read(&one), Appended::read(&other)), (Some(append), Some(appended.clone())));
    for length in 0..one.len() {
        assert_eq!(Append::read(&one[..length]), None);
    }
    for length in 0..other.len() {
        assert_eq!(Appended::read(&other[..length]), None);
    }
    assert_eq!(Append::read(&[&one[..], &[0]].concat()), None);
    assert_eq!(Appended::read(&Appended { epoch: 0, ..appended }.to_bytes()), None, "no log is 0");
    let another_version = [&[2], &one[1..]].concat();
    assert_eq!(Append::read(&another_version), None);
    assert_eq!(one[..6], [1, 1, 0xff, 0xff, 0xff, 0xff], "a version, and postcard's numbers");
}

#[test]
fn no_bytes_are_too_much_for_who_reads_them() {
    let mut state = 1_u64;
    let mut bytes = Vec::new();
    for round in 0..20_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.clear();
        bytes.push(1);
        bytes.extend((0..round % 64).map(|at| (state >> (at % 57)) as u8));
        if let Some(call) = Append::read(&bytes) {
            let mut log = begin();
            log.append(&call, state, || 9);
            assert!(Appended::read(&log.answer(&call).to_bytes()).is_some());
        }
        let _ = Appended::read(&bytes);
    }
}
