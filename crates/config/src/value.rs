//! A configuration value of any format: read in full, and then deserialized by serde.
//!
//! It knows no key. Invariant: every error has the full path of its value, in the terms of a configuration
//! file and not of Rust.

use core::fmt;
use core::iter::Enumerate;
use core::slice::Iter;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor, value::StrDeserializer,
};

use crate::ConfigError;
use crate::path::shown;

/// A value of any format.
pub(super) enum ConfigValue {
    /// Null, like an omitted key.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A number that is no integer, or exceeds 63 bits and so every range; as text, for display.
    Other(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<ConfigValue>),
    /// A table; each key occurs once.
    Table(Vec<(String, ConfigValue)>),
}

/// The deepest that a table may nest; the configuration needs four. Some formats set no bound of their own, and
/// reading is recursive.
const MAX_DEPTH: u8 = 16;

impl<'de> Deserialize<'de> for ConfigValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ConfigValue, D::Error> {
        ValueVisitor { depth: 0 }.deserialize(deserializer)
    }
}

/// Reads values at nesting `depth`.
#[derive(Clone, Copy)]
struct ValueVisitor {
    depth: u8,
}

impl ValueVisitor {
    fn next<E: de::Error>(self) -> Result<ValueVisitor, E> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            Err(E::custom(format_args!("it nests deeper than {MAX_DEPTH}")))
        } else {
            Ok(ValueVisitor { depth })
        }
    }
}

impl<'de> DeserializeSeed<'de> for ValueVisitor {
    type Value = ConfigValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ConfigValue, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = ConfigValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, a boolean, a list or a table")
    }

    fn visit_unit<E>(self) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Null)
    }

    fn visit_none<E>(self) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<ConfigValue, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<ConfigValue, E> {
        Ok(i64::try_from(value).map_or_else(|_| ConfigValue::Other(value.to_string()), ConfigValue::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Other(format!("{value:?}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<ConfigValue, A::Error> {
        let reader = self.next()?;
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(reader)? {
            list.push(value);
        }
        Ok(ConfigValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<ConfigValue, A::Error> {
        let reader = self.next()?;
        let mut table: Vec<(String, ConfigValue)> = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            if table.iter().any(|(earlier, _)| *earlier == key) {
                return Err(de::Error::custom(format_args!("the key `{}` stands twice", shown(&key))));
            }
            table.push((key, access.next_value_seed(reader)?));
        }
        Ok(ConfigValue::Table(table))
    }
}

/// The error is boxed, since the code of every step that could fail would grow by its size.
type Result<T, E = Box<ConfigError>> = core::result::Result<T, E>;

impl ConfigValue {
    fn describe(&self) -> String {
        match self {
            ConfigValue::Null => "null".to_owned(),
            ConfigValue::Boolean(value) => value.to_string(),
            ConfigValue::Integer(value) => value.to_string(),
            ConfigValue::Other(number) => number.clone(),
            ConfigValue::Text(text) => ["\"", &shown(text), "\""].concat(),
            ConfigValue::List(_) => "[…]".to_owned(),
            ConfigValue::Table(_) => "{…}".to_owned(),
        }
    }

    #[cold]
    fn is_not(&self, allowed: &str) -> Box<ConfigError> {
        Box::new(ConfigError::not_allowed("", self.describe(), allowed))
    }

    #[inline(never)]
    fn whole_number<T: TryFrom<i64>>(&self, allowed: &str) -> Result<T> {
        let number = match self {
            ConfigValue::Integer(number) => T::try_from(*number).ok(),
            _ => None,
        };
        number.ok_or_else(|| self.is_not(allowed))
    }

    fn table(&self) -> Result<&[(String, ConfigValue)]> {
        let ConfigValue::Table(table) = self else { return Err(self.is_not("a table")) };
        Ok(table)
    }

    #[inline(never)]
    fn table_of(&self, keys: &'static [&'static str]) -> Result<&[(String, ConfigValue)]> {
        let table = self.table()?;
        let unknown = table.iter().find(|(key, _)| !keys.contains(&key.as_str()));
        unknown.map_or(Ok(table), |(key, _)| Err(de::Error::unknown_field(key, keys)))
    }
}

/// Deserializes each type, or reports what it expects.
impl<'de> Deserializer<'de> for &'de ConfigValue {
    type Error = Box<ConfigError>;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            ConfigValue::Null => visitor.visit_unit(),
            ConfigValue::Boolean(value) => visitor.visit_bool(*value),
            ConfigValue::Integer(value) => visitor.visit_i64(*value),
            ConfigValue::Other(text) | ConfigValue::Text(text) => visitor.visit_str(text),
            ConfigValue::List(_) => self.deserialize_seq(visitor),
            ConfigValue::Table(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let ConfigValue::Boolean(value) = self else { return Err(self.is_not("`true` or `false`")) };
        visitor.visit_bool(*value)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u16(self.whole_number("a whole number from 0 to 65535")?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u32(self.whole_number("a whole number from 0 to 4294967295")?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u64(self.whole_number("a whole number, 0 or more")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let ConfigValue::Text(text) = self else { return Err(self.is_not("a text in quotes")) };
        visitor.visit_str(text)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if matches!(self, ConfigValue::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let ConfigValue::List(list) = self else { return Err(self.is_not("a list")) };
        visitor.visit_seq(Items(list.iter().enumerate()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_map(Entries { entries: self.table()?.iter(), entry: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_seq(Fields { table: self.table_of(fields)?, fields: fields.iter() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self {
            ConfigValue::Text(text) => visitor.visit_enum(StrDeserializer::new(text)),
            other => Err(de::Error::unknown_variant(&other.describe(), variants)),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u128 f32 f64 char str bytes byte_buf unit unit_struct newtype_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// The values of a table in the order of the fields that they are for, which must all have defaults: the derived code takes
/// the default for each that is `None` here. What it does by key is compiled for each field, 6 KB gzipped.
struct Fields<'de> {
    table: &'de [(String, ConfigValue)],
    fields: Iter<'static, &'static str>,
}

impl<'de> Fields<'de> {
    #[inline(never)]
    fn next(&mut self) -> Option<&'de (String, ConfigValue)> {
        let field = self.fields.next()?;
        self.table.iter().find(|(key, _)| key == field)
    }
}

impl<'de> SeqAccess<'de> for Fields<'de> {
    type Error = Box<ConfigError>;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.next().map(|(key, value)| of_field(seed, key, value)).transpose()
    }
}

/// One function for each type of value: V8 compiles only functions that are called, and most tables have few of their keys.
#[inline(never)]
fn of_field<'de, T: DeserializeSeed<'de>>(seed: T, key: &str, value: &'de ConfigValue) -> Result<T::Value> {
    seed.deserialize(value).map_err(|error| error.within_key(key))
}

/// The entries of a table; `entry` is the one whose key was given last.
struct Entries<'de> {
    entries: Iter<'de, (String, ConfigValue)>,
    entry: Option<&'de (String, ConfigValue)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Box<ConfigError>;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.entry = self.entries.next();
        self.entry.map(|(key, _)| seed.deserialize(StrDeserializer::new(key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let (key, value) = self.entry.map_or(("", &ConfigValue::Null), |(key, value)| (key, value));
        seed.deserialize(value).map_err(|error| error.within_key(key))
    }
}

/// The values of a list.
struct Items<'de>(Enumerate<Iter<'de, ConfigValue>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Box<ConfigError>;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some((index, value)) = self.0.next() else { return Ok(None) };
        seed.deserialize(value).map(Some).map_err(|error| error.within(&["[", &index.to_string(), "]"].concat()))
    }
}
