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

fn request<'a>(log: &InvalidationLog, entry: &'a [u8]) -> Append<'a> {
    Append { epoch: log.epoch, entry, keep_millis: KEEP, ..Append::default() }
}

/// Appends, and stores the changes.
fn append(log: &mut InvalidationLog, stored: &mut Option<Stored>, request: &Append<'_>, now: u64) {
    for change in log.append(request, now, || log_epoch(now)) {
        store(stored, change);
    }
}

fn log_epoch(now: u64) -> u64 {
    now + 1
}

/// Applies a change as a host does.
fn store(stored: &mut Option<Stored>, change: Change) {
    if let Change::Begin { epoch, dropped } = change {
        *stored = Some(Stored { epoch, dropped, entries: Vec::new() });
        return;
    }
    let stored = stored.as_mut().unwrap();
    match change {
        Change::Begin { .. } => {}
        Change::Insert(entry) => stored.entries.push(entry),
        Change::Expire { at, number } => stored.entries.retain(|entry| entry.at >= at || entry.number >= number),
        Change::Drop(dropped) => {
            stored.dropped = dropped;
            stored.entries.retain(|entry| entry.number > dropped.number);
        }
    }
}

fn unknown_to(log: &InvalidationLog, request: &Append<'_>) -> Vec<Vec<u8>> {
    log.reply(request).entries.iter().map(|(_, entry)| entry.to_vec()).collect()
}

#[test]
fn a_log_begins_with_an_unknown_past() {
    let (log, change) = InvalidationLog::restore(None, 7, NOW);
    let dropped = Dropped { number: 1, at: NOW - 2 };
    assert_eq!(change, Some(Change::Begin { epoch: 7, dropped }));
    assert_eq!((log.last, log.latest, log.dropped, log.entries.len()), (1, NOW - 2, dropped, 0));
}

#[test]
fn a_caller_receives_the_entries_after_the_last_that_it_knows() {
    let mut log = begin();
    for entry in [b"a", b"b", b"c"] {
        log.append(&request(&log, entry), NOW, || 0);
    }
    let after = |after, epoch| unknown_to(&log, &Append { after, epoch, ..Append::default() });
    assert_eq!(log.last, 4, "the first number stands for all that was before");
    assert_eq!(after(2, 7), [b"b", b"c"]);
    assert_eq!(after(4, 7), Vec::<Vec<u8>>::new());
    // A caller that knows another epoch knows no entry of this one.
    for epoch in [0, 8] {
        assert_eq!(after(4, epoch), [b"a", b"b", b"c"]);
    }
}

#[test]
fn a_request_without_an_entry_changes_nothing() {
    let mut log = begin();
    assert_eq!(log.append(&request(&log, b""), NOW + 5, || 0), []);
    assert_eq!((log.last, log.reply(&request(&log, b"")).clock), (1, NOW + 5));
}

#[test]
fn a_writers_clock_counts_if_it_knows_the_epoch_and_within_its_uncertainty() {
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
        log.append(&Append { epoch, at, spread_millis, entry: b"a", ..Append::default() }, NOW, || 0);
        assert_eq!(log.entries[0].at, NOW + ahead, "{epoch} {at} {spread_millis}");
        assert_eq!(log.reply(&request(&log, b"")).clock, NOW, "no entry sets the clock");
    }
}

#[test]
fn a_clock_that_runs_back_a_little_stands_still_and_further_begins_an_epoch() {
    let mut log = begin();
    log.append(&request(&log, b"a"), NOW, || 0);
    assert!(log.append(&request(&log, b"b"), NOW - 1_000, || panic!("another")).len() == 1);
    assert_eq!((log.epoch, log.entries[1].at, log.clock), (7, NOW, NOW));
    let changes = log.append(&request(&log, b"c"), NOW - 1_001, || 9);
    assert_eq!(changes[0], Change::Begin { epoch: 9, dropped: Dropped { number: 1, at: NOW - 1_003 } });
    assert_eq!((log.epoch, log.last, log.clock), (9, 2, NOW - 1_001));
    // A restored log knows only stored times, so an entry that is ahead counts like a reading of the clock.
    let mut log = begin();
    let ahead = Append { at: NOW + 800, spread_millis: 1_000, ..request(&log, b"a") };
    log.append(&ahead, NOW, || 0);
    log.clock = 0;
    log.append(&request(&log, b""), NOW - 200, || panic!("another"));
    log.append(&request(&log, b""), NOW - 201, || 9);
    assert_eq!(log.epoch, 9);
}

#[test]
fn expired_entries_are_removed_periodically_and_the_last_one_stays() {
    let mut log = limited(Limits { sweep_every: 4, ..Limits::default() });
    for (entry, now) in [(b"a", NOW), (b"b", NOW + 10)] {
        log.append(&Append { keep_millis: 10, ..request(&log, entry) }, now, || 0);
    }
    let changes = log.append(&Append { keep_millis: 10, ..request(&log, b"c") }, NOW + 20, || 0);
    assert_eq!(changes[1..], [Change::Expire { at: NOW + 10, number: 4 }]);
    assert_eq!(log.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(log.dropped.number, 1, "they affect no copy");
    for number in 5..9 {
        log.append(&Append { keep_millis: 0, ..request(&log, b"d") }, NOW + 1_000 * number, || 0);
    }
    assert_eq!((log.entries.len(), log.last), (1, 8));
}

#[test]
fn past_its_bounds_the_older_half_is_dropped_and_its_time_is_reported() {
    let mut log = limited(Limits { entries: 8, ..Limits::default() });
    for number in 0..9 {
        log.append(&request(&log, b"a"), NOW + number, || 0);
    }
    let reply = log.reply(&request(&log, b""));
    assert_eq!((reply.last, reply.dropped, reply.dropped_at, reply.entries.len()), (10, 5, NOW + 3, 5));
    let mut log = begin();
    let long = vec![1; 20_000];
    for _ in 0..60 {
        log.append(&request(&log, &long), NOW, || 0);
        assert!(log.bytes <= MAX_BYTES);
    }
    assert!(log.dropped.number > 20 && log.last == 61);
}

#[test]
fn an_entry_larger_than_the_bound_is_kept() {
    let mut log = begin();
    log.append(&request(&log, b"a"), NOW, || 0);
    let long = vec![1; MAX_BYTES + 1];
    log.append(&request(&log, &long), NOW, || 0);
    assert_eq!((log.entries.len(), log.dropped.number, log.last), (1, 2, 3));
}

#[test]
fn a_restored_log_continues_as_if_it_had_never_ended() {
    let limits = Limits { entries: 20, bytes: 300, sweep_every: 7 };
    let (mut log, change) = InvalidationLog::restore(None, 7, NOW);
    log.set_limits(limits);
    let mut stored = None;
    store(&mut stored, change.unwrap());
    for number in 0..200_u64 {
        let entry = vec![1; (number % 40) as usize];
        let request = Append { keep_millis: 30, after: number / 2, ..request(&log, &entry) };
        append(&mut log, &mut stored, &request, NOW + number * 3);
        let (restored, begin) = InvalidationLog::restore(stored.clone(), 9, NOW);
        assert_eq!(begin, None);
        let reply = Appended { clock: 0, ..log.reply(&request) };
        assert_eq!(restored.reply(&request), reply, "after {number}");
        assert_eq!((restored.latest, restored.bytes), (log.latest, log.bytes));
    }
    // The clock is set back by an hour.
    let request = request(&log, b"b");
    append(&mut log, &mut stored, &request, NOW - KEEP);
    assert_eq!(log.entries, stored.unwrap().entries);
}

#[test]
fn a_partly_stored_request_hides_no_entry_from_any_caller() {
    let limits = Limits { entries: 4, bytes: 1_000, sweep_every: 3 };
    let mut log = limited(limits);
    let mut whole = Some(Stored { epoch: 7, dropped: log.dropped, entries: Vec::new() });
    for number in 0..40_u64 {
        let request = Append { keep_millis: 5, ..request(&log, b"a") };
        let before = log.clone();
        let changes = log.append(&request, NOW + number, || 0);
        for length in 0..=changes.len() {
            let mut part = whole.clone();
            changes[..length].iter().for_each(|change| store(&mut part, change.clone()));
            let (restored, _) = InvalidationLog::restore(part, 9, NOW);
            let known = Append { after: before.last - 1, ..request };
            let reply = restored.reply(&known);
            // Each entry that may matter is sent, or counts as dropped.
            for entry in
                before.entries.iter().filter(|entry| entry.number > known.after && entry.at + 5 >= NOW + number)
            {
                let is_sent = reply.entries.iter().any(|(at, _)| *at == entry.at);
                assert!(
                    is_sent || (reply.dropped >= entry.number && reply.dropped_at >= entry.at),
                    "{number} {length}"
                );
            }
        }
        changes.into_iter().for_each(|change| store(&mut whole, change));
    }
}

#[test]
fn messages_round_trip_and_truncated_ones_are_rejected() {
    let append = Append { after: 1, epoch: u64::MAX, entry: b"entry", at: 3, spread_millis: 4, keep_millis: 5 };
    let entry = (6, Bytes::new(b"entry"));
    let appended = Appended { clock: 1, last: 2, dropped: 3, dropped_at: 4, epoch: 5, entries: vec![entry; 3] };
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
fn any_bytes_are_read_without_a_panic() {
    let mut state = 1_u64;
    let mut bytes = Vec::new();
    for round in 0..20_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.clear();
        bytes.push(1);
        bytes.extend((0..round % 64).map(|at| (state >> (at % 57)) as u8));
        if let Some(request) = Append::read(&bytes) {
            let mut log = begin();
            log.append(&request, state, || 9);
            assert!(Appended::read(&log.reply(&request).to_bytes()).is_some());
        }
        let _ = Appended::read(&bytes);
    }
}
