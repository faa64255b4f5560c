//! Deploying the template to a running local cloud, by the scripts in localstack/.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::place::State;
use crate::llm::MODEL;
use crate::paths;
use crate::process;
use crate::venv::Venv;

const REGION: &str = "us-east-1";

/// The local cloud's root credentials: they open nothing but it.
const CREDENTIALS: &str = "test";

/// Which of the stack's outputs goes into stack.env under which name.
const OUTPUTS: [(&str, &str); 11] = [
    ("TASKS_TABLE", "TasksTable"),
    ("PAYLOAD_BUCKET", "PayloadBucket"),
    ("TEXT_QUEUE_URL", "TextQueueUrl"),
    ("IMAGE_QUEUE_URL", "ImageQueueUrl"),
    ("AUDIO_QUEUE_URL", "AudioQueueUrl"),
    ("LANGUAGE_QUEUE_URL", "LanguageQueueUrl"),
    ("DEAD_LETTER_QUEUE_URL", "DeadLetterQueueUrl"),
    ("JANITOR_FUNCTION", "JanitorFunction"),
    ("STATS_TABLE", "StatsTable"),
    ("REACTOR_FUNCTION", "ReactorFunction"),
    ("LOST_RECORDS_QUEUE_URL", "LostRecordsQueueUrl"),
];

/// What localstack.deploy prints.
#[derive(Debug, Deserialize)]
pub(super) struct Deployed {
    pub(super) url: String,
    outputs: BTreeMap<String, String>,
}

/// The environment with MiniStack and boto3.
pub(crate) fn venv() -> Result<Venv> {
    Venv::ensure("local", &paths::root().join("localstack/requirements.txt"))
}

/// Packages and deploys the artifacts, mends what the local cloud drops, and checks that what runs is what the template
/// says.
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
    command.envs(aws(state)).env("PYTHONDONTWRITEBYTECODE", "1");
    let title = "deploying infra/template.yaml and checking what runs";
    let output = process::run(&mut command, title, &format!("deploy-{name}"))?;
    serde_json::from_str(&output).with_context(|| format!("localstack.deploy printed no JSON: {output}"))
}

/// All that stack.env holds.
pub(super) fn environment(
    state: &State,
    token: &str,
    deployed: &Deployed,
) -> Result<BTreeMap<String, String>> {
    let mut settings = aws(state);
    settings.insert("AI_MESH_URL".to_owned(), deployed.url.clone());
    settings.insert("AI_MESH_TOKEN".to_owned(), token.to_owned());
    if let Some(llm) = state.llm {
        settings.insert("AI_MESH_LLM_URL".to_owned(), llm.base_url());
        settings.insert("AI_MESH_LLM_MODEL".to_owned(), MODEL.to_owned());
    }
    for (variable, output) in OUTPUTS {
        let value = deployed
            .outputs
            .get(output)
            .with_context(|| format!("the template has no output {output}"))?;
        settings.insert(variable.to_owned(), value.clone());
    }
    Ok(settings)
}

fn aws(state: &State) -> BTreeMap<String, String> {
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
