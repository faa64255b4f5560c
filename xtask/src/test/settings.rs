//! tests/stack.toml: the template's parameters for the test stacks and the server's flags, mostly short times.

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
    /// The flags of mesh-server, without their dashes.
    #[serde(default)]
    server: BTreeMap<String, Flag>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Flag {
    /// A flag without a value.
    Set(bool),
    Value(Value),
}

/// CloudFormation takes every parameter as text. The file may have numbers too.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Value {
    Number(i64),
    Text(String),
}

impl Settings {
    /// Reads the file. Without it the template's defaults apply.
    pub(super) fn read() -> Result<Self> {
        let path = paths::root().join("tests/stack.toml");
        if !path.exists() {
            return Ok(Self::default());
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("can't read {}", paths::display(&path)))?;
        toml::from_str(&text).with_context(|| format!("invalid settings in {}", paths::display(&path)))
    }

    pub(super) fn parameters(&self) -> BTreeMap<String, String> {
        as_text(&self.parameters)
    }

    /// The arguments of mesh-server.
    pub(super) fn server_arguments(&self) -> Vec<String> {
        let argument = |(name, flag): (&String, &Flag)| match flag {
            Flag::Set(is_set) => is_set.then(|| format!("--{name}")),
            Flag::Value(value) => Some(format!("--{name}={}", text(value))),
        };
        self.server.iter().filter_map(argument).collect()
    }

    /// The parameters of the stack that enforces permissions: its own, or else the same.
    pub(super) fn auth_parameters(&self) -> BTreeMap<String, String> {
        self.auth
            .as_ref()
            .map_or_else(|| self.parameters(), |auth| as_text(&auth.parameters))
    }
}

fn as_text(parameters: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    parameters
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_strings_become_text_parameters() {
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

    #[test]
    fn the_servers_settings_become_flags() {
        let settings: Settings =
            toml::from_str("[server]\nconcurrency = 2\ncompat = true\nweb-origin = \"https://a.example\"")
                .unwrap();
        let arguments = ["--compat", "--concurrency=2", "--web-origin=https://a.example"];
        assert_eq!(settings.server_arguments(), arguments);
    }
}
