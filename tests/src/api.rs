//! A client of the HTTP API that gives a test the whole response.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

use crate::{TIMEOUT, setting};

/// Longer than the API's own limit, so that a slow request ends with the API's response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct Api {
    agent: Agent,
    url: String,
    token: String,
}

/// A response of the API.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// All headers, also those that the API's gateway adds.
    pub headers: HeaderMap,
    /// The body; null if it is not JSON.
    pub body: Value,
}

impl Api {
    /// The API of the home under test: `mesh-server`, or with `cargo xtask test --cloud` the local cloud.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it reads the environment")]
    pub fn new() -> Self {
        Self::with_token(setting("AI_MESH_URL"), setting("AI_MESH_TOKEN"))
    }

    /// The API of the local cloud, for the tests that also use its AWS services.
    #[must_use]
    pub fn of_cloud() -> Self {
        Self::with_token(setting("AI_MESH_CLOUD_URL"), setting("AI_MESH_CLOUD_TOKEN"))
    }

    fn with_token(url: String, token: String) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(REQUEST_TIMEOUT));
        crate::log::start();
        Self {
            agent: config.build().into(),
            url,
            token,
        }
    }

    /// The same client for another URL.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            ..self.clone()
        }
    }

    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Sends a request with these headers only.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Reply {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path} got no response: {error}"))
    }

    /// Sends a request to a stack that may be down.
    ///
    /// # Errors
    /// When no complete response came.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Reply, ureq::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = match body {
            Some(body) => self.agent.run(request.body(body)?)?,
            None => self.agent.run(request.body(())?)?,
        };
        let body = response.body_mut().read_to_vec()?;
        Ok(Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }

    /// Sends a GET request with the token to a stack that may be down, and returns the text of the answer.
    ///
    /// # Errors
    /// When no complete answer came, or its status is not 200.
    pub fn try_get_text(&self, path: &str) -> Result<String, ureq::Error> {
        let request = self
            .agent
            .get(format!("{}{path}", self.url))
            .header("x-service-token", &self.token);
        let mut response = request.config().http_status_as_error(true).build().call()?;
        response.body_mut().read_to_string()
    }

    /// Sends a GET request with the token.
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[("x-service-token", &self.token)], None)
    }

    /// Sends any bytes to `POST /v1/tasks` with the token.
    pub fn post_raw(&self, body: &[u8]) -> Reply {
        let headers = [
            ("x-service-token", self.token.as_str()),
            ("content-type", "application/json"),
        ];
        self.send("POST", "/v1/tasks", &headers, Some(body))
    }

    /// Sends JSON to `POST /v1/tasks` with the token.
    pub fn post(&self, body: &Value) -> Reply {
        self.post_raw(body.to_string().as_bytes())
    }

    /// Sends JSON to `POST /v1/tasks` under an idempotency key.
    pub fn post_keyed(&self, key: &str, body: &Value) -> Reply {
        self.post_keyed_with_faults(key, body, "")
    }

    /// As [`Api::post_keyed`], with `faults` injected into the API's calls to AWS while it serves the request. The grammar is
    /// that of `mesh_aws::faults`.
    pub fn post_keyed_with_faults(&self, key: &str, body: &Value, faults: &str) -> Reply {
        let headers = [
            ("x-service-token", self.token.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
            ("x-ai-mesh-fault", faults),
        ];
        self.send("POST", "/v1/tasks", &headers, Some(body.to_string().as_bytes()))
    }

    /// Sends a POST request with the token to any path, with JSON or without a body.
    pub fn post_to(&self, path: &str, body: Option<&Value>) -> Reply {
        let headers = [
            ("x-service-token", self.token.as_str()),
            ("content-type", "application/json"),
        ];
        let body = body.map(Value::to_string);
        self.send("POST", path, &headers, body.as_deref().map(str::as_bytes))
    }

    pub fn cancel(&self, id: &str) -> Reply {
        self.post_to(&format!("/v1/tasks/{id}/cancel"), None)
    }

    /// Requests a retry of a task, in a new generation.
    pub fn retry(&self, id: &str) -> Reply {
        self.post_to(&format!("/v1/tasks/{id}/retry"), None)
    }

    /// Submits a task that must be accepted, and returns its id. The task's metadata contains the test's name, for a reader
    /// of the table.
    #[track_caller]
    pub fn submit(&self, task_type: &str, input: Value, metadata: &[(&str, &str)]) -> String {
        self.submit_with(json!({ "type": task_type, "input": input }), metadata)
    }

    /// Submits a text with limits of its own, for example `{"max_attempts": 5}`.
    #[track_caller]
    pub fn submit_limited(&self, limits: Value, metadata: &[(&str, &str)]) -> String {
        let mut body = limits;
        body["type"] = json!("sentiment");
        body["input"] = json!({ "text": "fine" });
        self.submit_with(body, metadata)
    }

    #[track_caller]
    fn submit_with(&self, mut body: Value, metadata: &[(&str, &str)]) -> String {
        body["metadata"] = json!({ "test": std::thread::current().name().unwrap_or_default() });
        for (key, value) in metadata {
            body["metadata"][*key] = json!(value);
        }
        let reply = self.post(&body);
        assert_eq!(reply.status, 202, "{reply:?}");
        reply.text("id").to_owned()
    }

    /// Submits a text for sentiment analysis.
    #[track_caller]
    pub fn submit_text(&self, text: &str, metadata: &[(&str, &str)]) -> String {
        self.submit("sentiment", json!({ "text": text }), metadata)
    }

    /// Submits an image file for face detection.
    #[track_caller]
    pub fn submit_image(&self, file: &[u8], metadata: &[(&str, &str)]) -> String {
        let image = crate::pictures::base64(file);
        self.submit("face_detection", json!({ "image": image }), metadata)
    }

    #[track_caller]
    pub fn show(&self, id: &str) -> Value {
        let reply = self.get(&format!("/v1/tasks/{id}"));
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }

    /// The ids of all tasks with this metadata.
    #[track_caller]
    pub fn ids_with_metadata(&self, key: &str, value: &str) -> BTreeSet<String> {
        let (mut found, mut cursor) = (BTreeSet::new(), String::new());
        loop {
            let page = self.get(&format!("/v1/tasks?limit=200&metadata.{key}={value}{cursor}"));
            assert_eq!(page.status, 200, "{page:?}");
            let tasks = page.body["tasks"].as_array().into_iter().flatten();
            found.extend(tasks.filter_map(|task| task["id"].as_str().map(str::to_owned)));
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    }

    /// Waits until the task is final, and returns it.
    #[track_caller]
    pub fn finished(&self, id: &str) -> Value {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let reply = self.get(&format!("/v1/tasks/{id}?wait=20"));
            assert_eq!(reply.status, 200, "{reply:?}");
            if matches!(reply.text("status"), "completed" | "failed" | "cancelled") {
                return reply.body;
            }
            assert!(
                Instant::now() < deadline,
                "not final within {TIMEOUT:?}: {}",
                reply.body
            );
        }
    }

    /// Waits until the task is final, and returns its result. The task must complete.
    #[track_caller]
    pub fn result(&self, id: &str) -> Value {
        let task = self.finished(id);
        assert_eq!(task["status"], "completed", "{task}");
        task["result"].clone()
    }

    /// Waits until the task is final, and returns it. The task must complete in its attempt of this number.
    #[track_caller]
    pub fn completed(&self, id: &str, attempt: u32) -> Value {
        let task = self.finished(id);
        assert_completed(&task, attempt);
        task
    }

    /// Waits until the task is final, and returns it. The task must fail with this kind of error and this code.
    #[track_caller]
    pub fn failed(&self, id: &str, kind: &str, code: &str) -> Value {
        let task = self.finished(id);
        assert_eq!(task["status"], "failed", "{task}");
        assert_eq!(
            (&task["error"]["kind"], &task["error"]["code"]),
            (&json!(kind), &json!(code)),
            "{task}"
        );
        assert!(task.get("result").is_none(), "{task}");
        task
    }
}

impl Reply {
    /// A member of the body that must be text.
    #[must_use]
    #[track_caller]
    pub fn text(&self, member: &str) -> &str {
        self.body[member]
            .as_str()
            .unwrap_or_else(|| panic!("no text `{member}` in {self:?}"))
    }

    /// A header's value, empty if it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Asserts that this is a complete problem document of that status and type, and returns its detail.
    #[track_caller]
    pub fn problem(&self, status: u16, slug: &str) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let members: BTreeSet<_> = self
            .body
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(
            members,
            ["detail", "request_id", "status", "title", "type"].into(),
            "{self:?}"
        );
        assert_eq!(
            self.text("type"),
            format!("urn:ai-mesh:problem:{slug}"),
            "{self:?}"
        );
        assert_eq!(self.body["status"], status, "{self:?}");
        assert!(
            !self.text("title").is_empty() && !self.text("detail").is_empty(),
            "{self:?}"
        );
        let request_id = self.text("request_id");
        assert!(!request_id.is_empty(), "{self:?}");
        assert_eq!(self.header("x-request-id"), request_id, "{self:?}");
        self.text("detail").to_owned()
    }
}

/// Asserts that the task is completed, and by its attempt of this number.
#[track_caller]
pub fn assert_completed(task: &Value, attempt: u32) {
    assert_eq!(
        (&task["status"], &task["attempt"]),
        (&json!("completed"), &json!(attempt)),
        "{task}"
    );
}

/// The body of a submission of a text for sentiment analysis.
#[must_use]
pub fn sentiment(text: &str) -> Value {
    json!({ "type": "sentiment", "input": { "text": text } })
}
