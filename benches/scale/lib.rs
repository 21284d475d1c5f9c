//! A deployment in virtual time: the real core in hundreds of locations, over a Workers KV that lags behind, before one origin.
//!
//! `npm run scale` runs it and docs/internals/scale.md tells what came of it. What is assumed of the platform stands in [`deployment`], what of
//! the traffic is simulated and what that stands for in [`sample`]. It refuses to know whatever the core decides. Invariant: the same
//! deployment with the same seed gives the same figures, and each request has one end.

pub mod deployment;
pub mod figures;
pub mod kv;
mod messages;
pub mod sample;
pub mod simulation;

#[cfg(test)]
mod tests;
