//! A table of any format, read whole, and then taken apart by the types of the configuration.
//!
//! It knows no key. Its invariant: every error names the full path of what is wrong, in the words of a configuration
//! file and not of Rust.

use core::fmt;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;

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

    fn as_unexpected(&self) -> Unexpected<'_> {
        match self {
            Tree::Null => Unexpected::Unit,
            Tree::Boolean(value) => Unexpected::Bool(*value),
            Tree::Integer(value) => Unexpected::Signed(*value),
            Tree::Other(number) => Unexpected::Other(number),
            Tree::Text(text) => Unexpected::Str(text),
            Tree::List(_) => Unexpected::Seq,
            Tree::Table(_) => Unexpected::Map,
        }
    }
}

impl<'de> Deserializer<'de> for &Tree {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Tree::Null => visitor.visit_unit(),
            Tree::Boolean(value) => visitor.visit_bool(*value),
            Tree::Integer(value) => visitor.visit_i64(*value),
            Tree::Other(number) => Err(de::Error::invalid_type(Unexpected::Other(number), &visitor)),
            Tree::Text(text) => visitor.visit_str(text),
            Tree::List(list) => visitor.visit_seq(List { rest: list.iter(), passed: 0 }),
            Tree::Table(table) => visitor.visit_map(Table { rest: table.iter(), entered: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if *self == Tree::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        // serde would read a list as the fields in order. Nor does a struct's visitor come near what reads other values, which
        // would be compiled for each struct.
        match self {
            Tree::Table(table) => visitor.visit_map(Table { rest: table.iter(), entered: None }),
            other => Err(de::Error::invalid_type(other.as_unexpected(), &visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self {
            Tree::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            other => Err(Fault::not_among(variants, in_words(other.as_unexpected()))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

struct List<'a> {
    rest: core::slice::Iter<'a, Tree>,
    passed: usize,
}

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(value) = self.rest.next() else { return Ok(None) };
        let index = self.passed;
        self.passed += 1;
        seed.deserialize(value).map(Some).map_err(|error| error.within(&["[", &index.to_string(), "]"].concat()))
    }
}

struct Table<'a> {
    rest: core::slice::Iter<'a, (String, Tree)>,
    entered: Option<&'a (String, Tree)>,
}

impl<'de> MapAccess<'de> for Table<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.entered = self.rest.next();
        let Some((key, _)) = self.entered else { return Ok(None) };
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, value)) = self.entered.take() else { return Err(de::Error::custom("a value before its key")) };
        seed.deserialize(value).map_err(|error| error.within(&segment(key)))
    }
}

/// The path of `key` in the table at `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    [path, ".", &segment(key)].concat()
}

/// A key as it stands in a path, quoted as TOML has it where it is not bare.
fn segment(key: &str) -> String {
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
pub struct Fault(Box<ConfigError>);

impl Fault {
    /// The same fault, seen from the table or list that has the value as its `segment`.
    fn within(mut self, segment: &str) -> Fault {
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

    fn not_among(allowed: &[&str], found: String) -> Fault {
        Fault(Box::new(ConfigError::not_allowed("", found, ["one of `", &allowed.join("`, `"), "`"].concat())))
    }
}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> ConfigError {
        *fault.0
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for Fault {}

impl de::Error for Fault {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Fault {
        Fault(Box::new(ConfigError::Unreadable(message.to_string())))
    }

    #[cold]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        let expected = expected.to_string();
        let allowed = match expected.as_str() {
            "u16" => ["a whole number from 0 to ", &u16::MAX.to_string()].concat(),
            "usize" => ["a whole number from 0 to ", &usize::MAX.to_string()].concat(),
            "u64" => "a whole number, 0 or more".to_owned(),
            "a string" => "a text in quotes".to_owned(),
            "a boolean" => "`true` or `false`".to_owned(),
            "a map" => "a table".to_owned(),
            of_fields if of_fields.starts_with("struct ") => "a table".to_owned(),
            _ => expected,
        };
        Fault(Box::new(ConfigError::not_allowed("", in_words(found), allowed)))
    }

    #[cold]
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Self::invalid_type(found, expected)
    }

    #[cold]
    fn unknown_variant(found: &str, allowed: &'static [&'static str]) -> Fault {
        Fault::not_among(allowed, shown(found))
    }

    #[cold]
    fn unknown_field(key: &str, known: &'static [&'static str]) -> Fault {
        let known = nearest(key, known).map_or(Known::All(known), Known::Nearest);
        Fault(Box::new(ConfigError::UnknownKey { path: segment(key), known }))
    }

    #[cold]
    fn missing_field(key: &'static str) -> Fault {
        Fault(Box::new(ConfigError::MissingKey(key.to_owned())))
    }
}

fn in_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Other(number) => number.to_owned(),
        Unexpected::Str(text) => ["\"", &shown(text), "\""].concat(),
        Unexpected::Seq => "[…]".to_owned(),
        Unexpected::Map => "{…}".to_owned(),
        Unexpected::Unit => "null".to_owned(),
        _ => "a value of another kind".to_owned(),
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
