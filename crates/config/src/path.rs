//! Paths of values in the table, and how keys and texts are displayed in errors.

/// The path of `key` in the table at `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    [path, ".", &segment(key)].concat()
}

/// A key in a path, quoted as in TOML where it is not bare.
pub(super) fn segment(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(is_bare) { key.to_owned() } else { ["\"", &shown(key), "\""].concat() }
}

/// A text for display, with control characters escaped.
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
