//! What stands behind a path.

use std::fmt::Write;

/// What stands behind the path, from its question mark on.
#[derive(Debug, Default)]
pub(crate) struct Query(pub(crate) String);

impl Query {
    pub(crate) fn with(mut self, name: &str, value: Option<impl ToString>) -> Self {
        let Some(value) = value else { return self };
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.push(name);
        self.0.push('=');
        self.push(&value.to_string());
        self
    }

    /// Everything but what RFC 3986, section 2.3, calls unreserved is encoded.
    fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                self.0.push(byte.into());
            } else {
                // Writing to a string does not fail.
                let _ = write!(self.0, "%{byte:02X}");
            }
        }
    }
}
