#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]

use benchmark::random::Random;
use config::Costs;

use crate::deployment::{Deployment, DeploymentKind};
use crate::figures::{Figures, Row, ServedBy};
use crate::kv::{Kv, Read};
use crate::sample::{Sample, WeightedChoice};
use crate::simulation::simulate;

/// A few places, and entities enough that not all fit anywhere: a second of it is simulated in far less.
fn small() -> Deployment {
    Deployment {
        locations: 12,
        isolate_rate: 20.0,
        isolate_life_seconds: 300.0,
        population: 20_000,
        ttl_seconds: 60,
        warm_seconds: 120.0,
        measured_seconds: 60.0,
        measured_requests: 0.0,
        ..Deployment::default()
    }
}

fn row(deployment: &Deployment, kind: DeploymentKind, rate: f64) -> Row {
    Row::new(rate, kind, &simulate(deployment, kind, rate, 1), &Costs::default())
}

fn all_ends(figures: &Figures) -> u64 {
    figures.served_by.iter().sum()
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_seed_others() {
    let run = |seed| simulate(&small(), DeploymentKind::Tiers, 100.0, seed);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn each_request_has_one_end_and_none_lacks_its_values() {
    for (kind, sampled_rate) in DeploymentKind::ALL.into_iter().flat_map(|kind| [(kind, 1_000.0), (kind, 50.0)]) {
        let figures = simulate(&Deployment { sampled_rate, ..small() }, kind, 200.0, 1);
        assert!(figures.requests > 10_000, "{kind:?}: {}", figures.requests);
        assert_eq!(all_ends(&figures), figures.requests, "{kind:?}");
        assert_eq!(figures.age.count(), figures.requests, "{kind:?}");
        assert_eq!(figures.of(ServedBy::None), 0, "{kind:?}");
    }
}

#[test]
fn what_is_called_directly_saves_nothing_and_is_as_old_as_the_way_is_long() {
    let direct = row(&small(), DeploymentKind::Direct, 100.0);
    assert_eq!((direct.origin, direct.offload, direct.worth_it_from_dollars), (1.0, 0.0, None));
    assert!(direct.age_max <= 0.075, "{}", direct.age_max);
    // What a million calls cost by default.
    assert!((direct.dollars_per_million - 0.3).abs() < 1e-3, "{}", direct.dollars_per_million);
}

#[test]
fn memory_alone_never_saves_the_origin_more_than_all_tiers_do() {
    for rate in [5.0, 50.0, 300.0] {
        let (alone, tiers) = (row(&small(), DeploymentKind::L1Alone, rate), row(&small(), DeploymentKind::Tiers, rate));
        assert!(alone.offload > 0.0 && alone.offload <= tiers.offload, "{rate}: {} {}", alone.offload, tiers.offload);
        assert_eq!((alone.l2, alone.reads_per_million, alone.writes_per_million), (0.0, 0.0, 0.0));
        assert!(tiers.l2 > 0.0 && tiers.reads_per_million > 0.0 && tiers.writes_per_million > 0.0);
    }
}

#[test]
fn the_more_requests_come_the_fewer_of_them_reach_the_origin() {
    let offload = |rate| row(&small(), DeploymentKind::Tiers, rate).offload;
    assert!(offload(5.0) < offload(50.0) && offload(50.0) < offload(300.0));
}

#[test]
fn nothing_is_served_that_is_older_than_the_core_allows() {
    let deployment = Deployment { ttl_seconds: 30, ..small() };
    let figures = simulate(&deployment, DeploymentKind::Tiers, 200.0, 1);
    // Fresh for 30 s, then served for 60 s more while it is fetched anew; and the way from the origin.
    assert!(figures.age.max_ms() <= 90_200.0, "{} ms", figures.age.max_ms());
    assert!(figures.age.percentile_ms(0.5) > 1_000.0);
}

#[test]
fn isolates_that_come_and_go_cost_hits() {
    let hits =
        |isolate_life_seconds| row(&Deployment { isolate_life_seconds, ..small() }, DeploymentKind::L1Alone, 200.0).l1;
    assert!(hits(10.0) < hits(10_000.0));
    let idle = Deployment { isolate_idle_seconds: 1.0, ..small() };
    let (idle, not) = (row(&idle, DeploymentKind::L1Alone, 5.0), row(&small(), DeploymentKind::L1Alone, 5.0));
    assert!(idle.isolates_started_per_hour > not.isolates_started_per_hour && idle.l1 < not.l1);
}

#[test]
fn a_sample_says_what_all_requests_would() {
    for kind in [DeploymentKind::L1Alone, DeploymentKind::Tiers] {
        let run = |sampled_rate| row(&Deployment { sampled_rate, ..small() }, kind, 400.0);
        let (all, sample) = (run(400.0), run(100.0));
        assert!(sample.simulated * 3 < all.simulated, "{} {}", sample.simulated, all.simulated);
        for (all, sample) in [(all.l1, sample.l1), (all.l2, sample.l2), (all.offload, sample.offload)] {
            assert!((all - sample).abs() < 0.03, "{kind:?}: {all} {sample}");
        }
    }
}

#[test]
fn a_sample_stands_for_all_entities_and_all_their_requests() {
    for (population, block) in [(1_000, 1), (1_000, 7), (1_000_000, 400), (3, 50)] {
        let sample = Sample::new(population, 0.99, block);
        let stood_for: u64 = sample.keys().iter().map(|key| u64::from(key.weight)).sum();
        assert_eq!(stood_for, u64::from(population));
        assert!(sample.share <= 1.0 && (block > 1 || sample.share == 1.0));
        let draws = 100_000;
        let mut random = Random::new(5);
        let requests: u64 = (0..draws).map(|_| u64::from(sample.key(sample.draw(&mut random)).weight)).sum();
        // As many as there are, for each that is simulated.
        let expected = f64::from(draws) / sample.share;
        assert!((requests as f64 / expected - 1.0).abs() < 0.02, "{population} {block}: {requests} {expected}");
    }
}

#[test]
fn a_sample_has_room_for_its_part_and_for_the_most_popular() {
    assert_eq!(Sample::new(1_000_000, 0.99, 1).room(10_000), 10_000);
    let sample = Sample::new(1_000_000, 0.99, 100);
    let popular: Vec<_> = sample.keys().iter().take_while(|key| key.weight < 100).collect();
    let stood_for: usize = popular.iter().map(|key| key.weight as usize).sum();
    assert_eq!(sample.room(10_000), popular.len() + (10_000 - stood_for) / 100);
    assert_eq!(sample.room(1), popular.len());
}

#[test]
fn a_sample_keeps_within_what_can_be_simulated() {
    for rate in [1e2, 1e4, 1e6] {
        let sample = Sample::within(1_000_000, 0.99, rate, 5_000.0);
        assert!(sample.share * rate <= 5_000.0 && sample.share * rate >= rate.min(5_000.0) * 0.5, "{rate}");
    }
}

#[test]
fn numbers_are_drawn_by_their_chances() {
    let choice = WeightedChoice::new(vec![1.0, 0.0, 3.0]);
    assert_eq!([0, 1, 2].map(|number| choice.of(number)), [0.25, 0.0, 0.75]);
    let mut random = Random::new(3);
    let drawn = (0..10_000).filter(|_| choice.draw(&mut random) == 2).count();
    assert!((7_300..7_700).contains(&drawn), "{drawn}");
}

const MINUTE: u64 = 60_000;

fn read(kv: &mut Kv, location: u16, now: u64) -> (Option<u8>, bool) {
    let Read { value, is_hot } = kv.read(location, 7, now);
    (value.map(|value| value[0]), is_hot)
}

#[test]
fn a_write_is_seen_at_once_where_it_was_made_and_elsewhere_after_its_delay() {
    let mut kv = Kv::new(MINUTE);
    assert!(kv.write(1, 7, vec![1], 60 * MINUTE, 30_000, 0));
    assert_eq!(read(&mut kv, 1, 1), (Some(1), true));
    assert_eq!(read(&mut kv, 2, 29_999), (None, false));
    assert_eq!(read(&mut kv, 3, 30_000), (Some(1), false));
}

#[test]
fn a_location_keeps_what_it_read_for_a_minute_and_that_there_was_nothing_too() {
    let mut kv = Kv::new(MINUTE);
    assert_eq!(read(&mut kv, 2, 0), (None, false));
    assert!(kv.write(1, 7, vec![1], 60 * MINUTE, 0, 1_000));
    assert_eq!(read(&mut kv, 2, MINUTE - 1), (None, true));
    assert_eq!(read(&mut kv, 2, MINUTE), (Some(1), false));
    assert!(kv.write(1, 7, vec![2], 60 * MINUTE, 0, MINUTE));
    assert_eq!(read(&mut kv, 2, 2 * MINUTE - 1), (Some(1), true));
    assert_eq!(read(&mut kv, 2, 2 * MINUTE), (Some(2), false));
}

#[test]
fn a_key_takes_one_write_a_second_and_lives_no_longer_than_it_is_to() {
    let mut kv = Kv::new(MINUTE);
    assert!(kv.write(1, 7, vec![1], MINUTE, 0, 0));
    assert!(!kv.write(2, 7, vec![2], MINUTE, 0, 999));
    assert_eq!(read(&mut kv, 2, 999), (Some(1), false));
    assert!(kv.write(2, 7, vec![3], MINUTE, 0, 1_000));
    assert_eq!(read(&mut kv, 2, MINUTE + 999), (Some(3), true));
    assert_eq!(read(&mut kv, 2, MINUTE + 1_000), (None, false));
}
