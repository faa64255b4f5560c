//! Prints results on standard output and everything else on standard error. Only a terminal gets colors and lines that
//! are cut to its width. Text from elsewhere never reaches a terminal with control characters in it.

use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use serde::Serialize;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Print results as JSON, one value per line.
    pub(crate) json: bool,
    pub(crate) is_terminal: bool,
    /// Standard output is a terminal that can move its cursor.
    pub(crate) has_cursor: bool,
    has_colors: bool,
}

/// What a text expresses, which decides its color.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Plain,
    Good,
    Bad,
    Busy,
    Faint,
    Bold,
}

impl Style {
    /// The parameter of ECMA-48's SGR sequence.
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Busy => "33",
            Self::Faint => "2",
            Self::Bold => "1",
        }
    }
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        let is_terminal = io::stdout().is_terminal();
        // https://no-color.org: any value except an empty one.
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            json,
            is_terminal,
            has_cursor: is_terminal && !is_dumb,
            has_colors: is_terminal && !is_plain && !is_dumb,
        }
    }

    /// How many columns a line may have; `None` if standard output is not a terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        if !self.is_terminal {
            return None;
        }
        let (columns, _) = crossterm::terminal::size().ok()?;
        Some(usize::from(columns).max(20))
    }

    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if self.has_colors && style != Style::Plain {
            format!("\x1b[{}m{text}\x1b[0m", style.code())
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn line(&self, text: impl Display) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    pub(crate) fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Prints a value as JSON on one line.
    pub(crate) fn value(&self, value: &impl Serialize) -> Result<()> {
        self.json_text(serde_json::to_string(value)?)
    }

    /// Prints a value as indented JSON.
    pub(crate) fn pretty(&self, value: &impl Serialize) -> Result<()> {
        self.json_text(serde_json::to_string_pretty(value)?)
    }

    fn json_text(&self, mut text: String) -> Result<()> {
        if self.is_terminal {
            text = escape_controls(&text);
        }
        text.push('\n');
        self.raw(text.as_bytes())?;
        Ok(())
    }

    /// Prints a message on standard error. A closed standard error is not a failure.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    pub(crate) fn error(&self, text: &str) {
        self.note(&format!("mesh: {}", replace_controls(text)));
    }
}

/// Replaces control characters by spaces, so that a text cannot move the terminal's cursor or change its colors.
pub(crate) fn replace_controls(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Escapes the control characters that JSON allows in a string: DEL and those of C1, which control a terminal as ESC
/// does.
pub(crate) fn escape_controls(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, '\u{7f}'..='\u{9f}') {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_json_has_the_same_value_and_no_control_characters() {
        let value = serde_json::json!({ "te\u{9b}xt": "a\u{7f}\u{80}\u{9f}\u{a0}é\u{1b}[2J\"\\" });
        let text = escape_controls(&value.to_string());
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.contains("te\\u009bxt"), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), Some(value));
    }
}
