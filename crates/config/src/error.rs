//! What is wrong with a table, in the words of whoever wrote it.

use core::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::path::{segment, shown};

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
    /// The one that has taken its place, with all tables that it stands in.
    Renamed(&'static str),
    /// All of them, since none is spelled like it.
    All(&'static [&'static str]),
}

impl ConfigError {
    pub(super) fn not_allowed(
        path: impl Into<String>,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> ConfigError {
        // What stands before an `@` in a URL is a password, under whatever key the URL was put.
        let found = Some(found.into()).filter(|found| !found.contains('@'));
        ConfigError::NotAllowed { path: path.into(), found, allowed: allowed.into() }
    }

    /// The same error, seen from the table that has the value at fault under `key`.
    #[cold]
    pub(super) fn within_key(self: Box<Self>, key: &str) -> Box<Self> {
        self.within(&segment(key))
    }

    /// The same error, seen from the table or list that has the value at fault as its `segment`.
    pub(super) fn within(mut self: Box<Self>, segment: &str) -> Box<Self> {
        match &mut *self {
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

/// What the derived code finds wrong, seen from the value at fault.
impl de::Error for Box<ConfigError> {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Box::new(ConfigError::Unreadable(message.to_string()))
    }

    /// A `usize` alone says this, where it is narrower than the 64 bits that it asks for.
    #[cold]
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let Unexpected::Unsigned(found) = found else { return Self::invalid_type(found, expected) };
        let allowed = format!("a whole number from 0 to {}", usize::MAX);
        Box::new(ConfigError::not_allowed("", found.to_string(), allowed))
    }

    #[cold]
    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Box::new(ConfigError::not_allowed("", "[]", expected.to_string()))
    }

    #[cold]
    fn unknown_variant(found: &str, allowed: &'static [&'static str]) -> Self {
        Box::new(ConfigError::not_allowed("", shown(found), ["one of `", &allowed.join("`, `"), "`"].concat()))
    }

    #[cold]
    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        let known = nearest(key, known).map_or(Known::All(known), Known::Nearest);
        Box::new(ConfigError::UnknownKey { path: segment(key), known })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::UnknownKey { path, known: Known::Nearest(nearest) | Known::Renamed(nearest) } => {
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
