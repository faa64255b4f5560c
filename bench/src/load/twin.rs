//! The twin of the first earlier system: FastAPI, Redis and a worker, each a process of this one.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use ureq::Agent;

use super::oha::Request;
use super::processes::{Account, Role};
use super::{Args, System, TEXT};
use crate::children::Started;

/// Far longer than its start or any backlog here takes.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Twin {
    url: String,
    agent: Agent,
    processes: Vec<(Started, Role)>,
    /// A task that is done.
    done: String,
}

impl Twin {
    pub(crate) fn start(args: &Args) -> Result<Self> {
        let work = args.work.canonicalize()?;
        let bench = args.bench.canonicalize()?;
        let folder = bench.join("peers/fastapi-redis");
        let (redis_port, port) = (free_port()?, free_port()?);
        let redis_url = format!("redis://127.0.0.1:{redis_port}/0");
        let start = |name: &str, role, command: &mut Command| -> Result<_> {
            let log = work.join(format!("{name}.log"));
            Ok((
                Started::spawn(name, command, &work.join(format!("{name}.out")), &log)?,
                role,
            ))
        };
        let mut redis = Command::new("redis-server");
        redis
            .args(["--bind", "127.0.0.1", "--port", &redis_port.to_string()])
            // Nothing is written to the disk.
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&work);
        let python = || {
            let mut command = Command::new(&args.python);
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
        let mut twin = Self {
            url: format!("http://127.0.0.1:{port}"),
            agent: Agent::config_builder()
                .http_status_as_error(false)
                .proxy(None)
                .timeout_global(Some(PATIENCE))
                .build()
                .into(),
            processes: vec![start("redis-server", Role::Rest, &mut redis)?],
            done: String::new(),
        };
        twin.eventually(&work, "redis-server", || {
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, redis_port))
                .ok()
                .map(drop)
        })?;
        twin.processes.push(start("uvicorn", Role::Api, &mut app)?);
        twin.processes.push(start("worker", Role::Worker, &mut worker)?);
        let first = twin.eventually(&work, "uvicorn", || twin.submit().ok())?;
        twin.eventually(&work, "worker", || twin.is_done(&first).ok()?.then_some(()))?;
        twin.done = first;
        Ok(twin)
    }

    /// Asks again and again until there is an answer; what has ended meanwhile is shown with its log.
    fn eventually<T>(&self, work: &Path, name: &str, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = probe() {
                return Ok(answer);
            }
            for (process, _) in &self.processes {
                process.check().with_context(|| {
                    let log = fs::read_to_string(work.join(format!("{name}.log"))).unwrap_or_default();
                    format!("the twin did not start; the log of {name}: {}", log.trim())
                })?;
            }
            ensure!(
                Instant::now() < deadline,
                "{name} gives no answer after {PATIENCE:?}"
            );
            sleep(LOOK_EVERY);
        }
    }

    fn submit(&self) -> Result<String> {
        let answer = self
            .agent
            .post(format!("{}/submit", self.url))
            .header("content-type", "application/json")
            .send(body())?;
        let answer = json_of(answer)?;
        let id = answer["task_id"].as_str().context("no task_id")?;
        Ok(id.to_owned())
    }

    fn is_done(&self, id: &str) -> Result<bool> {
        let answer = json_of(self.agent.get(format!("{}/status/{id}", self.url)).call()?)?;
        match answer["status"].as_str() {
            // The text is plainly one.
            Some("done") if answer["result"]["label"] == "NEGATIVE" => Ok(true),
            Some("pending") => Ok(false),
            _ => bail!("the twin answered {answer}"),
        }
    }
}

impl System for Twin {
    fn name(&self) -> &'static str {
        "FastAPI, Redis"
    }

    fn submission(&self) -> Request {
        Request {
            url: format!("{}/submit", self.url),
            headers: Vec::new(),
            body: Some(body()),
            status: 200,
        }
    }

    fn status(&self) -> Request {
        Request {
            url: format!("{}/status/{}", self.url, self.done),
            headers: Vec::new(),
            body: None,
            status: 200,
        }
    }

    fn account(&self) -> Result<Account> {
        Ok(Account::of(
            self.processes
                .iter()
                .map(|(process, role)| (process.pid(), *role)),
        ))
    }

    /// Its worker takes one after the other: when the last is done, all are.
    fn settle(&mut self, _submitted: u32) -> Result<()> {
        let last = self.submit()?;
        let deadline = Instant::now() + PATIENCE;
        while !self.is_done(&last)? {
            for (process, _) in &self.processes {
                process.check()?;
            }
            ensure!(
                Instant::now() < deadline,
                "the twin's backlog is not done after {PATIENCE:?}"
            );
            sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

fn body() -> String {
    json!({ "type": "text", "data": TEXT }).to_string()
}

fn json_of(mut answer: ureq::http::Response<ureq::Body>) -> Result<Value> {
    let status = answer.status();
    let body = answer.body_mut().read_to_string()?;
    ensure!(status == 200, "the twin answered {status}: {body}");
    Ok(serde_json::from_str(&body)?)
}

/// A port that nobody has now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
