//! AI Mesh: the stack that the environment variables name.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mesh_supervisor::signals;
use mesh_tests::{Api, sentiment, setting};

use super::cpu_usage::CpuUsage;
use super::oha::Request;
use super::{System, TEXT};

/// Far more than any backlog of the bench takes.
const BACKLOG_TIMEOUT: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long the counters may lag behind the tasks, which is usually a second.
const COUNTERS_LAG: Duration = Duration::from_secs(3);

pub(crate) struct AiMesh {
    api: Api,
    url: String,
    /// The local cloud's address.
    endpoint: String,
    completed_task: String,
    /// The `completed` counter once all submitted tasks are completed.
    expected_completed: u64,
}

impl AiMesh {
    pub(crate) fn new() -> Result<Self> {
        let api = Api::new();
        let completed_task = api.submit_text(TEXT, &[]);
        api.result(&completed_task);
        let mut system = Self {
            api,
            url: setting("AI_MESH_URL"),
            endpoint: setting("AWS_ENDPOINT_URL"),
            completed_task,
            expected_completed: 0,
        };
        signals::sleep(COUNTERS_LAG)?;
        system.expected_completed = system.completed()?;
        Ok(system)
    }

    fn completed(&self) -> Result<u64> {
        let stats = self.api.get("/v1/stats");
        stats.body["by_status"]["completed"]
            .as_u64()
            .with_context(|| format!("no count of completed tasks in the API's statistics: {stats:?}"))
    }

    fn request(&self, path: &str, body: Option<String>, status: u16) -> Request {
        Request {
            url: format!("{}{path}", self.url),
            headers: vec![("x-service-token", self.api.token().to_owned())],
            body,
            expected_status: status,
        }
    }
}

impl System for AiMesh {
    fn name(&self) -> &'static str {
        "AI Mesh"
    }

    fn submission(&self) -> Request {
        self.request("/v1/tasks", Some(sentiment(TEXT).to_string()), 202)
    }

    fn status(&self) -> Request {
        self.request(&format!("/v1/tasks/{}", self.completed_task), None, 200)
    }

    fn cpu_usage(&self) -> Result<CpuUsage> {
        CpuUsage::from_cloud(&self.endpoint)
    }

    fn wait_until_done(&mut self, submitted: u32) -> Result<()> {
        self.expected_completed += u64::from(submitted);
        let deadline = Instant::now() + BACKLOG_TIMEOUT;
        loop {
            let completed = self.completed()?;
            if completed >= self.expected_completed {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "only {completed} of {} tasks are completed after {BACKLOG_TIMEOUT:?}",
                self.expected_completed
            );
            signals::sleep(POLL_INTERVAL)?;
        }
    }
}
