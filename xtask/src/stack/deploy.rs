//! Deploys the template to a running local cloud, with the scripts in localstack/.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::dir::State;
use crate::llm::Address;
use crate::paths;
use crate::process;
use crate::venv::Venv;

const REGION: &str = "us-east-1";

/// The local cloud's root credentials. They are valid nowhere else.
const CREDENTIALS: &str = "test";

/// The output of localstack.deploy.
#[derive(Debug, Deserialize)]
pub(super) struct Deployed {
    pub(super) url: String,
    outputs: BTreeMap<String, String>,
}

/// The Python environment with MiniStack and boto3.
pub(crate) fn venv() -> Result<Venv> {
    Venv::ensure("local", &paths::root().join("localstack/requirements.txt"))
}

/// Packages and deploys the artifacts, runs the post-deploy steps, and checks the deployed resources against the
/// template.
pub(super) fn run(
    python: &Venv,
    state: &State,
    artifacts: &Path,
    parameters: &BTreeMap<String, String>,
    name: &str,
) -> Result<Deployed> {
    let mut command = process::command(python.bin("python"));
    command
        .args(["-m", "localstack.deploy", "--artifacts"])
        .arg(artifacts);
    for (name, value) in parameters {
        command.arg("--parameter").arg(format!("{name}={value}"));
    }
    command
        .envs(aws_settings(state))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let title = "deploying infra/template.yaml and checking the deployed stack";
    let output = process::run(&mut command, title, &format!("deploy-{name}"))?;
    serde_json::from_str(&output).with_context(|| format!("localstack.deploy did not print JSON: {output}"))
}

/// The settings in stack.env.
pub(super) fn environment(state: &State, token: &str, deployed: &Deployed) -> BTreeMap<String, String> {
    let mut settings = aws_settings(state);
    settings.insert("AI_MESH_URL".to_owned(), deployed.url.clone());
    settings.insert("AI_MESH_TOKEN".to_owned(), token.to_owned());
    settings.extend(state.llm.into_iter().flat_map(Address::settings));
    let outputs = deployed.outputs.iter();
    settings.extend(outputs.map(|(output, value)| (variable_name(output), value.clone())));
    settings
}

/// The name in stack.env of a stack's output: `TASKS_TABLE` for `TasksTable`.
fn variable_name(output: &str) -> String {
    let mut name = String::new();
    for letter in output.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn aws_settings(state: &State) -> BTreeMap<String, String> {
    let pairs = [
        ("AWS_ENDPOINT_URL", state.endpoint()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", CREDENTIALS.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", CREDENTIALS.to_owned()),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_become_upper_case_variables() {
        assert_eq!(variable_name("TasksTable"), "TASKS_TABLE");
        assert_eq!(variable_name("TextLargeQueueUrl"), "TEXT_LARGE_QUEUE_URL");
    }
}
