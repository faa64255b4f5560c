//! Starts a function as Lambda does: in its own folder, with the environment variables that the template gives it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::process::{Child, Command};

use crate::Args;
use crate::cases::Case;
use crate::host::{Event, Host};

/// In a setting's value, stands for the host's address.
pub(crate) const HOST: &str = "HOST";

/// A function's process, and its host.
pub(crate) struct Running {
    child: Child,
    host: Host,
}

impl Running {
    /// Waits for what the function does next, which may be its end.
    pub(crate) async fn next_event(&mut self, timeout: Duration) -> Result<Event> {
        tokio::select! {
            event = self.host.next_event(timeout) => event,
            status = self.child.wait() => bail!("the function ended, {}: see its error above", status?),
        }
    }

    /// The process's peak memory so far, in MiB. It ends then.
    pub(crate) async fn end(mut self) -> Result<f64> {
        let mebibytes = peak_mebibytes(&self.child)?;
        self.child.kill().await?;
        Ok(mebibytes)
    }
}

/// What the template gives each function, by its logical id: the output of `python -m localstack.functions`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Functions(BTreeMap<String, Function>);

#[derive(Debug, Deserialize)]
pub(crate) struct Function {
    /// The memory of its environment, in MB as Lambda counts them (2^20 bytes).
    pub(crate) memory_mb: u32,
    environment: BTreeMap<String, String>,
}

impl Functions {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("can't parse {}", path.display()))
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn get(&self, id: &str) -> Result<&Function> {
        self.0
            .get(id)
            .with_context(|| format!("the template has no function {id}"))
    }
}

impl Function {
    /// Starts the case's function, with the host in place of Lambda and of all other services.
    pub(crate) fn start(&self, args: &Args, case: &Case, host: Host) -> Result<Running> {
        let folder = args.artifacts.join(&case.function);
        let address = host.address.to_string();
        let memory = self.memory_mb.to_string();
        let lambda = [
            ("AWS_LAMBDA_RUNTIME_API", &*address),
            ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
        ];
        let child = Command::new(folder.join("bootstrap"))
            .current_dir(&folder)
            .env_clear()
            .envs(&self.environment)
            .envs(lambda)
            .env("LAMBDA_TASK_ROOT", &folder)
            .env("AWS_ENDPOINT_URL", format!("http://{address}"))
            // The log has the same output as the errors of a start, which are shown.
            .env("LOG_LEVEL", "error")
            .envs(
                case.settings
                    .iter()
                    .map(|(name, value)| (name, value.replace(HOST, &address))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // It has why a function could not start.
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("can't start {}/bootstrap", folder.display()))?;
        Ok(Running { child, host })
    }
}

fn peak_mebibytes(child: &Child) -> Result<f64> {
    let id = child.id().context("the process has ended")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    Ok(kibibytes.context("no VmHWM in /proc")?.trim().parse::<f64>()? / 1024.0)
}
