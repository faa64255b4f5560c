//! The baseline: the first earlier system, with FastAPI, Redis and a worker as child processes.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mesh_supervisor::{SupervisedChild, guard, signals};
use serde_json::{Value, json};
use ureq::Agent;

use super::cpu_usage::{CpuUsage, Role};
use super::oha::Request;
use super::{Args, System, TEXT, spawn};

/// Far more than its start or any backlog of the bench takes.
const TIMEOUT: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) struct Baseline {
    url: String,
    agent: Agent,
    processes: Vec<(SupervisedChild, Role)>,
    completed_task: String,
}

impl Baseline {
    pub(crate) fn start(args: &Args) -> Result<Self> {
        let work = args.work.canonicalize()?;
        let bench = args.bench.canonicalize()?;
        let folder = bench.join("peers/fastapi-redis");
        let (redis_port, port) = (free_port()?, free_port()?);
        let redis_url = format!("redis://127.0.0.1:{redis_port}/0");
        let start = |name: &str, role, command: &mut Command| -> Result<_> {
            let log = work.join(format!("{name}.log"));
            Ok((
                spawn(name, command, &work.join(format!("{name}.out")), &log)?,
                role,
            ))
        };
        let mut redis = guard::command("redis-server");
        redis
            .args(["--bind", "127.0.0.1", "--port", &redis_port.to_string()])
            // No persistence.
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&work);
        let python = || {
            let mut command = guard::command(&args.python);
            command
                .env("REDIS_URL", &redis_url)
                .env("PYTHONPATH", &bench)
                .env("PYTHONDONTWRITEBYTECODE", "1");
            command
        };
        let mut app = python();
        app.args(["-m", "uvicorn", "app:app", "--app-dir"])
            .arg(&folder)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--workers", "1", "--no-access-log", "--log-level", "warning"]);
        let mut worker = python();
        worker
            .arg(folder.join("worker.py"))
            .arg(args.assets.canonicalize()?);
        let mut baseline = Self {
            url: format!("http://127.0.0.1:{port}"),
            agent: Agent::config_builder()
                .http_status_as_error(false)
                .proxy(None)
                .timeout_global(Some(TIMEOUT))
                .build()
                .into(),
            processes: vec![start("redis-server", Role::Rest, &mut redis)?],
            completed_task: String::new(),
        };
        baseline.wait_for_start(&work, "redis-server", |_| {
            TcpStream::connect((Ipv4Addr::LOCALHOST, redis_port))
                .ok()
                .map(drop)
        })?;
        baseline.processes.push(start("uvicorn", Role::Api, &mut app)?);
        baseline
            .processes
            .push(start("worker", Role::Worker, &mut worker)?);
        let first = baseline.wait_for_start(&work, "uvicorn", |baseline| baseline.submit().ok())?;
        baseline.wait_for_start(&work, "worker", |baseline| {
            baseline.is_done(&first).ok()?.then_some(())
        })?;
        baseline.completed_task = first;
        Ok(baseline)
    }

    /// Polls until the probe succeeds. If a process has ended, the error contains its log.
    fn wait_for_start<T>(
        &mut self,
        work: &Path,
        name: &str,
        mut probe: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(value) = probe(self) {
                return Ok(value);
            }
            self.ensure_running().with_context(|| {
                let log = fs::read_to_string(work.join(format!("{name}.log"))).unwrap_or_default();
                format!("the baseline did not start; the log of {name}: {}", log.trim())
            })?;
            ensure!(Instant::now() < deadline, "{name} is not ready after {TIMEOUT:?}");
            signals::sleep(POLL_INTERVAL)?;
        }
    }

    fn ensure_running(&mut self) -> Result<()> {
        self.processes
            .iter_mut()
            .try_for_each(|(process, _)| process.ensure_running())
    }

    fn submit(&self) -> Result<String> {
        let response = self
            .agent
            .post(format!("{}/submit", self.url))
            .header("content-type", "application/json")
            .send(body())?;
        let response = parse(response)?;
        let id = response["task_id"]
            .as_str()
            .context("no task_id in the response")?;
        Ok(id.to_owned())
    }

    fn is_done(&self, id: &str) -> Result<bool> {
        let response = parse(self.agent.get(format!("{}/status/{id}", self.url)).call()?)?;
        match response["status"].as_str() {
            // The text is clearly negative.
            Some("done") if response["result"]["label"] == "NEGATIVE" => Ok(true),
            Some("pending") => Ok(false),
            _ => bail!("unexpected response of the baseline: {response}"),
        }
    }
}

impl System for Baseline {
    fn name(&self) -> &'static str {
        "FastAPI, Redis"
    }

    fn submission(&self) -> Request {
        Request {
            url: format!("{}/submit", self.url),
            headers: Vec::new(),
            body: Some(body()),
            expected_status: 200,
        }
    }

    fn status(&self) -> Request {
        Request {
            url: format!("{}/status/{}", self.url, self.completed_task),
            headers: Vec::new(),
            body: None,
            expected_status: 200,
        }
    }

    fn cpu_usage(&self) -> Result<CpuUsage> {
        let processes = self.processes.iter();
        Ok(CpuUsage::from_processes(
            processes.map(|(process, role)| (process.id(), *role)),
        ))
    }

    /// The worker takes one task after the other: when the last one is done, all are.
    fn wait_until_done(&mut self, _submitted: u32) -> Result<()> {
        let last = self.submit()?;
        let deadline = Instant::now() + TIMEOUT;
        while !self.is_done(&last)? {
            self.ensure_running()?;
            ensure!(
                Instant::now() < deadline,
                "the baseline's backlog is not done after {TIMEOUT:?}"
            );
            signals::sleep(POLL_INTERVAL)?;
        }
        Ok(())
    }
}

fn body() -> String {
    json!({ "type": "text", "data": TEXT }).to_string()
}

fn parse(mut response: ureq::http::Response<ureq::Body>) -> Result<Value> {
    let status = response.status();
    let body = response.body_mut().read_to_string()?;
    ensure!(status == 200, "the baseline failed with {status}: {body}");
    Ok(serde_json::from_str(&body)?)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
