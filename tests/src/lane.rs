//! A lane: a queue, and what carries its messages to the worker.

use aws_sdk_lambda::types::EventSourceMappingConfiguration;

use crate::{Cloud, setting};

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
struct Held {
    cloud: Cloud,
    mapping: String,
}

impl Held {
    fn new(lane: Lane) -> Self {
        let cloud = Cloud::new();
        let queue_url = lane.queue_url();
        let queue = queue_url.rsplit('/').next();
        let listed = cloud.wait(cloud.lambda().list_event_source_mappings().send());
        let mappings = listed
            .expect("the mappings can be listed")
            .event_source_mappings
            .unwrap_or_default();
        let of_queue = |mapping: &EventSourceMappingConfiguration| {
            mapping.event_source_arn().and_then(|arn| arn.rsplit(':').next()) == queue
        };
        let mapping = mappings
            .into_iter()
            .find(of_queue)
            .and_then(|mapping| mapping.uuid);
        let mapping = mapping.unwrap_or_else(|| panic!("{queue_url} has a mapping"));
        let held = Self { cloud, mapping };
        held.switch(false);
        held
    }

    fn switch(&self, on: bool) {
        let update = self.cloud.lambda().update_event_source_mapping();
        let switched = self.cloud.wait(update.uuid(&self.mapping).enabled(on).send());
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
