//! Errors of the configuration, in the terms of its file.

use core::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::path::{segment, shown};

/// An error of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// An unknown key.
    UnknownKey {
        /// The path of the key.
        path: String,
        /// The suggested key, or all known keys.
        known: Suggestion,
    },
    /// A required key is missing.
    MissingKey(String),
    /// A value that is not allowed.
    NotAllowed {
        /// The path of the value.
        path: String,
        /// The value; none where it may contain a secret, since others than the operator see errors.
        found: Option<String>,
        /// What is allowed.
        allowed: String,
    },
    /// The table cannot be parsed; the message of its format.
    Unreadable(String),
}

/// A suggestion for an unknown key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suggestion {
    /// The known key with the most similar spelling.
    Nearest(&'static str),
    /// The path of the key that replaced it.
    Renamed(&'static str),
    /// All known keys, since none has a similar spelling.
    All(&'static [&'static str]),
}

impl ConfigError {
    pub(super) fn not_allowed(
        path: impl Into<String>,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> ConfigError {
        // Before an `@` in a URL is a password, whatever the key.
        let found = Some(found.into()).filter(|found| !found.contains('@'));
        ConfigError::NotAllowed { path: path.into(), found, allowed: allowed.into() }
    }

    /// The same error, with `key` prepended to its path.
    #[cold]
    pub(super) fn within_key(self: Box<Self>, key: &str) -> Box<Self> {
        self.within(&segment(key))
    }

    /// The same error, with `segment` prepended to its path.
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

/// Errors of serde's derived code, with paths relative to the value.
impl de::Error for Box<ConfigError> {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Box::new(ConfigError::Unreadable(message.to_string()))
    }

    /// Only a `usize` of 32 bits reports this.
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
        let known = nearest(key, known).map_or(Suggestion::All(known), Suggestion::Nearest);
        Box::new(ConfigError::UnknownKey { path: segment(key), known })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::UnknownKey { path, known: Suggestion::Nearest(nearest) | Suggestion::Renamed(nearest) } => {
                write!(f, "unknown key `{path}`; did you mean `{nearest}`?")
            }
            ConfigError::UnknownKey { path, known: Suggestion::All(known) } => {
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

/// The known key that was probably meant: it begins with the same word (`ttl` for `ttl_seconds`), or its edit distance is small
/// for its length; of several the nearest.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    let candidates = known.iter().filter_map(|&known| {
        let distance = strsim::osa_distance(&key, known);
        let has_same_first_word = key.split('_').next() == known.split('_').next();
        (has_same_first_word || distance * 3 <= key.len().max(known.len())).then_some((distance, known))
    });
    candidates.min().map(|(_, known)| known)
}
