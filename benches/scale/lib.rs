//! A simulated deployment in virtual time: the real core in hundreds of locations, with an eventually consistent Workers KV and one origin.
//!
//! `npm run scale` runs it, and docs/internals/scale.md has its results. [`deployment`] has the assumptions on the platform, and [`sample`] the
//! sampling of the traffic. It takes no decision of the core. Invariant: the same deployment with the same seed has the same figures, and
//! each request has one end.

pub mod deployment;
pub mod figures;
pub mod kv;
mod messages;
pub mod sample;
pub mod simulation;

#[cfg(test)]
mod tests;
