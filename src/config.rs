//! What an operator sets: one table, parsed once into one [`Config`], with a default for every key.
//!
//! It knows no file format and no host: any serde deserializer will do. Its invariant: a `Config` that [`Config::parse`]
//! returns has every number in its range and every name in its form, so nothing that uses it checks again.
//! `docs/configuration.md` has the same table for people, and a test holds the two together.

mod check;
mod tree;

use core::fmt;
use std::collections::BTreeMap;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

pub(crate) use tree::Tree;

/// The whole table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The scope of all keys: deployments of different projects share a store and never a row.
    pub project: String,
    /// Where features come from that no tier holds.
    pub origin: Origin,
    /// The rows in memory.
    pub l1: L1,
    /// The rows in the distributed store.
    pub l2: L2,
    /// How long a row may be served.
    pub freshness: Freshness,
    /// What is known of feature views, by name.
    pub views: BTreeMap<String, View>,
    /// What is known of feature services, by name.
    pub feature_services: BTreeMap<String, FeatureService>,
    /// How feature services are treated in general.
    pub services: Services,
    /// Feast's registry server, which is asked for the join keys of views that `views` does not tell.
    pub registry: Option<Registry>,
    /// What the native API leaves out of a request.
    pub native: Native,
    /// What is refused, and read no further.
    pub limits: Limits,
}

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
    /// How long one bulk read or write may take, in milliseconds.
    pub timeout_ms: u64,
}

/// `freshness`: how long a row may be served after it was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Freshness {
    /// How long a row is fresh, in seconds. With 0 it never is, and the origin is asked each time.
    pub ttl_seconds: u64,
    /// How long after that it may still be served while nothing fresher can be had, in seconds.
    pub grace_seconds: u64,
    /// How long it is believed that the origin does not know an entity, in seconds.
    pub negative_ttl_seconds: u64,
}

/// `views.NAME`: what is known of a feature view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct View {
    /// The request columns that its rows are keyed by; request data too, for an on-demand view. Where it is left out, the
    /// registry tells, or the whole entity row is the key.
    #[serde(deserialize_with = "at_least_one", skip_serializing_if = "Vec::is_empty")]
    pub join_keys: Vec<String>,
    /// How long its rows are fresh, in seconds, in place of `freshness.ttl_seconds`.
    pub ttl_seconds: Option<u64>,
}

/// `feature_services.NAME`: what is known of a feature service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureService {
    /// The request columns that all of its views together are keyed by.
    #[serde(deserialize_with = "at_least_one")]
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
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Its base URL.
    pub url: String,
    /// The project asked for, where Feast has it under another name than `project`.
    pub project: Option<String>,
    /// How long what it says of join keys is believed, in seconds.
    #[serde(default = "registry_ttl_seconds")]
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

/// `limits`: what is refused, and read no further. They are checked before memory is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
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
}

impl Default for Config {
    fn default() -> Self {
        Config {
            project: "default".to_owned(),
            origin: Origin::default(),
            l1: L1::default(),
            l2: L2::default(),
            freshness: Freshness::default(),
            views: BTreeMap::new(),
            feature_services: BTreeMap::new(),
            services: Services::default(),
            registry: None,
            native: Native::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Origin {
    fn default() -> Self {
        Origin { kind: OriginKind::Synthetic, url: None, timeout_ms: 5_000, delay_ms: 10 }
    }
}

impl Default for L1 {
    fn default() -> Self {
        // The entries are the seed's; the bytes are half of the 128 MB that a Worker has in all.
        L1 { max_entries: 10_000, max_bytes: 64 << 20 }
    }
}

impl Default for L2 {
    fn default() -> Self {
        L2 {
            enabled: true,
            ttl_seconds: 3_600,
            key_prefix: "features".to_owned(),
            binding: "FEATURES".to_owned(),
            timeout_ms: 500,
        }
    }
}

impl Default for Freshness {
    fn default() -> Self {
        Freshness { ttl_seconds: 300, grace_seconds: 3_600, negative_ttl_seconds: 30 }
    }
}

impl Default for Services {
    fn default() -> Self {
        Services { membership_ttl_seconds: 300 }
    }
}

const fn registry_ttl_seconds() -> u64 {
    300
}

impl Default for Native {
    fn default() -> Self {
        Native { entity_column: "entity_id".to_owned(), default_view: "features".to_owned() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 1 << 20,
            entities: 10_000,
            features: 1_000,
            cells: 100_000,
            key_bytes: 4_096,
            depth: 64,
            origin_body_bytes: 64 << 20,
        }
    }
}

impl Config {
    /// Reads the table and checks it.
    ///
    /// # Errors
    /// The first thing that is wrong: a key that is unknown or missing, a value of the wrong type or out of range.
    pub fn parse<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Config, ConfigError> {
        // By way of a tree, since some deserializers show a struct only the keys that it knows, and so
        // `deny_unknown_fields` nothing to deny.
        let tree = Tree::deserialize(deserializer).map_err(|error| ConfigError::Unreadable(error.to_string()))?;
        Config::from_tree(&tree)
    }

    /// Reads the table from values that a host has taken apart, and checks it.
    pub(crate) fn from_tree(tree: &Tree) -> Result<Config, ConfigError> {
        let config = Config::deserialize(tree)?;
        config.validate()?;
        Ok(config)
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first value that is not allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check::config(self)
    }
}

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A key that means nothing here.
    UnknownKey {
        /// The key with all tables that it stands in.
        path: String,
        /// What was probably meant, or else every key that has a meaning here.
        known: Known,
    },
    /// A key that must be set is not.
    MissingKey(String),
    /// A value that is not allowed.
    NotAllowed {
        /// The value's key with all tables that it stands in.
        path: String,
        /// The value; none where it may hold a secret, since errors are shown to others than the operator.
        found: Option<String>,
        /// What is allowed.
        allowed: String,
    },
    /// The table itself could not be read; the format's own words.
    Unreadable(String),
}

/// The keys that have a meaning where an unknown one stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// The one that is spelled most like it.
    Nearest(&'static str),
    /// All of them, since none is spelled like it.
    All(&'static [&'static str]),
}

impl ConfigError {
    fn not_allowed(path: impl Into<String>, found: impl Into<String>, allowed: impl Into<String>) -> ConfigError {
        // What stands before an `@` in a URL is a password, under whatever key the URL was put.
        let found = Some(found.into()).filter(|found| !found.contains('@'));
        ConfigError::NotAllowed { path: path.into(), found, allowed: allowed.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::UnknownKey { path, known: Known::Nearest(nearest) } => {
                write!(f, "unknown key `{path}`; did you mean `{nearest}`?")
            }
            ConfigError::UnknownKey { path, known: Known::All(known) } => {
                write!(f, "unknown key `{path}`; known here are `{}`", known.join("`, `"))
            }
            ConfigError::MissingKey(path) => write!(f, "missing key `{path}`"),
            ConfigError::NotAllowed { path, found, allowed } => {
                match path.as_str() {
                    "" => f.write_str("the configuration")?,
                    path => write!(f, "`{path}`")?,
                }
                write!(f, " must be {allowed}")?;
                found.as_ref().map_or(Ok(()), |found| write!(f, ", not `{found}`"))
            }
            ConfigError::Unreadable(message) => write!(f, "the configuration cannot be read: {message}"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// A list that is there and yet empty is a mistake: leaving it out means something else.
fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Columns;
    impl<'de> Visitor<'de> for Columns {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of at least one column")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut columns = Vec::new();
            while let Some(column) = list.next_element()? {
                columns.push(column);
            }
            if columns.is_empty() { Err(de::Error::invalid_value(de::Unexpected::Seq, &self)) } else { Ok(columns) }
        }
    }
    deserializer.deserialize_seq(Columns)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn parse(table: &Value) -> Result<Config, ConfigError> {
        Config::parse(table)
    }

    /// What is wrong with the table, in words.
    fn fault(table: &Value) -> String {
        parse(table).expect_err(&table.to_string()).to_string()
    }

    /// A table with `value` at the path `key`, and what its neighbours need.
    fn table_with(key: &str, value: Value) -> Value {
        let mut whole = json!({
            "origin": {"kind": "http", "url": "http://origin"},
            "registry": {"url": "http://registry"},
            "views": {"v": {"join_keys": ["id"]}}
        });
        let place = key.split('.').fold(&mut whole, |table, part| &mut table[part]);
        *place = value;
        whole
    }

    #[test]
    fn the_built_in_origin_takes_no_url() {
        assert_eq!(
            fault(&json!({"origin": {"url": "http://feast:6566"}})),
            "`origin.kind` must be `http` where `origin.url` is set, not `synthetic`"
        );
    }

    #[test]
    fn an_empty_table_is_the_default() {
        assert_eq!(parse(&json!({})), Ok(Config::default()));
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(
            parse(&json!({"origin": {}, "l1": {}, "views": {}, "limits": {}, "registry": null})),
            Ok(Config::default())
        );
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
            config.views["driver_stats"],
            View { join_keys: vec!["driver_id".to_owned()], ttl_seconds: Some(60) }
        );
        assert_eq!(config.limits.depth, 32);
    }

    /// A table with every key, none at its default.
    fn sample() -> Value {
        json!({
            "project": "rides",
            "origin": {"kind": "http", "url": "https://feast.example.com:6566/api", "timeout_ms": 1, "delay_ms": 0},
            "l1": {"max_entries": 7, "max_bytes": 8},
            "l2": {"enabled": false, "ttl_seconds": 60, "key_prefix": "a/b:c", "binding": "KV_2", "timeout_ms": 9},
            "freshness": {"ttl_seconds": 0, "grace_seconds": 1, "negative_ttl_seconds": 2},
            "views": {"driver_stats": {"join_keys": ["driver_id"], "ttl_seconds": 60}},
            "feature_services": {"activity": {"join_keys": ["driver_id", "city"]}},
            "services": {"membership_ttl_seconds": 3},
            "registry": {"url": "http://[::1]:6572", "project": "demo", "ttl_seconds": 4},
            "native": {"entity_column": "user", "default_view": "profile"},
            "limits": {
                "body_bytes": 11, "entities": 12, "features": 13, "cells": 14, "key_bytes": 15, "depth": 32, "origin_body_bytes": 17,
            },
        })
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_right_one() {
        for (table, expected) in [
            (
                json!({"freshness": {"ttl_second": 1}}),
                "unknown key `freshness.ttl_second`; did you mean `ttl_seconds`?",
            ),
            (json!({"freshness": {"ttl": 1}}), "unknown key `freshness.ttl`; did you mean `ttl_seconds`?"),
            (json!({"freshnes": {}}), "unknown key `freshnes`; did you mean `freshness`?"),
            (json!({"l1": {"maxEntries": 1}}), "unknown key `l1.maxEntries`; did you mean `max_entries`?"),
            (json!({"l2": {"enabeld": true}}), "unknown key `l2.enabeld`; did you mean `enabled`?"),
            (
                json!({"origin": {"timeout_seconds": 1}}),
                "unknown key `origin.timeout_seconds`; did you mean `timeout_ms`?",
            ),
            (
                json!({"views": {"a": {"join_key": ["id"]}}}),
                "unknown key `views.a.join_key`; did you mean `join_keys`?",
            ),
            (json!({"views": {"a.b c": {"TTL": 1}}}), "unknown key `views.\"a.b c\".TTL`; did you mean `ttl_seconds`?"),
            (
                json!({"services": {"rides": {"join_keys": ["id"]}}}),
                "unknown key `services.rides`; known here are `membership_ttl_seconds`",
            ),
            (
                json!({"": 1}),
                "unknown key `\"\"`; known here are `project`, `origin`, `l1`, `l2`, `freshness`, `views`, \
              `feature_services`, `services`, `registry`, `native`, `limits`",
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
            (
                "views.v.join_keys",
                json!("id"),
                "`views.v.join_keys` must be a list of at least one column, not `\"id\"`",
            ),
            ("views.v.join_keys", json!([]), "`views.v.join_keys` must be a list of at least one column, not `[…]`"),
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
            ("freshness.grace_seconds", 0, 31_536_000),
            ("freshness.negative_ttl_seconds", 0, 31_536_000),
            ("views.v.ttl_seconds", 0, 31_536_000),
            ("services.membership_ttl_seconds", 0, 31_536_000),
            ("registry.ttl_seconds", 1, 31_536_000),
            ("limits.body_bytes", 1, 1_073_741_824),
            ("limits.entities", 1, 10_000_000),
            ("limits.features", 1, 1_000_000),
            ("limits.cells", 1, 100_000_000),
            ("limits.key_bytes", 1, 1_048_576),
            ("limits.depth", 8, 1_024),
            ("limits.origin_body_bytes", 1, 1_073_741_824),
        ] {
            for value in [least, most] {
                parse(&table_with(key, json!(value))).unwrap_or_else(|error| panic!("{error}"));
            }
            for value in [least - 1, most + 1].into_iter().filter(|&value| value >= 0_i64) {
                let expected = format!("`{key}` must be a whole number from {least} to {most}, not `{value}`");
                assert_eq!(fault(&table_with(key, json!(value))), expected);
            }
            let row = documented().into_iter().find(|row| row.key == key.replace(".v.", ".NAME."));
            let range = row.unwrap_or_else(|| panic!("`{key}` is not documented")).range;
            assert!(range.ends_with(&format!("{least} to {most}")), "`{key}` is documented as {range}");
        }
    }

    #[test]
    fn a_name_has_its_form() {
        for (key, value) in [
            ("project", json!("")),
            ("project", json!("a\nb")),
            ("project", json!("x".repeat(257))),
            ("l2.key_prefix", json!("")),
            ("l2.key_prefix", json!("a b")),
            ("l2.key_prefix", json!("é")),
            ("l2.key_prefix", json!("x".repeat(65))),
            ("l2.binding", json!("")),
            ("l2.binding", json!("1KV")),
            ("l2.binding", json!("MY-KV")),
            ("native.entity_column", json!("")),
            ("native.default_view", json!("a:b")),
            ("registry.project", json!("")),
            ("views.v.join_keys", json!(["id", ""])),
            ("views.v.join_keys", json!(["id", "id"])),
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
    fn a_table_without_what_it_needs_names_it() {
        assert_eq!(fault(&json!({"registry": {}})), "missing key `registry.url`");
        assert_eq!(fault(&json!({"feature_services": {"s": {}}})), "missing key `feature_services.s.join_keys`");
        assert_eq!(fault(&json!({"views": {"v": {}}})), "missing key `views.v.join_keys`");
        assert_eq!(fault(&json!({"origin": {"kind": "http"}})), "missing key `origin.url`");
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
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        for key in ["origin.url", "registry.url"] {
            for url in ["https://user:hunter2@feast", "user:hunter2@feast", "https://feast/hunter2@"] {
                let message = fault(&table_with(key, json!(url)));
                assert_eq!(message, format!("`{key}` must be a URL without credentials, which belong in a secret"));
            }
        }
        assert_eq!(fault(&json!({"origin": "https://user:hunter2@feast"})), "`origin` must be a table");
    }

    #[test]
    fn a_format_that_shows_a_struct_only_the_keys_it_knows_hides_no_unknown_key() {
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

    struct Row {
        key: String,
        default: String,
        range: String,
    }

    /// The rows of the table in `docs/configuration.md`.
    fn documented() -> Vec<Row> {
        let rows = include_str!("../docs/configuration.md").lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| {
            let cells: Vec<&str> = row.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
            assert_eq!(cells.len(), 4, "{row}");
            Row {
                key: cells[0].trim_matches('`').to_owned(),
                default: cells[1].trim_matches('`').to_owned(),
                range: cells[2].to_owned(),
            }
        })
        .collect()
    }

    /// The path of each value of a table, and the value's JSON.
    fn leaves(path: &str, tree: &Value, leaves: &mut BTreeMap<String, String>) {
        match tree.as_object() {
            Some(table) => {
                for (key, value) in table {
                    let key = if path == "views" || path == "feature_services" { "NAME" } else { key };
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
        let documented: BTreeMap<String, String> = documented().into_iter().map(|row| (row.key, row.default)).collect();
        assert_eq!(documented.keys().collect::<Vec<_>>(), keys.keys().collect::<Vec<_>>());
        for (key, default) in &documented {
            let actual = defaults.get(key).map_or("null", String::as_str);
            assert_eq!(default, if actual == "null" { "-" } else { actual }, "the default of `{key}`");
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
}
