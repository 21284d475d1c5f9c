//! `l3`: the storage tier, Durable Objects with SQLite.

use serde::{Deserialize, Serialize};

/// `l3`: the storage tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L3 {
    /// Whether it is used.
    pub enabled: bool,
    /// The host's binding of its shards.
    pub binding: String,
    /// The host's binding of the invalidation log.
    pub invalidation_log_binding: String,
    /// How many objects the rows are spread over, by the hash of their keys.
    pub shards: u32,
    /// How long a shard stores a row, in seconds.
    pub ttl_seconds: u64,
    /// The prefix of every key.
    pub key_prefix: String,
    /// The timeout of a read or write of a shard, in milliseconds.
    pub timeout_ms: u64,
    /// The most bytes of a shard.
    pub max_shard_bytes: u64,
}

impl Default for L3 {
    fn default() -> Self {
        L3 {
            enabled: false,
            binding: "STORAGE".to_owned(),
            invalidation_log_binding: "INVALIDATION_LOG".to_owned(),
            // One object handles some thousand calls a second.
            shards: 8,
            ttl_seconds: 86_400,
            key_prefix: "features".to_owned(),
            timeout_ms: 500,
            // A tenth of the 10 GB that Cloudflare gives an object.
            max_shard_bytes: 1 << 30,
        }
    }
}
