//! A stream of server-sent events, as a client of the home under test reads it.

use std::fmt;
use std::io::Read;

use serde_json::Value;
use ureq::{Agent, BodyReader};

use crate::{Api, StreamRequest, StreamResponse, TIMEOUT, setting};

/// How many bytes are read at once, at most.
const CHUNK_BYTES: usize = 8_192;

/// A response that may still be arriving.
pub struct EventStream(Source);

enum Source {
    Http {
        body: BodyReader<'static>,
        text: String,
    },
    /// The local cloud buffers responses, so the event-stream function runs in a host that does not.
    Function(StreamResponse),
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

impl EventStream {
    /// Opens a stream with the token and these headers, whose names are in lower case.
    ///
    /// # Panics
    /// When the home refuses it.
    #[must_use]
    pub fn open(api: &Api, path: &str, headers: &[(&str, &str)]) -> Self {
        let token = [("x-service-token", api.token())];
        let headers = [&token, headers].concat();
        if setting("AI_MESH_URL") == setting("AI_MESH_CLOUD_URL") {
            return Self(Source::Function(StreamRequest::get(path, &headers).start()));
        }
        let config = Agent::config_builder().proxy(None).timeout_global(Some(TIMEOUT));
        let mut request = Agent::from(config.build()).get(format!("{}{path}", setting("AI_MESH_URL")));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.call().unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(response.headers()["content-type"], "text/event-stream", "{path}");
        Self(Source::Http {
            body: response.into_body().into_reader(),
            text: String::new(),
        })
    }

    /// Reads until `is_enough` returns true for the text so far, and returns that text. The stream may still continue.
    ///
    /// # Panics
    /// When the stream ends before, or no more of it arrives.
    #[track_caller]
    pub fn read_until(&mut self, is_enough: impl Fn(&str) -> bool) -> &str {
        match &mut self.0 {
            Source::Function(response) => response.read_until(is_enough),
            Source::Http { body, text } => {
                while !is_enough(text) {
                    assert!(read(body, text), "the stream ended with {text:?}");
                }
                text
            }
        }
    }

    /// Reads to the end of the stream, and returns its text.
    pub fn read_to_end(&mut self) -> String {
        match &mut self.0 {
            Source::Function(response) => response.read_to_end(),
            Source::Http { body, text } => {
                while read(body, text) {}
                std::mem::take(text)
            }
        }
    }
}

/// Appends what arrives next; false at the end of the stream.
fn read(body: &mut BodyReader<'static>, text: &mut String) -> bool {
    let mut chunk = [0; CHUNK_BYTES];
    let read = body.read(&mut chunk);
    let read = read.unwrap_or_else(|error| panic!("nothing arrived after {text:?}: {error}"));
    text.push_str(std::str::from_utf8(&chunk[..read]).expect("events are ASCII"));
    read > 0
}

/// The changes in a stream's text, each with the id of its event.
///
/// # Panics
/// When an event has no id, or no data that is JSON.
#[must_use]
pub fn changes(text: &str) -> Vec<(String, Value)> {
    let events = text
        .split("\n\n")
        .filter(|event| event.contains("event: change\n"));
    let each = events.map(|event| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        let data = field("data: ").expect("an event has data");
        let id = field("id: ").expect("an event has an id");
        (
            id.to_owned(),
            serde_json::from_str(data).expect("the data is JSON"),
        )
    });
    each.collect()
}

/// The statuses of a task in a stream's text, in order.
///
/// # Panics
/// As [`changes`].
#[must_use]
pub fn statuses(text: &str, id: &str) -> Vec<String> {
    let of_task = changes(text)
        .into_iter()
        .filter(|(_, change)| change["id"] == *id);
    of_task
        .map(|(_, change)| change["status"].as_str().unwrap_or_default().to_owned())
        .collect()
}
