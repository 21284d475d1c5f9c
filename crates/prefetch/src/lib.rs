//! Learning: what is asked together and what is asked next, and whether acting on that pays.
//!
//! Knows names and keys in place of requests: neither JSON, nor tiers, nor a clock, and it draws no random numbers, so that
//! it does the same at the same times for the same requests. Its invariant: memory is taken once, and no request takes more.

mod entities;
pub mod ledger;
pub mod patterns;
pub mod prefetch;
mod shapes;
pub mod stored;
