//! Sends requests at a fixed rate, however slow the responses are, with oha: <https://github.com/hatoo/oha>.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mesh_supervisor::guard;
use serde::Deserialize;

use super::spawn;

/// How many requests may be in flight at once. Further requests wait, and their wait is part of the latency.
const CONNECTIONS: u32 = 64;
/// A request without a response after this time is an error.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum duration of a run. A system that is slower than the rate responds later and later.
const RUN_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// The request that is repeated.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// With a body it is a POST, without one a GET.
    pub(crate) body: Option<String>,
    pub(crate) expected_status: u16,
}

/// The outcome of a run. Latencies are in ms, from the time at which a request was due. NaN without a response.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LoadResult {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    /// The number of responses with the expected status.
    pub(crate) succeeded: u32,
    /// The number of requests without a response or with another status.
    pub(crate) failed: u32,
    /// Responses a second.
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
    /// The duration in seconds.
    total: f64,
}

/// Sends `count` requests at `rate` a second.
pub(crate) fn run(oha: &Path, work: &Path, request: &Request, count: u32, rate: u32) -> Result<LoadResult> {
    let (output, errors) = (work.join("oha.json"), work.join("oha.log"));
    let mut command = guard::command(oha);
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
    let status = spawn("oha", &mut command, &output, &errors)?.wait_timeout(RUN_TIMEOUT)?;
    ensure!(
        status.success(),
        "oha ended with {status}: {}",
        fs::read_to_string(&errors).unwrap_or_default().trim()
    );
    parse(&fs::read_to_string(&output)?, request.expected_status, count)
}

fn parse(text: &str, expected_status: u16, count: u32) -> Result<LoadResult> {
    let output: Output = serde_json::from_str(text).context("can't parse oha's output")?;
    let percentile = |name: &str| {
        let seconds = output.latency_percentiles.get(name).copied().flatten();
        // There is no percentile without a response.
        seconds.map_or(f64::NAN, |seconds| seconds * 1e3)
    };
    let codes = &output.status_code_distribution;
    let succeeded = codes
        .get(&expected_status.to_string())
        .copied()
        .unwrap_or_default();
    let responses: u32 = codes.values().sum();
    Ok(LoadResult {
        p50: percentile("p50"),
        p95: percentile("p95"),
        p99: percentile("p99"),
        succeeded,
        failed: count.saturating_sub(succeeded),
        rate: f64::from(responses) / output.summary.total,
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
    fn only_the_expected_status_is_a_success() {
        let result = parse(OUTPUT, 202, 200).unwrap();
        assert_eq!((result.succeeded, result.failed), (190, 10));
        assert_eq!(result.rate, 9.8);
        assert_eq!((result.p50, result.p95, result.p99), (5.0, 12.3, 150.0));
        assert_eq!(parse(OUTPUT, 200, 200).unwrap().succeeded, 0);
    }

    #[test]
    fn without_a_response_there_is_no_percentile() {
        let none = r#"{"summary": {"total": 30.0}, "latencyPercentiles": {"p50": null, "p95": null},
                       "statusCodeDistribution": {}, "errorDistribution": {"refused": 5}}"#;
        let result = parse(none, 200, 5).unwrap();
        assert_eq!((result.succeeded, result.failed), (0, 5));
        assert!(result.p50.is_nan() && result.p99.is_nan());
        assert!(parse("{}", 200, 5).is_err());
    }
}
