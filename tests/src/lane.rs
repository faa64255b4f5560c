//! A lane: a queue, and the event source mapping that delivers its messages to the worker.

use aws_sdk_lambda::types::EventSourceMappingConfiguration;

use crate::{Cloud, setting};

/// A lane for small tasks of normal priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Text,
    Image,
}

impl Lane {
    /// The URL of its queue.
    #[must_use]
    pub fn queue_url(self) -> String {
        setting(match self {
            Self::Text => "TEXT_QUEUE_URL",
            Self::Image => "IMAGE_QUEUE_URL",
        })
    }

    /// Pauses the delivery of the lane's messages while `fill` runs, so that the tasks it submits can be delivered in one
    /// batch. Only for tests that run one at a time.
    pub fn paused<T>(self, fill: impl FnOnce() -> T) -> T {
        let _pause = Pause::new(self);
        fill()
    }
}

/// The lane's event source mapping, disabled until this is dropped.
struct Pause {
    cloud: Cloud,
    mapping: String,
}

impl Pause {
    fn new(lane: Lane) -> Self {
        let cloud = Cloud::new();
        let queue_url = lane.queue_url();
        let queue = queue_url.rsplit('/').next();
        let listed = cloud.block_on(cloud.lambda().list_event_source_mappings().send());
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
        let pause = Self { cloud, mapping };
        pause.enable(false);
        pause
    }

    fn enable(&self, enabled: bool) {
        let update = self.cloud.lambda().update_event_source_mapping();
        let updated = self
            .cloud
            .block_on(update.uuid(&self.mapping).enabled(enabled).send());
        if let Err(error) = updated {
            // Not a panic: this also runs while a failed test unwinds.
            eprintln!("the lane's mapping could not be updated: {error}");
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.enable(true);
    }
}
