//! How many requests of a real trace find their row, by each policy.
//!
//! `traces/OLTP.lis.zst` is the trace of an online transaction processing system with which Megiddo and Modha introduced ARC
//! ("ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003): a page in each line, with how many follow it.

#![allow(missing_docs, reason = "tests are named for what they show")]
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![cfg(not(target_arch = "wasm32"))]

use std::fs::File;
use std::io::Read;
use std::rc::Rc;

use cache::memory::{Budget, Memory};
use cache::policy::Eviction;
use model::key::{FeatureSource, KeySpace, NameStyle, Namespace};
use model::row::{Row, RowBuilder, RowLimits, Schema};

/// Entries, and the hit ratios that others have measured at that size: least recently used, and S3-FIFO.
const MEASURED: [(usize, f64, f64); 5] = [
    (500, 0.2345, 0.3264),
    (1_000, 0.3283, 0.4084),
    (2_000, 0.4247, 0.4701),
    (5_000, 0.5365, 0.5588),
    (10_000, 0.6070, 0.6264),
];

fn pages() -> Vec<u64> {
    let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces/OLTP.lis.zst")).unwrap();
    let mut text = String::new();
    ruzstd::decoding::StreamingDecoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    let mut pages = Vec::new();
    for line in text.lines() {
        let mut numbers = line.split_ascii_whitespace().map(|number| number.parse::<u64>().unwrap());
        let (first, count) = (numbers.next().unwrap(), numbers.next().unwrap());
        pages.extend(first..first + count);
    }
    pages
}

/// A row that may stand for any: what counts here is its hash.
fn row(space: &Rc<KeySpace>) -> Rc<Row> {
    let schema = Rc::new(Schema::new(Rc::clone(space), Box::new([]), Box::new([])).unwrap());
    Rc::new(RowBuilder::new(schema, b"key").finish())
}

fn hit_ratio(pages: &[u64], entries: usize, eviction: Eviction) -> f64 {
    let space = Rc::new(KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]));
    let row = row(&space);
    let mut memory = Memory::new(
        Budget { entries, bytes: usize::MAX, row: RowLimits { features: usize::MAX, bytes: usize::MAX } },
        eviction,
    );
    let mut hits = 0_u64;
    for page in pages {
        // Spread as hashes are: a multiplication by an odd number maps no two to one.
        let hash = page.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if memory.get(hash, &space, b"key").is_some() {
            hits += 1;
        } else {
            memory.put(hash, Rc::clone(&row));
        }
    }
    hits as f64 / pages.len() as f64
}

#[test]
fn s3_fifo_keeps_more_of_a_real_trace_than_has_been_measured_of_it_elsewhere_and_lru_as_much() {
    let pages = pages();
    for (entries, lru, s3_fifo) in MEASURED {
        let ours = hit_ratio(&pages, entries, Eviction::Lru);
        assert!((ours - lru).abs() < 0.001, "lru, {entries} entries: {ours:.4}");
        let ours = hit_ratio(&pages, entries, Eviction::S3Fifo);
        assert!(ours > s3_fifo, "s3-fifo, {entries} entries: {ours:.4}");
    }
}
