//! `l3`: the rows in the storage tier, Durable Objects with SQLite.

use serde::{Deserialize, Serialize};

/// `l3`: the rows in the storage tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L3 {
    /// Whether there is one.
    pub enabled: bool,
    /// The name under which the host has its shards.
    pub binding: String,
    /// The name under which the host has the ledger of writes.
    pub invalidation_log_binding: String,
    /// Over how many objects the rows are spread, by the hash of their keys.
    pub shards: u32,
    /// How long a shard keeps a row, in seconds.
    pub ttl_seconds: u64,
    /// What every key in the tier begins with.
    pub key_prefix: String,
    /// How long one read or write of a shard may take, in milliseconds.
    pub timeout_ms: u64,
    /// What one shard may take, in bytes.
    pub max_shard_bytes: u64,
}

impl Default for L3 {
    fn default() -> Self {
        L3 {
            enabled: false,
            binding: "STORAGE".to_owned(),
            invalidation_log_binding: "INVALIDATION_LOG".to_owned(),
            // One object takes some thousand calls a second.
            shards: 8,
            ttl_seconds: 86_400,
            key_prefix: "features".to_owned(),
            timeout_ms: 500,
            // A tenth of the 10 GB that Cloudflare gives an object.
            max_shard_bytes: 1 << 30,
        }
    }
}
