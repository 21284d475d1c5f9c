use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::de::Visitor;
use serde_json::{Value, json};

use super::*;

fn parse(table: &Value) -> Result<Config, ConfigError> {
    Config::parse(table)
}

/// The error message for the table.
fn fault(table: &Value) -> String {
    parse(table).expect_err(&table.to_string()).to_string()
}

/// A table with `value` at the path `key`, and what its neighbours need.
fn table_with(key: &str, value: Value) -> Value {
    let mut whole = json!({
        "origin": {"kind": "http", "url": "http://origin"},
        "registry": {"url": "http://registry"},
        "memory": {"max_bytes": 4_000_000_000_u64},
        "views": {"v": {"join_keys": ["id"]}}
    });
    let place = key.split('.').fold(&mut whole, |table, part| &mut table[part]);
    *place = value;
    whole
}

#[test]
fn the_synthetic_origin_takes_no_url() {
    assert_eq!(
        fault(&json!({"origin": {"url": "http://feast:6566"}})),
        "`origin.kind` must be `http` where `origin.url` is set, not `synthetic`"
    );
}

#[test]
fn an_empty_table_has_the_defaults() {
    assert_eq!(parse(&json!({})), Ok(Config::default()));
    assert_eq!(Config::default().validate(), Ok(()));
    assert_eq!(
        parse(&json!({"origin": {}, "l1": {}, "views": {}, "limits": {}, "registry": null})),
        Ok(Config::default())
    );
}

#[test]
fn the_shares_of_memory_fit_into_the_whole() {
    assert_eq!(
        fault(&json!({"l1": {"max_bytes": 128 << 20}})),
        "`memory.max_bytes` must be at least 167772160, the sum of `l1.max_bytes`, `memory.plan_bytes`, `memory.pending_bytes`, \
         `prefetch.memory_bytes` and 6291456 for all else, not `100663296`"
    );
    for table in [
        json!({"l1": {"max_bytes": 128 << 20}, "memory": {"max_bytes": 160 << 20}}),
        json!({"l1": {"max_bytes": 66 << 20}, "prefetch": {"enabled": false}}),
        json!({"l1": {"max_bytes": 1 << 20}, "memory": {"max_bytes": 11 << 20, "plan_bytes": 1 << 20, "pending_bytes": 1 << 20}}),
    ] {
        assert!(parse(&table).is_ok(), "{table}");
    }
}

#[test]
fn every_key_is_read() {
    let table = sample();
    let config = parse(&table).unwrap();
    assert_eq!(serde_json::to_value(&config).unwrap(), table);
    assert_eq!(
        (config.origin.kind, config.origin.url.as_deref()),
        (OriginKind::Http, Some("https://feast.example.com:6566/api"))
    );
    assert_eq!(
        config.views.get("driver_stats"),
        Some(&View {
            join_keys: vec!["driver_id".to_owned()],
            ttl_seconds: Some(60),
            max_event_age_seconds: Some(61),
            sources: Some(vec!["driver_trips".to_owned()])
        })
    );
    assert_eq!(config.limits.depth, 32);
}

/// A table with every key, none at its default.
fn sample() -> Value {
    json!({
        "project": "rides", "pseudonymize_keys": true,
        "origin": {"kind": "http", "url": "https://feast.example.com:6566/api", "timeout_ms": 1, "delay_ms": 0},
        "l1": {"max_entries": 7, "max_bytes": 8, "policy": "s3-fifo"},
        "l2": {"enabled": false, "ttl_seconds": 60, "key_prefix": "a/b:c", "binding": "KV_2", "read_policy": "never", "timeout_ms": 9,
               "write_interval_ms": 1, "max_writes_per_day": 2, "max_writes_per_request": 3},
        "l3": {"enabled": true, "binding": "OBJECTS", "invalidation_log_binding": "LOG", "shards": 3, "ttl_seconds": 61, "key_prefix": "c/d", "timeout_ms": 8,
               "max_shard_bytes": 1048576},
        "memory": {"max_bytes": 99_000_000, "plan_bytes": 1_100_000, "pending_bytes": 1_200_000},
        "freshness": {"ttl_seconds": 0, "ttl_jitter_percent": 1, "stale_while_revalidate_seconds": 2, "early_refresh_percent": 3,
                      "stale_if_error_seconds": 1, "negative_ttl_seconds": 2, "max_event_age_seconds": 4},
        "routing": {"enabled": false, "real_time_max_entities": 1, "real_time_max_features": 2, "real_time_deadline_ms": 3,
                    "batch_min_entities": 4, "batch_min_features": 5, "chunk_rows": 6, "max_concurrent_chunks": 7, "streaming": false},
        "deadlines": {"default_ms": 1, "warm_ms": 2, "soft_percent": 2, "adaptive_timeouts": false, "hedging": false},
        "singleflight": {"enabled": false},
        "breaker": {"enabled": false, "window_operations": 10, "failure_percent": 2, "open_ms": 3, "half_open_probes": 4},
        "load": {"max_pending_requests": 1, "max_origin_calls": 2, "adaptive_concurrency": false},
        "views": {"driver_stats": {"join_keys": ["driver_id"], "ttl_seconds": 60, "max_event_age_seconds": 61,
                                   "sources": ["driver_trips"]}},
        "push_sources": {"trips": ["driver_trips"]},
        "feature_services": {"activity": {"join_keys": ["driver_id", "city"]}},
        "services": {"membership_ttl_seconds": 3},
        "registry": {"url": "http://[::1]:6572", "project": "demo", "ttl_seconds": 4},
        "writes": {"invalidation": false, "invalidation_log": false, "visible_within_ms": 1, "job_seconds": 3, "max_clock_skew_ms": 2},
        "auth": {"mode": "oidc", "anonymous_scopes": [], "issuer": "https://id.example.com", "audience": "features",
                 "jwks_url": "https://id.example.com/keys", "jwks_ttl_seconds": 1, "clock_skew_seconds": 2, "default_scopes": ["write"],
                 "scope_claim": "scp", "project_claim": "tenant", "rate_limit_binding": "LIMIT", "retry_after_seconds": 3,
                 "cors_origins": ["https://app.example.com"]},
        "prefetch": {"enabled": false, "memory_bytes": 300_000, "half_life_seconds": 1, "max_predictions": 2, "max_related_predictions": 1,
                     "max_rows_per_request": 3, "max_rows_per_second": 4, "min_precision_percent": 6, "cooldown_seconds": 7,
                     "holdout_percent": 8, "persist_interval_seconds": 9, "latency_value_nanodollars_per_ms": 13},
        "native": {"entity_column": "user", "default_view": "profile"},
        "limits": {
            "refuse": true, "body_bytes": 11, "entities": 12, "features": 13, "cells": 14, "key_bytes": 15, "depth": 32, "origin_body_bytes": 17,
            "write_body_bytes": 18, "warm_rows": 19,
        },
        "sla": {"window_seconds": 1, "p50_ms": 2, "p95_ms": 3, "p99_ms": 4, "availability_per_million": 5, "errors_per_million": 6,
                "burn_rate_hour_seconds": 7, "burn_rate_min_requests": 8},
        "alerts": {"latency_medium_ms": 1, "latency_high_ms": 2, "min_hit_rate_percent": 3, "max_origin_error_percent": 4, "min_requests": 5,
                   "keep_firing_seconds": 6, "webhook_url": "https://hooks.example.com/a", "webhook_attempts": 7, "webhook_timeout_ms": 8},
        "costs": {"l2_read_cents_per_million": 1, "l2_write_cents_per_million": 2, "origin_call_cents_per_million": 3},
        "telemetry": {"enabled": false, "max_views": 1, "aggregate": true, "binding": "W", "analytics_binding": "A",
                      "traces_url": "http://collector:4318/v1/traces", "trace_sampling_percent": 2,
                      "dashboard_url": "https://grafana.example.com/d/featheredge"},
    })
}

#[test]
fn an_old_key_is_unknown_and_its_error_names_the_new_one() {
    for (table, expected) in [
        (json!({"private_keys": true}), "unknown key `private_keys`; did you mean `pseudonymize_keys`?"),
        (
            json!({"freshness": {"grace_seconds": 1}}),
            "unknown key `freshness.grace_seconds`; did you mean `freshness.stale_if_error_seconds`?",
        ),
        (json!({"optimizer": {"l2": "never"}}), "unknown key `optimizer`; did you mean `l2.read_policy`?"),
        (
            json!({"views": {"trips": {"max_age_seconds": 1}}}),
            "unknown key `views.trips.max_age_seconds`; did you mean `views.NAME.max_event_age_seconds`?",
        ),
    ] {
        assert_eq!(fault(&table), expected);
    }
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    for (table, expected) in [
        (json!({"freshness": {"ttl_second": 1}}), "unknown key `freshness.ttl_second`; did you mean `ttl_seconds`?"),
        (json!({"freshness": {"ttl": 1}}), "unknown key `freshness.ttl`; did you mean `ttl_seconds`?"),
        (json!({"freshnes": {}}), "unknown key `freshnes`; did you mean `freshness`?"),
        (json!({"l1": {"maxEntries": 1}}), "unknown key `l1.maxEntries`; did you mean `max_entries`?"),
        (json!({"l2": {"enabeld": true}}), "unknown key `l2.enabeld`; did you mean `enabled`?"),
        (json!({"origin": {"timeout_seconds": 1}}), "unknown key `origin.timeout_seconds`; did you mean `timeout_ms`?"),
        (json!({"views": {"a": {"join_key": ["id"]}}}), "unknown key `views.a.join_key`; did you mean `join_keys`?"),
        (json!({"views": {"a.b c": {"TTL": 1}}}), "unknown key `views.\"a.b c\".TTL`; did you mean `ttl_seconds`?"),
        (
            json!({"services": {"rides": {"join_keys": ["id"]}}}),
            "unknown key `services.rides`; known here are `membership_ttl_seconds`",
        ),
        (
            json!({"": 1}),
            "unknown key `\"\"`; known here are `project`, `pseudonymize_keys`, `origin`, `l1`, `l2`, `l3`, `memory`, `freshness`, `routing`, `deadlines`, \
              `singleflight`, `breaker`, `load`, `views`, \
              `push_sources`, `feature_services`, `services`, `registry`, `writes`, `auth`, `prefetch`, `native`, `limits`, `sla`, `alerts`, `costs`, `telemetry`",
        ),
    ] {
        assert_eq!(fault(&table), expected);
    }
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_what_is_allowed() {
    for (key, value, expected) in [
        ("limits.depth", json!("64"), "`limits.depth` must be a whole number from 0 to 65535, not `\"64\"`"),
        ("limits.depth", json!(70_000), "`limits.depth` must be a whole number from 0 to 65535, not `70000`"),
        ("l2.timeout_ms", json!(1.5), "`l2.timeout_ms` must be a whole number, 0 or more, not `1.5`"),
        ("l2.timeout_ms", json!(-1), "`l2.timeout_ms` must be a whole number, 0 or more, not `-1`"),
        (
            "l2.timeout_ms",
            json!(u64::MAX),
            "`l2.timeout_ms` must be a whole number, 0 or more, not `18446744073709551615`",
        ),
        ("l2.enabled", json!("yes"), "`l2.enabled` must be `true` or `false`, not `\"yes\"`"),
        ("project", json!(1), "`project` must be a text in quotes, not `1`"),
        ("project", json!(null), "`project` must be a text in quotes, not `null`"),
        ("limits", json!([1, 2, 3]), "`limits` must be a table, not `[…]`"),
        ("views", json!("v"), "`views` must be a table, not `\"v\"`"),
        ("views.v", json!(["id"]), "`views.v` must be a table, not `[…]`"),
        ("views.v.join_keys", json!("id"), "`views.v.join_keys` must be a list, not `\"id\"`"),
        ("views.v.join_keys", json!([]), "`views.v.join_keys` must be a list of at least one column, not `[]`"),
        ("views.v.join_keys", json!(["id", 2]), "`views.v.join_keys[1]` must be a text in quotes, not `2`"),
        ("origin.kind", json!("https"), "`origin.kind` must be one of `synthetic`, `http`, not `https`"),
        ("origin.kind", json!({}), "`origin.kind` must be one of `synthetic`, `http`, not `{…}`"),
    ] {
        assert_eq!(fault(&table_with(key, value)), expected);
    }
    assert_eq!(fault(&json!([])), "the configuration must be a table, not `[…]`");
}

#[test]
fn a_number_out_of_range_is_named_with_its_range() {
    for (key, least, most) in [
        ("origin.timeout_ms", 1, 300_000),
        ("origin.delay_ms", 0, 300_000),
        ("l1.max_entries", 1, 100_000_000),
        ("l1.max_bytes", 1, 3_221_225_472),
        ("l2.ttl_seconds", 60, 31_536_000),
        ("l2.timeout_ms", 1, 300_000),
        ("freshness.ttl_seconds", 0, 31_536_000),
        ("l2.write_interval_ms", 0, 300_000),
        ("auth.jwks_ttl_seconds", 1, 86_400),
        ("auth.clock_skew_seconds", 0, 300),
        ("auth.retry_after_seconds", 1, 3_600),
        ("l3.shards", 1, 256),
        ("writes.visible_within_ms", 0, 300_000),
        ("writes.max_clock_skew_ms", 0, 300_000),
        ("l2.max_writes_per_request", 0, 1_000_000_000),
        ("l3.ttl_seconds", 1, 31_536_000),
        ("l3.timeout_ms", 1, 300_000),
        ("l3.max_shard_bytes", 1_048_576, 10_000_000_000),
        ("l2.max_writes_per_day", 0, 1_000_000_000),
        ("freshness.ttl_jitter_percent", 0, 90),
        ("freshness.stale_while_revalidate_seconds", 0, 31_536_000),
        ("freshness.early_refresh_percent", 0, 1_000),
        ("freshness.max_event_age_seconds", 0, 3_153_600_000),
        ("routing.real_time_max_entities", 0, 10_000_000),
        ("routing.real_time_max_features", 0, 1_000_000),
        ("routing.real_time_deadline_ms", 1, 300_000),
        ("routing.batch_min_entities", 1, 10_000_000),
        ("routing.batch_min_features", 1, 1_000_000),
        ("routing.chunk_rows", 1, 10_000_000),
        ("routing.max_concurrent_chunks", 1, 1_000),
        ("deadlines.default_ms", 1, 300_000),
        ("deadlines.warm_ms", 1, 300_000),
        ("deadlines.soft_percent", 1, 100),
        ("breaker.window_operations", 10, 64),
        ("breaker.failure_percent", 1, 100),
        ("breaker.open_ms", 1, 300_000),
        ("breaker.half_open_probes", 1, 100),
        ("load.max_pending_requests", 1, 1_000_000),
        ("load.max_origin_calls", 1, 10_000),
        ("views.v.max_event_age_seconds", 0, 3_153_600_000),
        ("freshness.stale_if_error_seconds", 0, 31_536_000),
        ("freshness.negative_ttl_seconds", 0, 31_536_000),
        ("views.v.ttl_seconds", 0, 31_536_000),
        ("services.membership_ttl_seconds", 0, 31_536_000),
        ("registry.ttl_seconds", 1, 31_536_000),
        ("prefetch.memory_bytes", 262_144, 268_435_456),
        ("prefetch.half_life_seconds", 1, 31_536_000),
        ("prefetch.max_predictions", 0, 16),
        ("prefetch.max_related_predictions", 0, 8),
        ("prefetch.max_rows_per_request", 0, 100),
        ("prefetch.max_rows_per_second", 0, 100_000),
        ("prefetch.min_precision_percent", 1, 100),
        ("prefetch.cooldown_seconds", 1, 86_400),
        ("prefetch.holdout_percent", 0, 50),
        ("prefetch.persist_interval_seconds", 0, 86_400),
        ("prefetch.latency_value_nanodollars_per_ms", 0, 1_000_000_000),
        ("sla.window_seconds", 1, 777_600),
        ("sla.p99_ms", 1, 300_000),
        ("sla.availability_per_million", 0, 1_000_000),
        ("alerts.max_origin_error_percent", 1, 100),
        ("alerts.webhook_attempts", 1, 20),
        ("costs.origin_call_cents_per_million", 0, 1_000_000_000),
        ("telemetry.max_views", 0, 24),
        ("writes.job_seconds", 0, 86_400),
        ("limits.body_bytes", 1, 1_073_741_824),
        ("limits.entities", 1, 10_000_000),
        ("limits.features", 1, 1_000_000),
        ("limits.cells", 1, 100_000_000),
        ("limits.key_bytes", 1, 1_048_576),
        ("limits.depth", 8, 1_024),
        ("limits.origin_body_bytes", 1, 1_073_741_824),
        ("limits.write_body_bytes", 1, 1_073_741_824),
        ("limits.warm_rows", 1, 10_000_000),
    ] {
        for value in [least, most] {
            parse(&table_with(key, json!(value))).unwrap_or_else(|error| panic!("{error}"));
        }
        for value in [least - 1, most + 1].into_iter().filter(|&value| value >= 0_i64) {
            let expected = format!("`{key}` must be a whole number from {least} to {most}, not `{value}`");
            assert_eq!(fault(&table_with(key, json!(value))), expected);
        }
        let entry = documented().into_iter().find(|entry| entry.key == key.replace(".v.", ".NAME."));
        let allowed = entry.unwrap_or_else(|| panic!("`{key}` is not documented")).allowed;
        assert!(allowed.starts_with(&format!("Range: {least} to {most} ")), "`{key}` is documented as {allowed}");
    }
}

#[test]
fn an_invalid_name_is_rejected() {
    for (key, value) in [
        ("project", json!("")),
        ("project", json!("a\nb")),
        ("project", json!("x".repeat(257))),
        ("l2.key_prefix", json!("")),
        ("l2.key_prefix", json!("a b")),
        ("l2.key_prefix", json!("é")),
        ("l2.key_prefix", json!("x".repeat(65))),
        ("l2.binding", json!("")),
        ("l3.key_prefix", json!("a b")),
        ("l3.binding", json!("MY-OBJECTS")),
        ("l3.invalidation_log_binding", json!("MY-LOG")),
        ("l2.binding", json!("1KV")),
        ("l2.binding", json!("MY-KV")),
        ("native.entity_column", json!("")),
        ("native.default_view", json!("a:b")),
        ("registry.project", json!("")),
        ("views.v.join_keys", json!(["id", ""])),
        ("views.v.sources", json!(["a:b"])),
        ("push_sources.p", json!(["a", ""])),
        ("views.v.join_keys", json!(["id", "id"])),
        ("auth.anonymous_scopes", json!(["reads"])),
        ("auth.default_scopes", json!(["read", "operate"])),
        ("auth.issuer", json!("id.example.com")),
        ("auth.jwks_url", json!("https://user@id.example.com/keys")),
        ("auth.scope_claim", json!("")),
        ("auth.rate_limit_binding", json!("MY-LIMIT")),
        ("auth.cors_origins", json!(["app.example.com"])),
        ("auth.cors_origins", json!(["https://app.example.com/"])),
    ] {
        let message = fault(&table_with(key, value));
        assert!(message.starts_with(&format!("`{key}")), "{message}");
    }
    assert_eq!(
        fault(&json!({"views": {"a:b": {"ttl_seconds": 1}}})),
        "`views.\"a:b\"` must be a view's name, which has no `:`, not `a:b`"
    );
    let twice = "`feature_services.s.join_keys[1]` must be another column than those before it, not `id`";
    assert_eq!(fault(&json!({"feature_services": {"s": {"join_keys": ["id", "id"]}}})), twice);
}

#[test]
fn a_missing_key_is_named() {
    assert_eq!(fault(&json!({"registry": {}})), "missing key `registry.url`");
    assert_eq!(fault(&json!({"feature_services": {"s": {}}})), "missing key `feature_services.s.join_keys`");
    assert_eq!(fault(&json!({"views": {"v": {}}})), "missing key `views.v.join_keys`");
    assert_eq!(fault(&json!({"origin": {"kind": "http"}})), "missing key `origin.url`");
    assert_eq!(fault(&json!({"auth": {"mode": "oidc"}})), "missing key `auth.issuer`");
    let for_nobody = json!({"auth": {"mode": "oidc", "issuer": "https://id.example.com"}});
    assert_eq!(fault(&for_nobody), "missing key `auth.audience`");
    parse(&json!({"views": {"v": {"ttl_seconds": 5}}})).unwrap();
}

#[test]
fn an_origin_has_a_plain_base_url() {
    for url in [
        "http://127.0.0.1:6566",
        "https://feast.example.com",
        "http://feast/",
        "http://feast:80/a/b%20c",
        "http://[::1]",
        "http://[::1]:6566/x",
    ] {
        parse(&table_with("origin.url", json!(url))).unwrap_or_else(|error| panic!("{error}"));
    }
    for url in [
        "",
        "feast:6566",
        "ftp://feast",
        "HTTP:feast",
        "http://",
        "http:///path",
        "http://:80",
        "http://feast:",
        "http://feast:0",
        "http://feast:65536",
        "http://feast:+80",
        "http://fe ast",
        "http://feast/?a=b",
        "http://feast/#a",
        "http://[::1",
        "http://[zz]",
        "http://a:b:80",
        "http://feast\n",
        "http://é",
        "http://feast\\x",
        "file:///etc/passwd",
    ] {
        let message = fault(&table_with("origin.url", json!(url)));
        assert!(message.starts_with("`origin.url` must be a URL "), "{message}");
    }
}

#[test]
fn credentials_in_a_url_are_rejected_and_not_repeated() {
    for key in ["origin.url", "registry.url", "alerts.webhook_url", "telemetry.traces_url", "telemetry.dashboard_url"] {
        for url in ["https://user:hunter2@feast", "user:hunter2@feast", "https://feast/hunter2@"] {
            let message = fault(&table_with(key, json!(url)));
            assert_eq!(message, format!("`{key}` must be a URL without credentials, which belong in a secret"));
        }
    }
    assert_eq!(fault(&json!({"origin": "https://user:hunter2@feast"})), "`origin` must be a table");
}

#[test]
fn a_format_that_hides_unknown_keys_from_a_struct_hides_none() {
    /// As serde-wasm-bindgen does it.
    struct Hiding(Value);
    impl<'de> Deserializer<'de> for Hiding {
        type Error = serde_json::Error;
        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
            self.0.deserialize_any(visitor)
        }
        fn deserialize_struct<V: Visitor<'de>>(
            mut self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, serde_json::Error> {
            self.0.as_object_mut().unwrap().retain(|key, _| fields.contains(&key.as_str()));
            self.0.deserialize_any(visitor)
        }
        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let error = Config::parse(Hiding(json!({"projekt": "p"}))).unwrap_err();
    assert_eq!(error.to_string(), "unknown key `projekt`; did you mean `project`?");
}

#[test]
fn a_table_that_cannot_be_read_says_why() {
    let read = |text: &str| Config::parse(&mut serde_json::Deserializer::from_str(text)).unwrap_err().to_string();
    assert!(read("{").starts_with("the configuration cannot be read: "));
    assert!(read(r#"{"project":"a","project":"b"}"#).contains("the key `project` stands twice"));
    assert!(read(&"[".repeat(100)).contains("nests deeper than 16"));
}

/// A key's entry in `docs/reference/configuration.md`.
struct Entry {
    key: &'static str,
    /// As JSON; `null` where the key is not set.
    default: &'static str,
    /// What follows the default, such as `Range: 1 to 64 operations.`
    allowed: &'static str,
}

fn documented() -> Vec<Entry> {
    let document = include_str!("../../../docs/reference/configuration.md");
    let entries = document.split("\n### `").skip(1).map(|entry| {
        let (key, rest) = entry.split_once("`\n\nDefault: ").unwrap_or_else(|| panic!("no default: {entry}"));
        let (default, allowed) = rest.lines().next().and_then(|line| line.split_once(". ")).unwrap();
        Entry { key, default: if default == "none" { "null" } else { default.trim_matches('`') }, allowed }
    });
    entries.collect()
}

/// The path of each value of a table, and the value's JSON.
fn leaves(path: &str, tree: &Value, leaves: &mut BTreeMap<String, String>) {
    match tree.as_object() {
        Some(table) => {
            for (key, value) in table {
                let key = if matches!(path, "views" | "push_sources" | "feature_services") { "NAME" } else { key };
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                self::leaves(&path, value, leaves);
            }
        }
        None => drop(leaves.insert(path.to_owned(), tree.to_string())),
    }
}

#[test]
fn the_documentation_has_every_key_and_its_default() {
    let (mut keys, mut defaults) = (BTreeMap::new(), BTreeMap::new());
    leaves("", &sample(), &mut keys);
    let with_registry = Config::parse(json!({"registry": {"url": "http://registry"}})).unwrap();
    leaves("", &serde_json::to_value(with_registry).unwrap(), &mut defaults);
    defaults.insert("registry.url".to_owned(), "null".to_owned());
    let documented: BTreeMap<_, _> = documented().into_iter().map(|entry| (entry.key, entry.default)).collect();
    assert_eq!(documented.keys().collect::<Vec<_>>(), keys.keys().collect::<Vec<_>>());
    for (key, default) in documented {
        assert_eq!(default, defaults.get(key).map_or("null", String::as_str), "the default of `{key}`");
    }
}

fn any_tree() -> impl Strategy<Value = Value> {
    let key = "(project|origin|l1|l2|views|limits|depth|url|kind|join_keys|ttl_seconds|registry|[a-z]{0,4})";
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..100_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "(https?://)?[a-z0-9:/@\\[\\]]{0,12}".prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..5)
                .prop_map(|table| Value::Object(table.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_table_brings_the_reader_down(table in any_tree(), key in "(project|origin.url|l2.binding|l2.key_prefix|views.v|registry|limits)") {
        for table in [table_with(&key, table.clone()), table] {
            match parse(&table) {
                Ok(config) => prop_assert_eq!(parse(&serde_json::to_value(&config).unwrap()), Ok(config)),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
