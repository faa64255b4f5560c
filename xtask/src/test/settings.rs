//! tests/stack.toml: the template's parameters that the test stacks are deployed with, short times above all.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::paths;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
    auth: Option<Auth>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
}

/// CloudFormation takes all parameters as text; the file may be written the natural way.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Value {
    Number(i64),
    Text(String),
}

impl Settings {
    /// A missing file means the template's own defaults.
    pub(super) fn read() -> Result<Self> {
        let path = paths::root().join("tests/stack.toml");
        if !path.exists() {
            return Ok(Self::default());
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("can't read {}", paths::shown(&path)))?;
        toml::from_str(&text).with_context(|| format!("{} is not as it should be", paths::shown(&path)))
    }

    pub(super) fn parameters(&self) -> BTreeMap<String, String> {
        plain(&self.parameters)
    }

    /// The same for the stack that enforces permissions, unless it has its own.
    pub(super) fn auth_parameters(&self) -> BTreeMap<String, String> {
        self.auth
            .as_ref()
            .map_or_else(|| self.parameters(), |auth| plain(&auth.parameters))
    }
}

fn plain(parameters: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
    };
    parameters
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_become_what_cloudformation_takes() {
        let settings: Settings =
            toml::from_str("[parameters]\nRetryBaseSeconds = 1\nLogLevel = \"debug\"").unwrap();
        let parameters = settings.parameters();
        assert_eq!(
            (
                parameters["RetryBaseSeconds"].as_str(),
                parameters["LogLevel"].as_str()
            ),
            ("1", "debug")
        );
        assert_eq!(settings.auth_parameters(), parameters);
        let other: Settings = toml::from_str("[parameters]\nA = 1\n[auth.parameters]\nA = 2").unwrap();
        assert_eq!(other.auth_parameters()["A"], "2");
        assert!(toml::from_str::<Settings>("[parameter]\nA = 1").is_err());
    }
}
