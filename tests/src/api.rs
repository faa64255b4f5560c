//! A client of the HTTP API that shows a test everything about an answer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

use crate::{PATIENCE, setting};

/// Above the API's own limit, so that it is the API that answers.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The stack's API.
#[derive(Debug, Clone)]
pub struct Api {
    agent: Agent,
    url: String,
    token: String,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The HTTP headers.
    pub headers: HeaderMap,
    /// The body; null if it is no JSON.
    pub body: Value,
}

impl Api {
    /// The API of the stack under test, as the owner of its token.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it reads the environment")]
    pub fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(TIMEOUT));
        Self {
            agent: config.build().into(),
            url: setting("AI_MESH_URL"),
            token: setting("AI_MESH_TOKEN"),
        }
    }

    /// The same with another address of the stack.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            ..self.clone()
        }
    }

    /// The token that the stack admits.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Sends a request with these headers alone.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Reply {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path} got no answer: {error}"))
    }

    /// The same, where it may well be that nobody answers.
    ///
    /// # Errors
    /// When no whole answer came.
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
        let mut answer = match body {
            Some(body) => self.agent.run(request.body(body)?)?,
            None => self.agent.run(request.body(())?)?,
        };
        let body = answer.body_mut().read_to_vec()?;
        Ok(Reply {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }

    /// GET with the token.
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[("x-service-token", &self.token)], None)
    }

    /// POSTs bytes to `/v1/tasks` with the token, whatever they are.
    pub fn post_raw(&self, body: &[u8]) -> Reply {
        let headers = [
            ("x-service-token", self.token.as_str()),
            ("content-type", "application/json"),
        ];
        self.send("POST", "/v1/tasks", &headers, Some(body))
    }

    /// POSTs JSON to `/v1/tasks` with the token.
    pub fn post(&self, body: &Value) -> Reply {
        self.post_raw(body.to_string().as_bytes())
    }

    /// The same under an idempotency key, with calls to AWS failing as `faults` say while it is served.
    pub fn post_keyed(&self, key: &str, body: &Value, faults: &str) -> Reply {
        let headers = [
            ("x-service-token", self.token.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
            ("x-ai-mesh-fault", faults),
        ];
        self.send("POST", "/v1/tasks", &headers, Some(body.to_string().as_bytes()))
    }

    /// POSTs JSON, or nothing, to another path with the token.
    pub fn post_to(&self, path: &str, body: Option<&Value>) -> Reply {
        let headers = [
            ("x-service-token", self.token.as_str()),
            ("content-type", "application/json"),
        ];
        let body = body.map(Value::to_string);
        self.send("POST", path, &headers, body.as_deref().map(str::as_bytes))
    }

    /// Cancels a task, or tries to.
    pub fn cancel(&self, id: &str) -> Reply {
        self.post_to(&format!("/v1/tasks/{id}/cancel"), None)
    }

    /// Gives a task new attempts, or tries to.
    pub fn retry(&self, id: &str) -> Reply {
        self.post_to(&format!("/v1/tasks/{id}/retry"), None)
    }

    /// Submits a task that must be accepted, and returns its id. The test's name goes along, for whoever reads a log.
    pub fn submit(&self, task_type: &str, input: Value, metadata: &[(&str, &str)]) -> String {
        self.submit_with(json!({ "type": task_type, "input": input }), metadata)
    }

    /// Submits a text under limits of its own: `{"max_attempts": 5}`, say.
    pub fn submit_limited(&self, limits: Value, metadata: &[(&str, &str)]) -> String {
        let mut body = limits;
        body["type"] = json!("sentiment");
        body["input"] = json!({ "text": "fine" });
        self.submit_with(body, metadata)
    }

    fn submit_with(&self, mut body: Value, metadata: &[(&str, &str)]) -> String {
        body["metadata"] = json!({ "test": std::thread::current().name().unwrap_or_default() });
        for (key, value) in metadata {
            body["metadata"][*key] = json!(value);
        }
        let reply = self.post(&body);
        assert_eq!(reply.status, 202, "{reply:?}");
        reply.text("id").to_owned()
    }

    /// Submits a text.
    pub fn submit_text(&self, text: &str, metadata: &[(&str, &str)]) -> String {
        self.submit("sentiment", json!({ "text": text }), metadata)
    }

    /// Submits an image file's bytes.
    pub fn submit_image(&self, file: &[u8], metadata: &[(&str, &str)]) -> String {
        let image = crate::pictures::base64(file);
        self.submit("face_detection", json!({ "image": image }), metadata)
    }

    /// The task as it stands.
    pub fn show(&self, id: &str) -> Value {
        let reply = self.get(&format!("/v1/tasks/{id}"));
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }

    /// The task once it is final.
    pub fn finished(&self, id: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.get(&format!("/v1/tasks/{id}?wait=20"));
            assert_eq!(reply.status, 200, "{reply:?}");
            if matches!(reply.text("status"), "completed" | "failed" | "cancelled") {
                return reply.body;
            }
            assert!(
                Instant::now() < deadline,
                "not final within {PATIENCE:?}: {}",
                reply.body
            );
        }
    }

    /// The task's result; it must complete.
    pub fn result(&self, id: &str) -> Value {
        let task = self.finished(id);
        assert_eq!(task["status"], "completed", "{task}");
        task["result"].clone()
    }

    /// The task, which must fail with this kind of error and this code.
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
    /// A text member of the body.
    #[must_use]
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

    /// Checks that this is a whole problem document of that status and type, and returns its detail.
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

/// The body of a submission of a text.
#[must_use]
pub fn sentiment(text: &str) -> Value {
    json!({ "type": "sentiment", "input": { "text": text } })
}
