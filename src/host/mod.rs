//! The hosts: they move bytes between the core and Cloudflare or JavaScript, and decide nothing.

#[cfg(feature = "bench")]
pub mod bench;
#[cfg(feature = "npm")]
pub mod js;
#[cfg(feature = "watch")]
pub mod watch;
#[cfg(feature = "worker")]
pub mod worker;

#[cfg(any(feature = "worker", feature = "npm"))]
mod desk;
#[cfg(any(feature = "worker", feature = "npm", feature = "watch"))]
mod panics;
#[cfg(any(feature = "worker", feature = "npm", feature = "watch"))]
mod table;
