//! How replies of the log are applied, and what is appended again.

use super::*;
use crate::io::EffectId;
use model::request::WriteDependencies;

fn new_log() -> InvalidationLog {
    let mut config = Config::default();
    config.l3.enabled = true;
    InvalidationLog::new(&config).unwrap()
}

fn call(log: &mut InvalidationLog) -> LogCall {
    log.call(RequestHandle(1), 0, Timestamp(1_000));
    log.calls.pop().unwrap()
}

/// A reply whose entries, of everything, have these times.
fn answer(epoch: u64, last: u64, dropped: (u64, u64), times: &[u64]) -> Vec<u8> {
    let entries = times.iter().map(|at| (*at, serde_bytes::Bytes::new(&wire::EVERYTHING))).collect();
    Appended { clock: 900, last, dropped: dropped.0, dropped_at: dropped.1, epoch, entries }.to_bytes()
}

/// Which log the reply comes from, the epoch and number known afterwards, and when everything was
/// invalidated.
fn apply(log: &mut InvalidationLog, answer: &[u8], call: &LogCall) -> (Option<ReplySource>, u64, u64, u64) {
    let mut invalidations = Invalidations::default();
    let applied = log.apply(answer, call, &mut invalidations);
    let at = invalidations.affecting(&WriteDependencies::Any).invalidated_at(b"");
    (applied.map(|applied| applied.source), log.epoch, log.after, at.0)
}

#[test]
fn replies_of_one_log_may_arrive_in_any_order() {
    let mut log = new_log();
    let first = call(&mut log);
    assert_eq!(
        apply(&mut log, &answer(5, 4, (1, 0), &[10, 20, 30]), &first),
        (Some(ReplySource::Replacement), 5, 4, 30)
    );
    let [one, two] = [call(&mut log), call(&mut log)];
    assert_eq!((one.epoch, one.after, one.round + 1), (5, 4, two.round));
    assert_eq!(apply(&mut log, &answer(5, 6, (1, 0), &[40, 50]), &two), (Some(ReplySource::Current), 5, 6, 50));
    assert_eq!(apply(&mut log, &answer(5, 5, (1, 0), &[40]), &one), (Some(ReplySource::Current), 5, 6, 40));
    // Nor do those who called before they knew of it.
    assert_eq!(apply(&mut log, &answer(5, 4, (1, 7), &[]), &first), (Some(ReplySource::Current), 5, 6, 7));
    assert_eq!(log.counts.entries, 6);
}

#[test]
fn dropped_entries_invalidate_for_readers_that_had_not_applied_them() {
    let mut log = new_log();
    let first = call(&mut log);
    assert_eq!(apply(&mut log, &answer(5, 9, (9, 70), &[]), &first).3, 70);
    let second = call(&mut log);
    assert_eq!(apply(&mut log, &answer(5, 9, (9, 70), &[]), &second).3, 0);
    let third = call(&mut log);
    assert_eq!(apply(&mut log, &answer(5, 12, (10, 80), &[90]), &third), (Some(ReplySource::Current), 5, 12, 90));
    // Another one's numbers are not its own.
    assert_eq!(apply(&mut log, &answer(6, 12, (1, 85), &[]), &third).3, 85);
}

#[test]
fn a_replacement_takes_the_place_of_the_log_that_was_called_and_of_no_later_one() {
    let mut log = new_log();
    let before = [call(&mut log), call(&mut log)];
    apply(&mut log, &answer(5, 3, (1, 0), &[]), &before[0]);
    let [late, next] = [call(&mut log), call(&mut log)];
    assert_eq!(apply(&mut log, &answer(6, 30, (1, 0), &[]), &next), (Some(ReplySource::Replacement), 6, 30, 0));
    assert_eq!(apply(&mut log, &answer(5, 4, (1, 0), &[60]), &late), (Some(ReplySource::Former), 6, 30, 60));
    assert_eq!(apply(&mut log, &answer(5, 4, (1, 0), &[60]), &before[1]), (Some(ReplySource::Former), 6, 30, 60));
}

#[test]
fn a_log_that_was_restored_from_an_earlier_state_is_a_replacement() {
    let mut log = new_log();
    let first = call(&mut log);
    apply(&mut log, &answer(5, 20, (1, 0), &[]), &first);
    let [one, two] = [call(&mut log), call(&mut log)];
    assert_eq!(apply(&mut log, &answer(5, 12, (1, 0), &[]), &one), (Some(ReplySource::Replacement), 5, 12, 0));
    // What was answered before must not make it miss what has had these numbers since.
    assert_eq!(apply(&mut log, &answer(5, 21, (1, 0), &[]), &two), (Some(ReplySource::Current), 5, 12, 0));
}

#[test]
fn an_answer_that_is_cut_off_is_none() {
    let mut log = new_log();
    let call = call(&mut log);
    let whole = answer(5, 3, (1, 0), &[60]);
    for length in 0..whole.len() {
        let mut invalidations = Invalidations::default();
        assert!(log.apply(&whole[..length], &call, &mut invalidations).is_none(), "{length} bytes");
        assert_eq!(
            (log.epoch, invalidations.affecting(&WriteDependencies::Any).invalidated_at(b"")),
            (0, Timestamp(0)),
            "{length} bytes"
        );
    }
}

#[test]
fn a_call_says_what_is_known_and_how_well() {
    let mut log = new_log();
    log.queue_unacked(|unacked| unacked.extend(wire::EVERYTHING));
    let effect = log.call(RequestHandle(3), 0, Timestamp(5_000));
    assert_eq!(
        (effect.id, effect.timeout_millis),
        (EffectId { handle: RequestHandle(3), continuation: Continuation::Log }, 500)
    );
    let IoRequest::Log { request } = effect.request else { panic!("{:?}", effect.request) };
    let (entry, keep_millis) = (&wire::EVERYTHING[..], log.retention_millis);
    let expected =
        ::invalidation_log::Append { after: 0, epoch: 0, entry, at: 5_000, spread_millis: 2_000, keep_millis };
    assert_eq!(::invalidation_log::Append::read(&request), Some(expected));
    assert!(log.unacked.is_empty() && log.retention_millis > 300_000);
}

#[test]
fn unacked_entries_are_bounded_and_never_dropped() {
    let mut log = new_log();
    log.queue_unacked(|unacked| unacked.resize(MAX_UNACKED, 1));
    assert_eq!(log.unacked.len(), MAX_UNACKED);
    log.queue_unacked(|unacked| unacked.push(1));
    assert_eq!(log.unacked, wire::EVERYTHING);
    log.queue_unacked(|unacked| unacked.push(1));
    assert_eq!(log.unacked, wire::EVERYTHING);
}

#[test]
fn a_call_without_a_reply_is_lost_after_its_timeout_and_its_entries_are_sent_again() {
    for (later, is_lost) in [(600, false), (601, true), (-1, true)] {
        let mut log = new_log();
        let at = |host: i64| log_time(host + 10_000);
        log.queue_unacked(|unacked| unacked.push(7));
        log.call(RequestHandle(1), 0, at(0));
        assert_eq!(log.under_way(at(later)).is_none(), is_lost, "after {later} ms");
        let effect = log.call(RequestHandle(2), 0, at(later));
        let IoRequest::Log { request } = effect.request else { panic!("{:?}", effect.request) };
        let entry = ::invalidation_log::Append::read(&request).unwrap().entry;
        assert_eq!((entry.len(), log.calls.len()), if is_lost { (1, 1) } else { (0, 2) });
    }
}

/// The time of a log without a reply.
fn log_time(host: i64) -> Timestamp {
    ClockOffset::new().latest(Timestamp(host as u64))
}

#[test]
fn after_the_clock_was_set_back_the_log_is_out_of_date() {
    let mut log = new_log();
    assert_eq!(log.millis_since_answer(log_time(10_000)), None);
    log.answered_call_at = Some(Timestamp(10_000));
    assert_eq!(log.millis_since_answer(log_time(10_300)), Some(300));
    assert_eq!(log.millis_since_answer(log_time(9_999)), None);
}
