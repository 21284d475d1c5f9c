//! The benchmark framework: schedules the requests of a scenario, measures their responses, and reports and compares runs.
//!
//! It does not know its target: an engine in the same process, a deployment, or a virtual clock in a test. Like the rest of the core it
//! does no I/O, reads no clock, and draws all randomness from a seed. Invariant: the same scenario with the same seed has the same requests
//! in the same order.
//!
//! ```
//! use featheredge_benchmark::runner::{Micros, Next, Runner};
//! use featheredge_benchmark::scenario::Scenario;
//!
//! let [mut scenario, ..] = Scenario::defaults();
//! (scenario.request_count, scenario.concurrency) = (Some(1), 1);
//! let mut runner = Runner::new(scenario, "", 0).unwrap();
//! let Next::Begin(request) = runner.next(Micros(0)) else { panic!("a request is due") };
//! runner.begun(request, Micros(0));
//! runner.failed(request, "timeout", None, Micros(5_000));
//! assert_eq!(runner.next(Micros(5_000)), Next::Done);
//! assert_eq!(runner.finish().failed(), 1);
//! ```

pub mod arrivals;
mod bounded;
pub mod compare;
pub mod distribution;
pub mod import;
pub mod popularity;
pub mod random;
pub mod rate_search;
mod reason;
pub mod repeat;
pub mod report;
pub mod response;
pub mod runner;
pub mod scenario;
pub mod summary;
pub mod timeline;
