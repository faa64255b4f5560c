//! `mesh doctor`: what stands between here and a working stack, in the order in which it is met.

use std::time::Instant;

use anyhow::Result;
use jiff::Timestamp;
use mesh_client::{Client, Error};
use serde::Serialize;

use crate::args::Global;
use crate::exit::{self, Exit};
use crate::screen::{Screen, Style, clean};
use crate::{config, words};

/// The version of the API that this client was made with.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How far apart two clocks may be, in seconds. A date in HTTP is only as good as a second.
const MAX_SKEW: i64 = 60;

/// What was found out.
#[derive(Serialize)]
struct Finding<'a> {
    check: &'a str,
    ok: bool,
    /// What was seen, or what to do.
    detail: &'a str,
}

/// Prints findings, and keeps how the program is to end.
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
        // The first is what the others may follow from.
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
            .line(format_args!("{word}{check:<9}{}", clean(detail)))?;
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
    let client = match Client::new(&settings.url, &settings.token) {
        Ok(client) => client,
        Err(error) => {
            report.failed("address", &error.to_string(), Exit::Usage)?;
            return Ok(report.exit);
        }
    };
    report.ok("address", &format!("{}, by {}", settings.url, settings.source))?;
    if let Some(file) = settings.token_file.filter(|file| is_open(file)) {
        let told = format!(
            "others can read {}, and the token in it: chmod 600 it",
            file.display()
        );
        report.failed("secrets", &told, Exit::Failed)?;
    }
    if reach(&client, &mut report).await? {
        stack(&client, &mut report).await?;
    }
    Ok(report.exit)
}

/// Whether others than its owner may read it.
fn is_open(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

/// Whether an API answers there.
async fn reach(client: &Client, report: &mut Report<'_>) -> Result<bool> {
    let begun = Instant::now();
    let greeting = match client.greet().await {
        Ok(greeting) => greeting,
        Err(error) => {
            report.failed("reached", &because(&error), Exit::Unavailable)?;
            return Ok(false);
        }
    };
    let took = words::millis(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
    if greeting.health.is_none() {
        let status = greeting.status;
        let told = if matches!(status, 429 | 503) {
            format!("what answers there has no time (status {status}): ask again in a minute")
        } else {
            format!(
                "what answers there is no AI Mesh (status {status}): take the address from the stack's output ApiUrl"
            )
        };
        report.failed("reached", &told, Exit::Unavailable)?;
        return Ok(false);
    }
    report.ok("reached", &format!("in {took}"))?;
    if let Some(date) = greeting.date {
        let skew = Timestamp::now().duration_since(date).as_secs();
        if skew.abs() > MAX_SKEW {
            let side = if skew > 0 { "ahead of" } else { "behind" };
            let told = format!(
                "this machine is {} s {side} the API: let NTP set it, or lists by time and certificates go wrong",
                skew.abs()
            );
            report.failed("clock", &told, Exit::Failed)?;
        } else {
            report.ok("clock", "agrees with the API's")?;
        }
    }
    match client.version().await {
        Ok(version) if version == VERSION => report.ok("version", &format!("API and mesh are {version}"))?,
        Ok(version) => {
            let told =
                format!("the API is {version} and this mesh is {VERSION}: install the one that goes with it");
            report.failed("version", &told, Exit::Failed)?;
        }
        Err(error) => report.failed("version", &exit::in_words(&error), exit::of_client(&error))?,
    }
    Ok(true)
}

/// Whether the token is taken, and whether the stack is well.
async fn stack(client: &Client, report: &mut Report<'_>) -> Result<()> {
    let health = match client.health().await {
        Ok(health) => health,
        Err(error) => {
            let told = exit::in_words(&error);
            let told = match &error {
                Error::Problem(problem) if problem.status == 401 => {
                    format!("{told}; AI_MESH_TOKEN or the profile must hold the stack's own")
                }
                _ => told,
            };
            return report.failed("token", &told, exit::of_client(&error));
        }
    };
    report.ok("token", "is taken")?;
    let failing: Vec<_> = health.checks.iter().filter(|check| !check.ok).collect();
    for check in &failing {
        let error = check.error.as_deref().unwrap_or("does not answer");
        let told = format!(
            "{}: {error}; look at it in the AWS account, and at the API's log",
            check.name
        );
        report.failed("stack", &told, Exit::Unavailable)?;
    }
    if failing.is_empty() {
        let slowest = health.checks.iter().max_by_key(|check| check.latency_ms);
        let slowest = slowest.map_or_else(String::new, |check| {
            format!("; slowest: {}, {}", check.name, words::millis(check.latency_ms))
        });
        report.ok("stack", &format!("{} parts answer{slowest}", health.checks.len()))?;
    }
    Ok(())
}

/// Why nobody answered, to the first cause.
fn because(error: &Error) -> String {
    let mut told = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        source = cause.source();
        if source.is_none() {
            told = format!("{told} ({cause})");
        }
    }
    told
}
