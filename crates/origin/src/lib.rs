//! The JSON that passes between this service and what stands behind it: calls to the origin and its answers, writes, the
//! registry's word, and the built-in origin.
//!
//! Stands above [`protocol`], and is a crate of its own since nothing of it is on the way of an answer from memory. Its
//! invariant: what the origin and the registry send is as suspect as what a caller sends.

mod echo;
pub mod origin;
pub mod planner;
pub mod registry;
pub mod replay;
pub mod synthetic;
pub mod warm;
pub mod write;
