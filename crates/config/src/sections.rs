//! The sections of the configuration, each with a default for every key.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// `origin`: the origin of features. Its `Authorization` is a secret, and no key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Origin {
    /// The kind of origin.
    pub kind: OriginKind,
    /// The base URL of an HTTP origin; paths are appended to it.
    pub url: Option<String>,
    /// The timeout of an origin call, in milliseconds.
    pub timeout_ms: u64,
    /// The latency of the synthetic origin, in milliseconds.
    pub delay_ms: u64,
}

/// The kinds of origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OriginKind {
    /// The synthetic origin, which computes features from their names, so that everything can be tried without a backend.
    Synthetic,
    /// A Feast server, or another with its HTTP API.
    Http,
}

/// `l1`: memory. The bound that is reached first evicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L1 {
    /// The most rows.
    pub max_entries: usize,
    /// The most memory of rows, in bytes.
    pub max_bytes: usize,
    /// The eviction policy.
    pub policy: EvictionPolicy,
}

/// Eviction policies; `service/setup.rs` maps them to the cache's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvictionPolicy {
    /// LRU: the least recently used row is evicted.
    Lru,
    /// S3-FIFO: rows that are not used again soon are evicted first, so a scan evicts no row in use.
    #[serde(rename = "s3-fifo")]
    S3Fifo,
}

/// `l2`: the distributed store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L2 {
    /// Whether it is used.
    pub enabled: bool,
    /// How long the store keeps a row, in seconds. How long a row is fresh is in [`Freshness`].
    pub ttl_seconds: u64,
    /// The prefix of every key.
    pub key_prefix: String,
    /// The host's binding of the store.
    pub binding: String,
    /// When it is read.
    pub read_policy: L2ReadPolicy,
    /// The timeout of a bulk read or write, in milliseconds.
    pub timeout_ms: u64,
    /// The least interval between two writes of a key, in milliseconds; changes in between are delayed.
    pub write_interval_ms: u64,
    /// The most keys that one isolate writes in a day, if limited.
    pub max_writes_per_day: Option<u64>,
    /// The most keys that one request writes; further ones are not written, but counted. By default 500 in the
    /// Worker, which may make 1,000 calls for a request, and unlimited elsewhere.
    pub max_writes_per_request: Option<usize>,
}

/// When L2 is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum L2ReadPolicy {
    /// One of the others, by measured latencies and hit ratios.
    #[default]
    Auto,
    /// Before the origin.
    First,
    /// At the same time as the origin.
    Parallel,
    /// Never.
    Never,
}

/// `freshness`: how long a row may be served after it was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Freshness {
    /// The TTL, in seconds. With 0 each request fetches from the origin.
    pub ttl_seconds: u64,
    /// By how much of the TTL jitter shortens it at most, in percent, so that rows which were fetched together do not
    /// expire together.
    pub ttl_jitter_percent: u64,
    /// How long after its TTL a row is served while it is revalidated in the background, in seconds.
    pub stale_while_revalidate_seconds: u64,
    /// How eagerly rows are revalidated before their TTL ends: XFetch's β in percent; 0 for never.
    pub early_refresh_percent: u64,
    /// How long after its TTL a row may be served where the origin fails or is late, in seconds.
    pub stale_if_error_seconds: u64,
    /// The TTL of negative entries, in seconds.
    pub negative_ttl_seconds: u64,
    /// The event age past which a value is `OUTSIDE_MAX_AGE`, in seconds; unlimited by default.
    pub max_event_age_seconds: Option<u64>,
}

/// `routing`: the serving pattern of a request, by its size and priority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// Whether requests are classified; if not, all are hybrid.
    pub enabled: bool,
    /// The most entities of a real-time request.
    pub real_time_max_entities: usize,
    /// The most features of a real-time request.
    pub real_time_max_features: usize,
    /// The deadline of a real-time request, in milliseconds.
    pub real_time_deadline_ms: u64,
    /// The fewest entities of a batch.
    pub batch_min_entities: usize,
    /// The fewest features of a batch.
    pub batch_min_features: usize,
    /// The most rows of a chunk: one origin call.
    pub chunk_rows: usize,
    /// The most concurrent origin calls of a batch or streamed request.
    pub max_concurrent_chunks: usize,
    /// Whether a request that accepts NDJSON receives a line for each entity as soon as it is complete.
    pub streaming: bool,
}

/// `deadlines`: deadlines of requests, and how they are met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deadlines {
    /// The deadline of other requests, in milliseconds; the most that a caller may request.
    pub default_ms: u64,
    /// The deadline of warming, in milliseconds.
    pub warm_ms: u64,
    /// The soft deadline, in percent of the deadline: stale rows are then served, and fetches continue in the background; 100 for never.
    pub soft_percent: u64,
    /// Whether timeouts of stores and origin adapt to measured latencies.
    pub adaptive_timeouts: bool,
    /// Whether a real-time request is hedged: it also calls the origin while a store is slow.
    pub hedging: bool,
}

/// `singleflight`: whether requests share fetches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Singleflight {
    /// Whether it is enabled.
    pub enabled: bool,
}

/// `breaker`: circuit breakers of stores and the origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// Whether they are enabled.
    pub enabled: bool,
    /// The window: the number of last operations whose failures count.
    pub window_operations: u32,
    /// The share of failures that opens a circuit, in percent.
    pub failure_percent: u32,
    /// How long it stays open, in milliseconds.
    pub open_ms: u64,
    /// How many probes must then succeed to close it.
    pub half_open_probes: u32,
}

/// `load`: load shedding and the concurrency of origin calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// The most pending requests, past which others are shed; those of low priority
    /// are shed at half of it.
    pub max_pending_requests: usize,
    /// The most concurrent origin calls.
    pub max_origin_calls: u32,
    /// Whether that limit adapts while the origin is slow.
    pub adaptive_concurrency: bool,
}

/// `views.NAME`: the metadata of a feature view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct View {
    /// Its key columns in requests; for an on-demand view with request data. By default those of the
    /// registry, or the whole entity row.
    #[serde(deserialize_with = "at_least_one_column", skip_serializing_if = "Vec::is_empty")]
    pub join_keys: Vec<String>,
    /// Its TTL, in seconds, instead of `freshness.ttl_seconds`.
    pub ttl_seconds: Option<u64>,
    /// Its most event age, in seconds, instead of `freshness.max_event_age_seconds`: the view's TTL in Feast.
    pub max_event_age_seconds: Option<u64>,
    /// The views that an on-demand view is computed from; empty for a stored view. By default, a write to
    /// any view whose key it contains invalidates it.
    pub sources: Option<Vec<String>>,
}

/// `writes`: how writes invalidate cached rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Writes {
    /// Whether writes invalidate.
    pub invalidation: bool,
    /// Whether isolates share invalidations through the invalidation log; it needs [`L3`](crate::L3).
    pub invalidation_log: bool,
    /// Within how long a write is visible in other isolates, in milliseconds; with 0 each request reads the log first.
    pub visible_within_ms: u64,
    /// How long an asynchronous write may run, in seconds. Meanwhile, rows that it may write are served no older than
    /// `visible_within_ms`.
    pub job_seconds: u64,
    /// The most skew of the clocks of processes that share a store without an invalidation log, in milliseconds. For so long
    /// after a write, no store's copy of the written rows counts as newer.
    pub max_clock_skew_ms: u64,
}

/// `feature_services.NAME`: the metadata of a feature service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureService {
    /// The key columns of all of its views together.
    #[serde(deserialize_with = "at_least_one_column")]
    pub join_keys: Vec<String>,
}

/// `services`: all feature services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Services {
    /// The TTL of a service's members, in seconds.
    pub membership_ttl_seconds: u64,
}

/// `registry`: Feast's registry server with its REST API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registry {
    /// Its base URL.
    pub url: String,
    /// The project in the registry, where its name differs from `project`.
    pub project: Option<String>,
    /// The TTL of its metadata, in seconds.
    pub ttl_seconds: u64,
}

/// `native`: defaults of the native API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Native {
    /// The column of `entity_ids`.
    pub entity_column: String,
    /// The view of feature names without one.
    pub default_view: String,
}

/// `limits`: a request of Feast's API past a limit is passed through to the origin, and any other is rejected. They are checked before memory is
/// allocated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Whether a request of Feast's API is rejected too.
    pub refuse: bool,
    /// The longest request body, in bytes.
    pub body_bytes: usize,
    /// The most entities that one request names.
    pub entities: usize,
    /// The most features that one request names.
    pub features: usize,
    /// The most values of one response: entities times features.
    pub cells: usize,
    /// The longest key of one row, in bytes: its entity's values with their column names.
    pub key_bytes: usize,
    /// The deepest nesting of objects and arrays, in requests and in the origin's responses.
    pub depth: u16,
    /// The longest response of the origin, in bytes.
    pub origin_body_bytes: usize,
    /// The longest body of a write that is parsed, in bytes; a longer one invalidates everything.
    pub write_body_bytes: usize,
    /// The most rows that one request warms.
    pub warm_rows: usize,
}

impl Default for Origin {
    fn default() -> Self {
        Origin { kind: OriginKind::Synthetic, url: None, timeout_ms: 5_000, delay_ms: 10 }
    }
}

impl Default for L1 {
    fn default() -> Self {
        // The entries are those of the original specification; the bytes are half of a Worker's 128 MB.
        L1 { max_entries: 10_000, max_bytes: 64 << 20, policy: EvictionPolicy::Lru }
    }
}

impl Default for L2 {
    fn default() -> Self {
        L2 {
            enabled: true,
            ttl_seconds: 3_600,
            key_prefix: "features".to_owned(),
            binding: "FEATURES".to_owned(),
            read_policy: L2ReadPolicy::Auto,
            timeout_ms: 500,
            // KV accepts one write of a key each second.
            write_interval_ms: 1_000,
            max_writes_per_day: None,
            max_writes_per_request: None,
        }
    }
}

impl Default for Freshness {
    fn default() -> Self {
        Freshness {
            ttl_seconds: 300,
            ttl_jitter_percent: 10,
            stale_while_revalidate_seconds: 60,
            early_refresh_percent: 100,
            stale_if_error_seconds: 3_600,
            negative_ttl_seconds: 30,
            max_event_age_seconds: None,
        }
    }
}

impl Default for Routing {
    fn default() -> Self {
        // The thresholds of the original specification.
        Routing {
            enabled: true,
            real_time_max_entities: 100,
            real_time_max_features: 50,
            real_time_deadline_ms: 100,
            batch_min_entities: 1_000,
            batch_min_features: 20,
            chunk_rows: 500,
            max_concurrent_chunks: 4,
            streaming: true,
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines { default_ms: 5_000, warm_ms: 25_000, soft_percent: 70, adaptive_timeouts: true, hedging: true }
    }
}

impl Default for Singleflight {
    fn default() -> Self {
        Singleflight { enabled: true }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker { enabled: true, window_operations: 20, failure_percent: 50, open_ms: 5_000, half_open_probes: 3 }
    }
}

impl Default for Load {
    fn default() -> Self {
        Load { max_pending_requests: 1_000, max_origin_calls: 64, adaptive_concurrency: true }
    }
}

impl Default for Services {
    fn default() -> Self {
        Services { membership_ttl_seconds: 300 }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry { url: String::new(), project: None, ttl_seconds: 300 }
    }
}

impl Default for Native {
    fn default() -> Self {
        Native { entity_column: "entity_id".to_owned(), default_view: "features".to_owned() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            refuse: false,
            body_bytes: 1 << 20,
            entities: 10_000,
            features: 1_000,
            cells: 100_000,
            key_bytes: 4_096,
            depth: 64,
            // A body counts towards `memory.pending_bytes` until it is complete, and its parsed rows and the response come on top. As much as 800
            // vectors of 1,536 numbers.
            origin_body_bytes: 16 << 20,
            write_body_bytes: 16 << 20,
            // Each is a KV write, and a Worker may make 1,000 calls for one request.
            warm_rows: 800,
        }
    }
}

impl Default for Writes {
    fn default() -> Self {
        Writes {
            invalidation: true,
            invalidation_log: true,
            visible_within_ms: 1_000,
            job_seconds: 600,
            max_clock_skew_ms: 5_000,
        }
    }
}

/// An empty list is a mistake: omitting it has another meaning.
fn at_least_one_column<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let columns = Vec::deserialize(deserializer)?;
    if columns.is_empty() { Err(D::Error::invalid_length(0, &"a list of at least one column")) } else { Ok(columns) }
}
