//! What is printed, and where: answers on standard output, everything else on standard error. Colours and cutting to
//! the width are for terminals alone, and text of others never reaches one with its control characters.

use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use serde::Serialize;

/// Where the answers go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Answers are JSON, a value a line.
    pub(crate) json: bool,
    pub(crate) is_terminal: bool,
    /// One whose cursor can be sent to and fro.
    pub(crate) has_cursor: bool,
    has_colours: bool,
}

/// How a text is meant.
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
    /// Its code of ECMA-48's SGR.
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
        // https://no-color.org: any value but an empty one.
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            json,
            is_terminal,
            has_cursor: is_terminal && !is_dumb,
            has_colours: is_terminal && !is_plain && !is_dumb,
        }
    }

    /// How many columns a line may have; none where nobody looks.
    pub(crate) fn width(&self) -> Option<usize> {
        if !self.is_terminal {
            return None;
        }
        let (columns, _) = crossterm::terminal::size().ok()?;
        Some(usize::from(columns).max(20))
    }

    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if self.has_colours && style != Style::Plain {
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

    /// One value, on a line of its own.
    pub(crate) fn value(&self, value: &impl Serialize) -> Result<()> {
        self.json_text(serde_json::to_string(value)?)
    }

    /// One value, on as many lines as it takes to be read.
    pub(crate) fn pretty(&self, value: &impl Serialize) -> Result<()> {
        self.json_text(serde_json::to_string_pretty(value)?)
    }

    fn json_text(&self, mut text: String) -> Result<()> {
        if self.is_terminal {
            text = escaped(&text);
        }
        text.push('\n');
        self.raw(text.as_bytes())?;
        Ok(())
    }

    /// A word to the person, which is no answer: that nobody reads it changes nothing of how the program ends.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    pub(crate) fn complain(&self, text: &str) {
        self.note(&format!("mesh: {}", clean(text)));
    }
}

/// The text on one line: what would move a terminal's cursor, or colour it, becomes a space.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The same JSON without the control characters that JSON lets stand in a string: DEL, and those of C1, by which a terminal
/// can be told as much as by ESC.
pub(crate) fn escaped(json: &str) -> String {
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
    fn escaped_json_says_the_same_without_a_control_character() {
        let value = serde_json::json!({ "te\u{9b}xt": "a\u{7f}\u{80}\u{9f}\u{a0}é\u{1b}[2J\"\\" });
        let text = escaped(&value.to_string());
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.contains("te\\u009bxt"), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), Some(value));
    }
}
