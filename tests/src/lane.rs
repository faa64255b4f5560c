//! A lane: a queue, and what carries its messages to the worker.

use serde_json::{Value, json};
use ureq::Agent;

use crate::setting;

/// Which worker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The text worker's.
    Text,
    /// The image worker's.
    Image,
}

impl Lane {
    /// The address of its queue.
    #[must_use]
    pub fn queue_url(self) -> String {
        setting(match self {
            Self::Text => "TEXT_QUEUE_URL",
            Self::Image => "IMAGE_QUEUE_URL",
        })
    }

    /// Holds back the lane's messages while `fill` runs, so that what it submits travels together. Only for tests that
    /// run one at a time.
    pub fn held_back<T>(self, fill: impl FnOnce() -> T) -> T {
        let _held = Held::new(self);
        fill()
    }
}

/// The lane's event source mapping, switched off until this is dropped.
///
/// Two calls to the local cloud, which asks for no signature here: not worth one more SDK.
struct Held {
    agent: Agent,
    mapping: String,
}

impl Held {
    fn new(lane: Lane) -> Self {
        let agent: Agent = Agent::config_builder().proxy(None).build().into();
        let mappings = format!("{}/2015-03-31/event-source-mappings", setting("AWS_ENDPOINT_URL"));
        let queue_url = lane.queue_url();
        let queue = queue_url.rsplit('/').next().unwrap_or_default();
        let listed = agent
            .get(format!("{mappings}/"))
            .call()
            .expect("the mappings can be listed");
        let listed: Value =
            serde_json::from_reader(listed.into_body().into_reader()).expect("the list is JSON");
        let of_queue = |mapping: &&Value| {
            let arn = mapping["EventSourceArn"].as_str().unwrap_or_default();
            arn.rsplit(':').next() == Some(queue)
        };
        let mapping = listed["EventSourceMappings"]
            .as_array()
            .and_then(|mappings| mappings.iter().find(of_queue))
            .and_then(|mapping| mapping["UUID"].as_str())
            .unwrap_or_else(|| panic!("no mapping of {queue} in {listed}"));
        let held = Self {
            agent,
            mapping: format!("{mappings}/{mapping}"),
        };
        held.switch(false);
        held
    }

    fn switch(&self, on: bool) {
        let body = json!({ "Enabled": on }).to_string();
        let switched = self.agent.put(&self.mapping).send(body);
        if let Err(error) = switched {
            // Not a panic: this also runs while a failed test unwinds.
            eprintln!("the lane could not be switched: {error}");
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.switch(true);
    }
}
