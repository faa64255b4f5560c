//! `mesh doctor`: checks each step on the way to a working stack, in the order in which a request depends on them.

use std::time::Instant;

use anyhow::Result;
use jiff::Timestamp;
use mesh_client::{Client, Error};
use serde::Serialize;

use crate::args::Global;
use crate::exit::{self, Exit};
use crate::screen::{Screen, Style, replace_controls};
use crate::{config, format};

/// The API of the same version matches this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How far the clocks may differ, in seconds. HTTP dates have a resolution of one second.
const MAX_SKEW: i64 = 60;

/// The result of one check.
#[derive(Serialize)]
struct Finding<'a> {
    check: &'a str,
    ok: bool,
    /// What is in order; or what is wrong, and what to do.
    detail: &'a str,
}

/// Prints findings and remembers the exit code.
struct Report<'a> {
    screen: &'a Screen,
    exit: Exit,
}

impl Report<'_> {
    fn ok(&mut self, check: &str, detail: &str) -> Result<()> {
        self.finding(Finding {
            check,
            ok: true,
            detail,
        })
    }

    fn failed(&mut self, check: &str, detail: &str, exit: Exit) -> Result<()> {
        // Later failures may be a consequence of the first one, so its code wins.
        if self.exit == Exit::Done {
            self.exit = exit;
        }
        self.finding(Finding {
            check,
            ok: false,
            detail,
        })
    }

    fn finding(&self, finding: Finding<'_>) -> Result<()> {
        if self.screen.json {
            return self.screen.value(&finding);
        }
        let (word, style) = if finding.ok {
            ("ok", Style::Good)
        } else {
            ("failed", Style::Bad)
        };
        let word = self.screen.paint(style, &format!("{word:<8}"));
        let Finding { check, detail, .. } = finding;
        self.screen
            .line(format_args!("{word}{check:<9}{}", replace_controls(detail)))?;
        Ok(())
    }
}

pub(crate) async fn run(global: &Global, screen: &Screen) -> Result<Exit> {
    let mut report = Report {
        screen,
        exit: Exit::Done,
    };
    let settings = match config::settings(global) {
        Ok(settings) => settings,
        Err(error) => {
            report.failed("address", &format!("{error:#}"), Exit::Usage)?;
            return Ok(report.exit);
        }
    };
    let client = match Client::new(&settings.url, settings.token.secret.expose()) {
        Ok(client) => client,
        Err(error) => {
            report.failed("address", &error.to_string(), Exit::Usage)?;
            return Ok(report.exit);
        }
    };
    report.ok("address", &format!("{}, from {}", settings.url, settings.source))?;
    if let Some(file) = settings.token.file.filter(|file| is_open_to_others(file)) {
        let file = file.display();
        let message = format!("other users can read {file}, and the token in it: run chmod 600 {file}");
        report.failed("secrets", &message, Exit::Failed)?;
    }
    if check_api(&client, &mut report).await? {
        check_stack(&client, &mut report).await?;
    }
    Ok(report.exit)
}

/// Whether the file's mode gives permissions to users other than its owner.
fn is_open_to_others(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

/// Checks whether an API responds at the address, its clock and its version. Returns whether one responds.
async fn check_api(client: &Client, report: &mut Report<'_>) -> Result<bool> {
    let started = Instant::now();
    let probe = match client.probe().await {
        Ok(probe) => probe,
        Err(error) => {
            report.failed("reached", &with_cause(&error), Exit::Unavailable)?;
            return Ok(false);
        }
    };
    let took = format::millis(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
    if probe.health.is_none() {
        let status = probe.status;
        let message = if matches!(status, 429 | 503) {
            format!("the server at this address is busy (status {status}): try again in a minute")
        } else {
            format!(
                "the server at this address is not AI Mesh (status {status}): use the stack's output ApiUrl"
            )
        };
        report.failed("reached", &message, Exit::Unavailable)?;
        return Ok(false);
    }
    report.ok("reached", &format!("in {took}"))?;
    if let Some(date) = probe.date {
        let skew = Timestamp::now().duration_since(date).as_secs();
        if skew.abs() > MAX_SKEW {
            let side = if skew > 0 { "ahead of" } else { "behind" };
            let message = format!(
                "this machine's clock is {} s {side} the API's: synchronize it with NTP",
                skew.abs()
            );
            report.failed("clock", &message, Exit::Failed)?;
        } else {
            report.ok("clock", "agrees with the API's clock")?;
        }
    }
    match client.version().await {
        Ok(version) if version == VERSION => {
            report.ok("version", &format!("the API and mesh are both {version}"))?;
        }
        Ok(version) => {
            let message = format!("the API is {version} and mesh is {VERSION}: install mesh {version}");
            report.failed("version", &message, Exit::Failed)?;
        }
        Err(error) => report.failed("version", &exit::message(&error), exit::from_client_error(&error))?,
    }
    Ok(true)
}

/// Checks whether the API accepts the token and reaches its table, bucket and queues.
async fn check_stack(client: &Client, report: &mut Report<'_>) -> Result<()> {
    let health = match client.health().await {
        Ok(health) => health,
        Err(error) => {
            let message = exit::message(&error);
            let message = match &error {
                Error::Problem(problem) if problem.status == 401 => {
                    format!("{message}; set AI_MESH_TOKEN, --token-file or the profile to this stack's token")
                }
                _ => message,
            };
            return report.failed("token", &message, exit::from_client_error(&error));
        }
    };
    report.ok("token", "is valid")?;
    let failing: Vec<_> = health.checks.iter().filter(|check| !check.ok).collect();
    for check in &failing {
        let error = check.error.as_deref().unwrap_or("no response");
        let message = format!(
            "{}: {error}; check it in the AWS account, and read the API's log",
            check.name
        );
        report.failed("stack", &message, Exit::Unavailable)?;
    }
    if failing.is_empty() {
        let slowest = health.checks.iter().max_by_key(|check| check.latency_ms);
        let slowest = slowest.map_or_else(String::new, |check| {
            format!("; slowest: {}, {}", check.name, format::millis(check.latency_ms))
        });
        report.ok("stack", &format!("{} checks pass{slowest}", health.checks.len()))?;
    }
    Ok(())
}

/// The error and its root cause.
fn with_cause(error: &Error) -> String {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        source = cause.source();
        if source.is_none() {
            message = format!("{message} ({cause})");
        }
    }
    message
}
