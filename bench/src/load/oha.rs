//! Requests at a fixed rate, whether they are answered or not, by oha: <https://github.com/hatoo/oha>.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::children::Started;

/// So many may be under way at once. What is due beyond waits, and its wait counts.
const CONNECTIONS: u32 = 64;
/// A request without an answer after this is an error.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Whoever can't follow the rate answers all the same, later and later: so long at most.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// What is asked again and again.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// With one it is a POST, without a GET.
    pub(crate) body: Option<String>,
    /// The status of a right answer.
    pub(crate) status: u16,
}

/// How the requests fared. Times in ms, from when each was due.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answers {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    /// Answered as they should be.
    pub(crate) right: u32,
    /// Not answered, or otherwise.
    pub(crate) wrong: u32,
    /// Answers a second.
    pub(crate) rate: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    summary: Summary,
    latency_percentiles: BTreeMap<String, Option<f64>>,
    status_code_distribution: BTreeMap<String, u32>,
}

#[derive(Deserialize)]
struct Summary {
    /// Seconds
    total: f64,
}

/// Sends so many requests, so many a second.
pub(crate) fn run(oha: &Path, work: &Path, request: &Request, count: u32, rate: u32) -> Result<Answers> {
    let (output, errors) = (work.join("oha.json"), work.join("oha.log"));
    let mut command = Command::new(oha);
    command
        .args(["--no-tui", "--output-format", "json", "--latency-correction"])
        .args(["--worker-threads", "1", "--redirect", "0"])
        .args([
            "-c",
            &CONNECTIONS.to_string(),
            "-t",
            &format!("{}s", TIMEOUT.as_secs()),
        ])
        .args(["-n", &count.to_string(), "-q", &rate.to_string()]);
    for (name, value) in &request.headers {
        command.arg("-H").arg(format!("{name}: {value}"));
    }
    if let Some(body) = &request.body {
        command.args(["-m", "POST", "-T", "application/json", "-d", body]);
    }
    command.arg(&request.url);
    let status = Started::spawn("oha", &mut command, &output, &errors)?.wait(LONGEST)?;
    ensure!(
        status.success(),
        "oha ended with {status}: {}",
        fs::read_to_string(&errors).unwrap_or_default().trim()
    );
    read(&fs::read_to_string(&output)?, request.status, count)
}

fn read(text: &str, status: u16, count: u32) -> Result<Answers> {
    let output: Output = serde_json::from_str(text).context("oha's output is not as it was")?;
    let percentile = |name: &str| {
        let seconds = output.latency_percentiles.get(name).copied().flatten();
        // Nothing was answered, then.
        seconds.map_or(f64::NAN, |seconds| seconds * 1e3)
    };
    let codes = &output.status_code_distribution;
    let right = codes.get(&status.to_string()).copied().unwrap_or_default();
    let answered: u32 = codes.values().sum();
    Ok(Answers {
        p50: percentile("p50"),
        p95: percentile("p95"),
        p99: percentile("p99"),
        right,
        wrong: count.saturating_sub(right),
        rate: f64::from(answered) / output.summary.total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = r#"{
        "summary": {"successRate": 0.98, "total": 20.0, "slowest": 0.2, "requestsPerSec": 10.0},
        "responseTimeHistogram": {"0.01": 3},
        "latencyPercentiles": {"p10": 0.004, "p50": 0.005, "p95": 0.0123, "p99": 0.15, "p99.9": 0.2},
        "statusCodeDistribution": {"202": 190, "429": 6},
        "errorDistribution": {"timeout": 4}
    }"#;

    #[test]
    fn right_answers_are_told_from_others_and_from_none() {
        let answers = read(OUTPUT, 202, 200).unwrap();
        assert_eq!((answers.right, answers.wrong), (190, 10));
        assert_eq!(answers.rate, 9.8);
        assert_eq!((answers.p50, answers.p95, answers.p99), (5.0, 12.3, 150.0));
        assert_eq!(read(OUTPUT, 200, 200).unwrap().right, 0);
    }

    #[test]
    fn without_an_answer_there_is_no_percentile() {
        let none = r#"{"summary": {"total": 30.0}, "latencyPercentiles": {"p50": null, "p95": null},
                       "statusCodeDistribution": {}, "errorDistribution": {"refused": 5}}"#;
        let answers = read(none, 200, 5).unwrap();
        assert_eq!((answers.right, answers.wrong), (0, 5));
        assert!(answers.p50.is_nan() && answers.p99.is_nan());
        assert!(read("{}", 200, 5).is_err());
    }
}
