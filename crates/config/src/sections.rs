//! The sections of the table, each with a default for every key.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// `origin`: where features come from that no tier holds. Its `Authorization` is a secret and stands in no table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Origin {
    /// What answers.
    pub kind: OriginKind,
    /// The base URL of an HTTP origin; paths are appended to it.
    pub url: Option<String>,
    /// How long one call may take, in milliseconds.
    pub timeout_ms: u64,
    /// How long the synthetic origin takes for a call, in milliseconds.
    pub delay_ms: u64,
}

/// What answers as the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OriginKind {
    /// The built-in origin, which computes features by name so that everything can be tried with no backend.
    Synthetic,
    /// A Feast server, or any origin of its contract.
    Http,
}

/// `l1`: the rows in memory. Whichever bound is met first evicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L1 {
    /// The most rows held.
    pub max_entries: usize,
    /// The most memory they take, in bytes.
    pub max_bytes: usize,
    /// Which of them make room for others.
    pub policy: EvictionPolicy,
}

/// Which rows make room for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvictionPolicy {
    /// Those that were not used for longest.
    Lru,
    /// Those that were not used again soon after they came; a scan displaces nothing that is in use.
    #[serde(rename = "s3-fifo")]
    S3Fifo,
}

/// `l2`: the rows in the distributed store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L2 {
    /// Whether there is one.
    pub enabled: bool,
    /// How long the store keeps a row, in seconds. How long it is fresh is another matter: [`Freshness`].
    pub ttl_seconds: u64,
    /// What every key in the store begins with.
    pub key_prefix: String,
    /// The name under which the host has the store.
    pub binding: String,
    /// When it is read.
    pub read_policy: L2ReadPolicy,
    /// How long one bulk read or write may take, in milliseconds.
    pub timeout_ms: u64,
    /// How long after a key was written it is not written again, in milliseconds; what changes meanwhile is put off.
    pub write_interval_ms: u64,
    /// The most keys that one isolate writes in a day, where there is a limit.
    pub max_writes_per_day: Option<u64>,
    /// The most keys that one request writes; what it brings beyond is not written, and counted. Where it is left out, 500 in the
    /// Worker, which may make 1,000 calls for a request, and no limit elsewhere.
    pub max_writes_per_request: Option<usize>,
}

/// When L2 is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum L2ReadPolicy {
    /// One of the others, by measured latencies and hits.
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
    /// How long a row is fresh, in seconds. With 0 it never is, and the origin is asked each time.
    pub ttl_seconds: u64,
    /// By how much of that a row is due sooner at the most, in percent, each by its own part: rows that came together are
    /// not due together.
    pub ttl_jitter_percent: u64,
    /// How long after that it is served at once while it is fetched anew behind the answer, in seconds.
    pub stale_while_revalidate_seconds: u64,
    /// How eagerly rows are fetched before their time ends: XFetch's β in percent, 0 for not at all.
    pub early_refresh_percent: u64,
    /// How long after its time a row may still be served while nothing fresher can be had, in seconds.
    pub stale_if_error_seconds: u64,
    /// How long it is believed that the origin does not know an entity, in seconds.
    pub negative_ttl_seconds: u64,
    /// How old an event may be, in seconds, before its value is `OUTSIDE_MAX_AGE`; where it is left out, of any age.
    pub max_event_age_seconds: Option<u64>,
}

/// `routing`: which serving pattern a request gets, by its size and priority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// Whether requests are told apart; if not, all are hybrid.
    pub enabled: bool,
    /// The most entities of a real-time request.
    pub real_time_max_entities: usize,
    /// The most features of a real-time request.
    pub real_time_max_features: usize,
    /// How long a real-time request may take, in milliseconds.
    pub real_time_deadline_ms: u64,
    /// The fewest entities of a batch.
    pub batch_min_entities: usize,
    /// The fewest features of a batch.
    pub batch_min_features: usize,
    /// The most rows of one call to the origin.
    pub chunk_rows: usize,
    /// How many calls to the origin one batch, or one streamed request, has under way at the most.
    pub max_concurrent_chunks: usize,
    /// Whether a request that accepts lines is answered with a line for each entity as it becomes complete.
    pub streaming: bool,
}

/// `deadlines`: how long a request may take, and what is done to keep to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deadlines {
    /// How long a request may take that is not served in real time, in milliseconds; the most that a caller may ask for.
    pub default_ms: u64,
    /// How long a request may take that warms the tiers, in milliseconds.
    pub warm_ms: u64,
    /// After how much of it what is stale is served and the rest goes on behind, in percent; 100 for never.
    pub soft_percent: u64,
    /// Whether timeouts of stores and origin follow what was measured.
    pub adaptive_timeouts: bool,
    /// Whether a real-time request asks the origin too when a store is slower than usual.
    pub hedging: bool,
}

/// `singleflight`: whether requests wait for what others are looking for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Singleflight {
    /// Whether they do.
    pub enabled: bool,
}

/// `breaker`: when a store or the origin is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// Whether it ever is.
    pub enabled: bool,
    /// Over how many of the last operations failures are counted.
    pub window_operations: u32,
    /// From what share of failures it is left alone, in percent.
    pub failure_percent: u32,
    /// For how long, in milliseconds.
    pub open_ms: u64,
    /// How many operations must then succeed before all are let through.
    pub half_open_probes: u32,
}

/// `load`: how much work is taken on at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// How many requests wait for a store or the origin at one time before all others are refused; those of low priority
    /// are at half of it.
    pub max_pending_requests: usize,
    /// How many calls the origin gets at one time at the most.
    pub max_origin_calls: u32,
    /// Whether it gets fewer while it is slow.
    pub adaptive_concurrency: bool,
}

/// `views.NAME`: what is known of a feature view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct View {
    /// The request columns that its rows are keyed by; request data too, for an on-demand view. Where it is left out, the
    /// registry tells, or the whole entity row is the key.
    #[serde(deserialize_with = "at_least_one_column", skip_serializing_if = "Vec::is_empty")]
    pub join_keys: Vec<String>,
    /// How long its rows are fresh, in seconds, in place of `freshness.ttl_seconds`.
    pub ttl_seconds: Option<u64>,
    /// How old an event may be, in seconds, in place of `freshness.max_event_age_seconds`: the view's own TTL in Feast.
    pub max_event_age_seconds: Option<u64>,
    /// The views that an on-demand view is computed from; none for a view that is stored. Where it is left out, a write to
    /// any view whose key it contains is taken to change it.
    pub sources: Option<Vec<String>>,
}

/// `writes`: what becomes of what is cached when rows are written through this service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Writes {
    /// Whether what was fetched before a write is not served after it.
    pub invalidation: bool,
    /// Whether all isolates tell each other of writes, by a ledger; with [`L3`](crate::L3) alone.
    pub invalidation_log: bool,
    /// Within how long a write is seen by other isolates, in milliseconds; with 0 each request asks the ledger first.
    pub visible_within_ms: u64,
    /// How long a write may go on that was answered before it was done, in seconds. For so long what it may write is served no older than
    /// `visible_within_ms`.
    pub job_seconds: u64,
    /// By how much the clocks of processes that share a store may differ, in milliseconds, where no ledger sets them. For so long
    /// after a write no store's copy of what it touched is taken for newer.
    pub max_clock_skew_ms: u64,
}

/// `feature_services.NAME`: what is known of a feature service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureService {
    /// The request columns that all of its views together are keyed by.
    #[serde(deserialize_with = "at_least_one_column")]
    pub join_keys: Vec<String>,
}

/// `services`: how feature services are treated in general.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Services {
    /// How long it is believed which features a service has, in seconds.
    pub membership_ttl_seconds: u64,
}

/// `registry`: Feast's registry server with its REST API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registry {
    /// Its base URL.
    pub url: String,
    /// The project asked for, where Feast has it under another name than `project`.
    pub project: Option<String>,
    /// How long what it says of join keys is believed, in seconds.
    pub ttl_seconds: u64,
}

/// `native`: what the native API leaves out of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Native {
    /// The column that `entity_ids` are values of.
    pub entity_column: String,
    /// The view that a feature name without one belongs to.
    pub default_view: String,
}

/// `limits`: past which a request in Feast's terms goes to the origin as it came, and any other is refused. They are checked before memory is
/// taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Whether a request in Feast's terms is refused too.
    pub refuse: bool,
    /// The longest request body, in bytes.
    pub body_bytes: usize,
    /// The most entities that one request names.
    pub entities: usize,
    /// The most features that one request names.
    pub features: usize,
    /// The most values that one answer has: entities times features.
    pub cells: usize,
    /// The longest key of one row, in bytes: its entity's values with their column names.
    pub key_bytes: usize,
    /// The deepest that objects and arrays nest, in requests and in the origin's answers.
    pub depth: u16,
    /// The longest answer that is taken from the origin, in bytes.
    pub origin_body_bytes: usize,
    /// The longest body of a write that is read for what it changes, in bytes; a longer one is taken to change everything.
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
        // The entries are the seed's; the bytes are half of the 128 MB that a Worker has in all.
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
            // KV takes one write of a key each second.
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
        // The seed's thresholds.
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
            // A body waits in `memory.pending_bytes` until it is whole, and what is read from it, and the reply, come on top. As much as 800
            // vectors of 1,536 numbers.
            origin_body_bytes: 16 << 20,
            write_body_bytes: 16 << 20,
            // Each is a write of KV's, of which a Worker may make 1,000 for one request.
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

/// A list that is there and yet empty is a mistake: leaving it out means something else.
fn at_least_one_column<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let columns = Vec::deserialize(deserializer)?;
    if columns.is_empty() { Err(D::Error::invalid_length(0, &"a list of at least one column")) } else { Ok(columns) }
}
