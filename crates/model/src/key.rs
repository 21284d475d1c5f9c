//! Canonical keys: namespace, view and entity of a row. Invariant: two different rows never share a key.
//!
//! A key is a [`KeySpace`] (namespace, view, names of the key columns) followed by the entity's values. Every part is written
//! with its kind and its length, so no separator inside a value can forge another key, and `1`, `"1"` and `true` differ.

use core::fmt;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::row::ALLOCATION;
use crate::short_copy;
use crate::sort::sorted;

/// Whose rows: those of a project, or of one caller, where the origin answers callers differently.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace {
    project: Rc<str>,
    caller: Option<Rc<str>>,
}

impl Namespace {
    /// The namespace of `project`, shared by all its callers.
    #[must_use]
    pub fn project(project: &str) -> Namespace {
        Namespace { project: project.into(), caller: None }
    }

    /// The namespace of one caller in the same project; of all callers where `caller` is empty.
    #[must_use]
    pub fn of_caller(&self, caller: &str) -> Namespace {
        Namespace { project: Rc::clone(&self.project), caller: Some(caller.into()).filter(|_| !caller.is_empty()) }
    }
}

/// What the rows of a key space contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureSource<'a> {
    /// Features of one view; the reference may carry a version, as in `stats@v2`.
    View(&'a str),
    /// Features of several views with unknown join keys; each column is a full reference.
    Views(&'a [&'a str]),
    /// Features of a feature service, each column named as the origin names it.
    Service(&'a str),
}

/// How the origin is asked to name features. Rows of the two styles are kept apart, since some features exist in one only: Feast
/// omits those of on-demand views in Python mode from full names, and short names do not tell the view of a service's member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameStyle {
    /// `feature`.
    Short,
    /// `view__feature`.
    Full,
}

impl From<bool> for NameStyle {
    fn from(is_full: bool) -> NameStyle {
        if is_full { NameStyle::Full } else { NameStyle::Short }
    }
}

/// The part of a key that all entities of one view share.
#[derive(Debug, PartialEq, Eq)]
pub struct KeySpace {
    bytes: Box<[u8]>,
    name: Box<str>,
}

impl KeySpace {
    /// The key space of `source` in `namespace`, keyed by `columns` in the order of their values in its keys.
    #[must_use]
    pub fn new(namespace: &Namespace, source: FeatureSource<'_>, names: NameStyle, columns: &[&str]) -> KeySpace {
        let mut bytes = Vec::with_capacity(64);
        write_part(&mut bytes, b'p', namespace.project.as_bytes());
        if let Some(caller) = &namespace.caller {
            write_part(&mut bytes, b'a', caller.as_bytes());
        }
        let name = match source {
            FeatureSource::View(view) => {
                write_part(&mut bytes, b'v', view.as_bytes());
                view.to_owned()
            }
            FeatureSource::Views(views) => {
                let sorted = sorted(views.iter().copied());
                for view in &sorted {
                    write_part(&mut bytes, b'g', view.as_bytes());
                }
                sorted.join("+")
            }
            FeatureSource::Service(name) => {
                write_part(&mut bytes, b's', name.as_bytes());
                name.to_owned()
            }
        };
        if names == NameStyle::Full {
            bytes.push(b'f');
        }
        for column in columns {
            write_part(&mut bytes, b'c', column.as_bytes());
        }
        // Ends the list of columns, so that no first value can be read as another column.
        bytes.push(b'.');
        KeySpace { bytes: bytes.into(), name: name.into() }
    }

    /// The canonical bytes, which every key of this space begins with.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<KeySpace>() + 3 * ALLOCATION + self.bytes.len() + self.name.len()
    }

    /// The name of the view or service, for display.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// One column of an entity's key, or of the request data that an on-demand view reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityValue<'a> {
    /// A JSON number, as it was written: `1` and `1.0` are two keys, which is always right.
    Number(&'a str),
    /// A string, its escapes resolved.
    Text(&'a str),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`.
    Null,
    /// An array or object, as it was written.
    Json(&'a str),
}

impl EntityValue<'_> {
    /// Appends the value to an entity key.
    pub fn encode(self, key: &mut Vec<u8>) {
        match self {
            EntityValue::Number(text) => write_part(key, b'n', text.as_bytes()),
            EntityValue::Text(text) => write_part(key, b't', text.as_bytes()),
            EntityValue::Boolean(true) => key.push(b'y'),
            EntityValue::Boolean(false) => key.push(b'f'),
            EntityValue::Null => key.push(b'0'),
            EntityValue::Json(text) => write_part(key, b'j', text.as_bytes()),
        }
    }
}

/// Appends a JSON number, as it was written, to an entity key, as [`EntityValue::encode`] does; `following` begins with the text and
/// may continue after it.
#[inline]
pub fn write_number(key: &mut Vec<u8>, text: &[u8], following: &[u8]) {
    if text.len() < 0x80 {
        key.extend_from_slice(&[b'n', text.len() as u8]);
        short_copy::append(key, text, following);
    } else {
        write_part(key, b'n', text);
    }
}

impl<'a> EntityValue<'a> {
    /// Reads the first value of an entity key and advances past it; `None` where there is none.
    pub fn decode(key: &mut &'a [u8]) -> Option<EntityValue<'a>> {
        let (&kind, rest) = key.split_first()?;
        *key = rest;
        match kind {
            b'y' => Some(EntityValue::Boolean(true)),
            b'f' => Some(EntityValue::Boolean(false)),
            b'0' => Some(EntityValue::Null),
            _ => {
                let text = core::str::from_utf8(read_part(key)?).ok()?;
                match kind {
                    b'n' => Some(EntityValue::Number(text)),
                    b't' => Some(EntityValue::Text(text)),
                    b'j' => Some(EntityValue::Json(text)),
                    _ => None,
                }
            }
        }
    }
}

/// The bytes that [`write_part`] wrote after their kind.
fn read_part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0_usize;
    let mut shift = 0;
    loop {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let (part, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(part)
}

#[inline]
fn write_part(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    let mut length = bytes.len();
    while length >= 0x80 {
        // Little-endian base 128, as postcard and protobuf write it; the mask keeps seven bits.
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

/// A secret that shards are chosen by, so that a shard does not reveal which rows it has. All secrets of a deployment have one length.
pub struct ShardSecret(KeySpace);

/// Redacted, wherever it may be logged.
impl fmt::Debug for ShardSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShardSecret")
    }
}

impl ShardSecret {
    /// The secret of this text.
    #[must_use]
    pub fn new(text: &str) -> ShardSecret {
        ShardSecret(KeySpace { bytes: text.as_bytes().into(), name: Box::default() })
    }
}

/// The name of a row in L2 and L3: a prefix and a 128-bit hash, within KV's 512 bytes.
///
/// The hash is the first half of SHA-256, so that a client that chooses entity ids cannot choose collisions. The row itself carries
/// its full key, which is compared on every read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey(Rc<str>);

impl StoreKey {
    /// The store key of `entity` in `space`: `prefix:` and 32 hexadecimal digits.
    #[must_use]
    pub fn new(prefix: &str, space: &KeySpace, entity: &[u8]) -> StoreKey {
        let digest = Sha256::new().chain_update(space.as_bytes()).chain_update(entity).finalize();
        let mut text = String::with_capacity(prefix.len() + 33);
        text.push_str(prefix);
        text.push(':');
        for byte in digest.iter().take(16) {
            for nibble in [byte >> 4, byte & 0xf] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        StoreKey(text.into())
    }

    /// The shard of the key, by its hash, so that shards are filled evenly. With a secret, by a hash of both, which reveals nothing of
    /// the key to those who do not know the secret.
    #[must_use]
    pub fn shard(&self, shards: u32, secret: Option<&ShardSecret>) -> u32 {
        if let Some(ShardSecret(secret)) = secret {
            return StoreKey::new("", secret, self.0.as_bytes()).shard(shards, None);
        }
        // The last digits of the hash; a letter's lower bits count from one, and only letters have the bit of 64.
        let digit = |byte: u8| u32::from((byte & 0xf) + 9 * (byte >> 6));
        let hash = self.0.bytes().rev().take(8).fold(0, |hash, byte| hash << 4 | digit(byte));
        ((u64::from(hash) * u64::from(shards)) >> 32) as u32
    }

    /// The store key of something that is stored for a project beside its rows.
    #[must_use]
    pub fn of_project(prefix: &str, project: &str, what: &str) -> StoreKey {
        // Every key space begins with the kind of a project, and this one does not, so no row has this key.
        let mut bytes = Vec::new();
        write_part(&mut bytes, b'b', what.as_bytes());
        StoreKey::new(prefix, &KeySpace { bytes: bytes.into(), name: Box::default() }, project.as_bytes())
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn full_key(view: &str, columns: &[&str], values: &[EntityValue<'_>]) -> Vec<u8> {
        let mut key = KeySpace::new(&Namespace::project("p"), FeatureSource::View(view), NameStyle::Short, columns)
            .as_bytes()
            .to_vec();
        for value in values {
            value.encode(&mut key);
        }
        key
    }

    #[test]
    fn a_separator_in_a_value_forges_no_other_key() {
        use EntityValue::Text;
        let split = full_key("v", &["a", "b"], &[Text("a"), Text("b:c")]);
        let joined = full_key("v", &["a", "b"], &[Text("a:b"), Text("c")]);
        assert_ne!(split, joined);
        assert_ne!(full_key("v", &["a"], &[Text("x")]), full_key("v", &[], &[Text("a"), Text("x")]));
    }

    #[test]
    fn values_of_different_types_are_different_keys() {
        use EntityValue::{Boolean, Json, Null, Number, Text};
        let values = [
            Number("1"),
            Text("1"),
            Number("1.0"),
            Boolean(true),
            Text("true"),
            Null,
            Text("null"),
            Text(""),
            Json("[1]"),
            Text("[1]"),
        ];
        for (index, left) in values.iter().enumerate() {
            for right in values.iter().skip(index + 1) {
                assert_ne!(full_key("v", &["id"], &[*left]), full_key("v", &["id"], &[*right]), "{left:?} {right:?}");
            }
        }
    }

    #[test]
    fn projects_views_versions_and_services_have_separate_key_spaces() {
        let (one, two) = (Namespace::project("one"), Namespace::project("two"));
        let spaces = [
            KeySpace::new(&one, FeatureSource::View("v"), NameStyle::Short, &["id"]),
            KeySpace::new(&two, FeatureSource::View("v"), NameStyle::Short, &["id"]),
            KeySpace::new(&one, FeatureSource::View("v@v2"), NameStyle::Short, &["id"]),
            KeySpace::new(&one, FeatureSource::Service("v"), NameStyle::Full, &["id"]),
            KeySpace::new(&one, FeatureSource::Service("v"), NameStyle::Short, &["id"]),
            KeySpace::new(&one, FeatureSource::Views(&["v"]), NameStyle::Short, &["id"]),
            KeySpace::new(&one, FeatureSource::View("v"), NameStyle::Short, &["i", "d"]),
            KeySpace::new(&one, FeatureSource::View("v"), NameStyle::Short, &["d", "i"]),
        ];
        for (index, left) in spaces.iter().enumerate() {
            for right in spaces.iter().skip(index + 1) {
                assert_ne!(left.as_bytes(), right.as_bytes());
            }
        }
    }

    #[test]
    fn keys_are_spread_evenly_over_shards() {
        let space = KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]);
        for shards in [1, 8, 10] {
            let mut counts = vec![0; shards as usize];
            for id in 0..1_000_u32 {
                counts[StoreKey::new("f", &space, &id.to_le_bytes()).shard(shards, None) as usize] += 1;
            }
            let even = 1_000 / shards as usize;
            assert!(counts.iter().all(|count| (even * 6 / 10..=even * 14 / 10).contains(count)), "{counts:?}");
        }
    }

    #[test]
    fn with_a_secret_the_shard_of_a_key_reveals_nothing_of_it() {
        const SHARDS: u32 = 8;
        const KEYS: u32 = 8_000;
        let space = KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]);
        let [one, other] = ["one", "two"].map(ShardSecret::new);
        let mut pairs = HashMap::new();
        for id in 0..KEYS {
            let key = StoreKey::new("f", &space, &id.to_le_bytes());
            let by_secret = key.shard(SHARDS, Some(&one));
            assert_eq!(by_secret, key.shard(SHARDS, Some(&ShardSecret::new("one"))));
            for by_another in [key.shard(SHARDS, None), key.shard(SHARDS, Some(&other)) + SHARDS] {
                *pairs.entry((by_secret, by_another)).or_insert(0) += 1;
            }
        }
        // Each shard by the hash, or by another secret, is spread over all.
        let even = KEYS / SHARDS / SHARDS;
        assert_eq!(pairs.len() as u32, 2 * SHARDS * SHARDS);
        assert!(pairs.values().all(|count| (even / 2..even * 2).contains(count)), "{pairs:?}");
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        use EntityValue::{Boolean, Json, Null, Number, Text};
        let long = "x".repeat(300);
        let values =
            [Number("-1.0e5"), Text("a\"é"), Boolean(true), Boolean(false), Null, Json("[1]"), Text(&long), Text("")];
        let mut key = Vec::new();
        values.iter().for_each(|value| value.encode(&mut key));
        let mut rest = key.as_slice();
        assert!(values.iter().all(|value| EntityValue::decode(&mut rest) == Some(*value)) && rest.is_empty());
        for cut in 1..key.len() {
            let mut rest = &key[..cut];
            while EntityValue::decode(&mut rest).is_some() {}
        }
        assert_eq!(
            EntityValue::decode(&mut [b't', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].as_slice()),
            None
        );
    }

    #[test]
    fn a_store_key_stays_short_whatever_the_entity() {
        let space = KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]);
        let mut entity = Vec::new();
        EntityValue::Text(&"x".repeat(100_000)).encode(&mut entity);
        let key = StoreKey::new("features", &space, &entity);
        assert_eq!(key.as_str().len(), "features:".len() + 32);
        assert_ne!(key, StoreKey::new("features", &space, b"other"));
    }
}
