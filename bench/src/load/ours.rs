//! The stack of the environment.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mesh_tests::{Api, sentiment, setting};

use super::oha::Request;
use super::processes::Account;
use super::{System, TEXT};

/// Far longer than any backlog here takes.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) struct Ours {
    api: Api,
    url: String,
    /// The local cloud's address.
    endpoint: String,
    /// A task that is done.
    done: String,
    /// So many will be completed once all is done.
    expected: u64,
}

impl Ours {
    pub(crate) fn new() -> Result<Self> {
        let api = Api::new();
        let done = api.submit_text(TEXT, &[]);
        api.result(&done);
        let mut ours = Self {
            api,
            url: setting("AI_MESH_URL"),
            endpoint: setting("AWS_ENDPOINT_URL"),
            done,
            expected: 0,
        };
        // The counters follow by about a second.
        sleep(Duration::from_secs(3));
        ours.expected = ours.completed()?;
        Ok(ours)
    }

    fn completed(&self) -> Result<u64> {
        let stats = self.api.get("/v1/stats");
        stats.body["by_status"]["completed"]
            .as_u64()
            .with_context(|| format!("the API tells no counts: {stats:?}"))
    }

    fn request(&self, path: &str, body: Option<String>, status: u16) -> Request {
        Request {
            url: format!("{}{path}", self.url),
            headers: vec![("x-service-token", self.api.token().to_owned())],
            body,
            status,
        }
    }
}

impl System for Ours {
    fn name(&self) -> &'static str {
        "AI Mesh"
    }

    fn submission(&self) -> Request {
        self.request("/v1/tasks", Some(sentiment(TEXT).to_string()), 202)
    }

    fn status(&self) -> Request {
        self.request(&format!("/v1/tasks/{}", self.done), None, 200)
    }

    fn account(&self) -> Result<Account> {
        Account::of_cloud(&self.endpoint)
    }

    fn settle(&mut self, submitted: u32) -> Result<()> {
        self.expected += u64::from(submitted);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let completed = self.completed()?;
            if completed >= self.expected {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{completed} of {} tasks are completed after {PATIENCE:?}",
                self.expected
            );
            sleep(LOOK_EVERY);
        }
    }
}
