//! What the answers of the log mean, and what is owed to it.

use super::*;
use crate::io::EffectId;
use model::request::WriteDependencies;

fn ledger() -> InvalidationLog {
    let mut config = Config::default();
    config.l3.enabled = true;
    InvalidationLog::new(&config).unwrap()
}

fn call(ledger: &mut InvalidationLog) -> LogCall {
    ledger.call(RequestHandle(1), 0, Timestamp(1_000));
    ledger.calls.pop().unwrap()
}

/// An answer whose marks, of everything, have these times.
fn answer(epoch: u64, last: u64, dropped: (u64, u64), marks: &[u64]) -> Vec<u8> {
    let marks = marks.iter().map(|at| (*at, serde_bytes::Bytes::new(&wire::EVERYTHING))).collect();
    Appended { clock: 900, last, dropped: dropped.0, dropped_at: dropped.1, epoch, entries: marks }.to_bytes()
}

/// Of whom the answer to a call is, what is known then, and up to when all is marked.
fn learn(ledger: &mut InvalidationLog, answer: &[u8], call: &LogCall) -> (Option<Who>, u64, u64, u64) {
    let mut marks = Invalidations::default();
    let word = ledger.learn(answer, call, &mut marks);
    let at = marks.affecting(&WriteDependencies::Any).invalidated_at(b"");
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
        let mut marks = Invalidations::default();
        assert!(ledger.learn(&whole[..length], &call, &mut marks).is_none(), "{length} bytes");
        assert_eq!(
            (ledger.epoch, marks.affecting(&WriteDependencies::Any).invalidated_at(b"")),
            (0, Timestamp(0)),
            "{length} bytes"
        );
    }
}

#[test]
fn a_call_says_what_is_known_and_how_well() {
    let mut ledger = ledger();
    ledger.owe(|unacked| unacked.extend(wire::EVERYTHING));
    let effect = ledger.call(RequestHandle(3), 0, Timestamp(5_000));
    assert_eq!(
        (effect.id, effect.timeout_millis),
        (EffectId { handle: RequestHandle(3), continuation: Continuation::Log }, 500)
    );
    let IoRequest::Log { request } = effect.request else { panic!("{:?}", effect.request) };
    let (marks, keep_millis) = (&wire::EVERYTHING[..], ledger.keep);
    let expected =
        ::invalidation_log::Append { after: 0, epoch: 0, entry: marks, at: 5_000, spread_millis: 2_000, keep_millis };
    assert_eq!(::invalidation_log::Append::read(&request), Some(expected));
    assert!(ledger.unacked.is_empty() && ledger.keep > 300_000);
}

#[test]
fn what_is_owed_is_bounded_and_never_forgotten() {
    let mut ledger = ledger();
    ledger.owe(|unacked| unacked.resize(MAX_UNACKED, 1));
    assert_eq!(ledger.unacked.len(), MAX_UNACKED);
    ledger.owe(|unacked| unacked.push(1));
    assert_eq!(ledger.unacked, wire::EVERYTHING);
    ledger.owe(|unacked| unacked.push(1));
    assert_eq!(ledger.unacked, wire::EVERYTHING);
}

#[test]
fn a_call_of_which_nothing_was_heard_is_lost_with_its_time_and_its_marks_are_owed() {
    for (later, is_lost) in [(600, false), (601, true), (-1, true)] {
        let mut ledger = ledger();
        let at = |host: i64| ledger_time(host + 10_000);
        ledger.owe(|unacked| unacked.push(7));
        ledger.call(RequestHandle(1), 0, at(0));
        assert_eq!(ledger.under_way(at(later)).is_none(), is_lost, "after {later} ms");
        let effect = ledger.call(RequestHandle(2), 0, at(later));
        let IoRequest::Log { request } = effect.request else { panic!("{:?}", effect.request) };
        let marks = ::invalidation_log::Append::read(&request).unwrap().entry;
        assert_eq!((marks.len(), ledger.calls.len()), if is_lost { (1, 1) } else { (0, 2) });
    }
}

/// The time of a log that was never heard.
fn ledger_time(host: i64) -> Timestamp {
    ClockOffset::new().latest(Timestamp(host as u64))
}

#[test]
fn nothing_is_known_of_the_ledger_where_the_clock_was_set_back_since() {
    let mut ledger = ledger();
    assert_eq!(ledger.silence(ledger_time(10_000)), None);
    ledger.known_at = Some(Timestamp(10_000));
    assert_eq!(ledger.silence(ledger_time(10_300)), Some(300));
    assert_eq!(ledger.silence(ledger_time(9_999)), None);
}
