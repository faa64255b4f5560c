//! stack.env: the settings of a stack as lines of `NAME=value` that a POSIX shell can source.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// Renders the settings, and quotes values with characters that are special to a shell.
pub(super) fn render(settings: &BTreeMap<String, String>) -> String {
    let lines = settings
        .iter()
        .map(|(name, value)| format!("{name}={}\n", quote(value)));
    lines.collect()
}

/// Parses the output of [`render`].
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, String>> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, value) = line
                .split_once('=')
                .with_context(|| format!("invalid line in stack.env, expected NAME=value: {line}"))?;
            Ok((name.to_owned(), unquote(value)?))
        })
        .collect()
}

fn quote(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,-".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

fn unquote(value: &str) -> Result<String> {
    let Some(rest) = value.strip_prefix('\'') else {
        return Ok(value.to_owned());
    };
    let Some(inner) = rest.strip_suffix('\'') else {
        bail!("missing closing quote in stack.env: {value}")
    };
    Ok(inner.replace(r"'\''", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> BTreeMap<String, String> {
        let pairs = [
            ("URL", "http://127.0.0.1:1/x/$default"),
            ("PLAIN", "a-b_c.d"),
            ("ODD", "it's `this` \"$x\""),
            ("NO", ""),
        ];
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn parsing_reverses_rendering() {
        assert_eq!(parse(&render(&settings())).unwrap(), settings());
        assert!(render(&settings()).contains("PLAIN=a-b_c.d\n"));
    }

    #[test]
    fn a_shell_reads_the_same_values() {
        let script = format!(
            "{}printf '%s|%s|%s|%s' \"$URL\" \"$PLAIN\" \"$ODD\" \"$NO\"",
            render(&settings())
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        let expected = "http://127.0.0.1:1/x/$default|a-b_c.d|it's `this` \"$x\"|";
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}
