//! Query strings.

use std::fmt::Write;

/// A query string with its question mark; empty without parameters.
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

    /// Percent-encodes everything except the unreserved characters of RFC 3986, section 2.3.
    fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                self.0.push(byte.into());
            } else {
                // Writing to a String never fails.
                let _ = write!(self.0, "%{byte:02X}");
            }
        }
    }
}
