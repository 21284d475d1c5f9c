//! What the search has found is run again with every build, without it.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may stop")]

use std::path::Path;

use featheredge_fuzz::mutate::{Random, mutated};
use featheredge_fuzz::{MAX_INPUT, TARGETS, Target};

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn every_kept_input_still_holds() {
    for target in &TARGETS {
        let corpus = corpus(target);
        assert!(corpus.len() > 10, "{} has a corpus", target.name);
        corpus.iter().chain(&(target.seeds)()).for_each(|input| (target.run)(input));
    }
}

#[test]
fn inputs_near_the_kept_ones_hold() {
    for target in &TARGETS {
        let (corpus, mut random) = (corpus(target), Random(1));
        for _ in 0..1_000 {
            let parent = random.pick(&corpus[..]);
            let input = mutated(parent, &corpus, target.is_json, MAX_INPUT, &mut random);
            (target.run)(&input);
        }
    }
}
