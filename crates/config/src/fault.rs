//! What is wrong with a table, in the words of whoever wrote it.

use core::fmt;

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
    pub(super) fn not_allowed(
        path: impl Into<String>,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> ConfigError {
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
