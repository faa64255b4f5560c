//! Error texts for the log, without the data that an error may quote.

use std::error::Error;
use std::fmt::Write;

/// An error's text and those of its sources, joined by `: `.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a string can't fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// A parse error's text without the string that the parser met: serde quotes one where it expected something else, and
/// stored data must not reach the log.
#[must_use]
pub fn redact(error: &(impl ToString + ?Sized)) -> String {
    let text = error.to_string();
    match text.find("string \"").zip(text.rfind("\", expected")) {
        Some((from, to)) if from < to => format!("{}a string{}", &text[..from], &text[to + 1..]),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parse_error_does_not_quote_the_stored_text() {
        let stored = r#"{"input": "say \", expected nothing"}"#;
        let error = serde_json::from_str::<std::collections::HashMap<String, u8>>(stored).unwrap_err();
        assert!(error.to_string().contains("nothing"), "{error}");
        let redacted = redact(&error);
        assert!(
            redacted.starts_with("invalid type: a string, expected u8"),
            "{redacted}"
        );
        assert_eq!(redact("missing field `status`"), "missing field `status`");
    }
}
