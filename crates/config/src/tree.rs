//! A table of any format, read whole; `read.rs` takes it apart.
//!
//! It knows no key. Its invariant: every error names the full path of what is wrong, in the words of a configuration
//! file and not of Rust.

use core::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{ConfigError, Known};

/// A value of any format.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// Nothing, as where the key is left out.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number that is not whole, or passes 63 bits and so every range of the configuration; as text, to be shown.
    Other(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A table; each key stands once.
    Table(Vec<(String, Tree)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        Branch { depth: 0 }.deserialize(deserializer)
    }
}

/// Reads the values that stand `depth` deep.
#[derive(Clone, Copy)]
struct Branch {
    depth: u8,
}

impl Branch {
    fn next<E: de::Error>(self) -> Result<Branch, E> {
        let depth = self.depth + 1;
        if depth > Tree::MAX_DEPTH {
            Err(E::custom(format_args!("it nests deeper than {}", Tree::MAX_DEPTH)))
        } else {
            Ok(Branch { depth })
        }
    }
}

impl<'de> DeserializeSeed<'de> for Branch {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Branch {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, a boolean, a list or a table")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(i64::try_from(value).map_or_else(|_| Tree::Other(value.to_string()), Tree::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Other(format!("{value:?}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let branch = self.next()?;
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(branch)? {
            list.push(value);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let branch = self.next()?;
        let mut table: Vec<(String, Tree)> = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            if table.iter().any(|(earlier, _)| *earlier == key) {
                return Err(de::Error::custom(format_args!("the key `{}` stands twice", shown(&key))));
            }
            table.push((key, access.next_value_seed(branch)?));
        }
        Ok(Tree::Table(table))
    }
}

impl Tree {
    /// The deepest that a table may nest; the configuration needs four. Some formats set no bound of their own, and
    /// reading is recursive.
    pub const MAX_DEPTH: u8 = 16;

    /// The entries of a table.
    pub(super) fn table(&self) -> Result<&[(String, Tree)], Fault> {
        match self {
            Tree::Table(table) => Ok(table),
            other => Err(Fault::not_allowed(other, "a table")),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Tree::Null => "null".to_owned(),
            Tree::Boolean(value) => value.to_string(),
            Tree::Integer(value) => value.to_string(),
            Tree::Other(number) => number.clone(),
            Tree::Text(text) => ["\"", &shown(text), "\""].concat(),
            Tree::List(_) => "[…]".to_owned(),
            Tree::Table(_) => "{…}".to_owned(),
        }
    }
}

/// The path of `key` in the table at `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    [path, ".", &segment(key)].concat()
}

/// A key as it stands in a path, quoted as TOML has it where it is not bare.
pub(super) fn segment(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(is_bare) { key.to_owned() } else { ["\"", &shown(key), "\""].concat() }
}

/// A text as it can be shown: with what would break its line or hide escaped.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || character == '"' {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// What is wrong, seen from the value at fault; each table around it adds its part of the path. It is boxed, since the
/// code of every step that could fail would grow by the error's size.
#[derive(Debug)]
pub(super) struct Fault(Box<ConfigError>);

impl Fault {
    #[cold]
    pub(super) fn not_allowed(found: &Tree, allowed: impl Into<String>) -> Fault {
        Fault(Box::new(ConfigError::not_allowed("", found.in_words(), allowed)))
    }

    #[cold]
    pub(super) fn not_among(allowed: &[&str], found: &Tree) -> Fault {
        let found = match found {
            Tree::Text(text) => shown(text),
            other => other.in_words(),
        };
        Fault(Box::new(ConfigError::not_allowed("", found, ["one of `", &allowed.join("`, `"), "`"].concat())))
    }

    #[cold]
    pub(super) fn unknown_key(key: &str, known: &'static [&'static str]) -> Fault {
        let known = nearest(key, known).map_or(Known::All(known), Known::Nearest);
        Fault(Box::new(ConfigError::UnknownKey { path: segment(key), known }))
    }

    #[cold]
    pub(super) fn missing_key(key: &str) -> Fault {
        Fault(Box::new(ConfigError::MissingKey(key.to_owned())))
    }

    /// The same fault, seen from the table or list that has the value as its `segment`.
    pub(super) fn within(mut self, segment: &str) -> Fault {
        match self.0.as_mut() {
            ConfigError::UnknownKey { path, .. }
            | ConfigError::MissingKey(path)
            | ConfigError::NotAllowed { path, .. } => {
                let is_joined = path.is_empty() || path.starts_with('[');
                *path = [segment, if is_joined { "" } else { "." }, path].concat();
            }
            ConfigError::Unreadable(_) => {}
        }
        self
    }
}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> ConfigError {
        *fault.0
    }
}

/// The known key that was probably meant: one that begins with the same word (`ttl` for `ttl_seconds`), or that differs by
/// few slips for its length; of several the one with the fewest slips.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    let candidates = known.iter().filter_map(|&known| {
        let slips = strsim::osa_distance(&key, known);
        let begins_alike = key.split('_').next() == known.split('_').next();
        (begins_alike || slips * 3 <= key.len().max(known.len())).then_some((slips, known))
    });
    candidates.min().map(|(_, known)| known)
}
