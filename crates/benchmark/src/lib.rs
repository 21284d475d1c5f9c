//! The benchmark framework: which requests are begun when, what their answers say, and what a run of them shows.
//!
//! Refuses to know what answers: an engine in the same process, a deployment, or a virtual clock in a test. Like the rest of the
//! core it does no I/O, reads no clock, and is told all randomness by a seed. Invariant: whoever runs the same scenario with the
//! same seed asks the same requests in the same order.

pub mod compare;
pub mod distribution;
pub mod outcome;
pub mod popularity;
pub mod random;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod timeline;
