//! The local cloud, with the access of its operator.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use mesh_tests::{Cloud, eventually, setting};
use serde_json::Value;

use crate::assertions::Finding;
use crate::home::{Home, request};
use crate::ledger::{Entries, Ledger};
use crate::plan::{Plan, Planned, Profile};

/// The visibility timeout of the dead-letter queue. With the template's five minutes, the soak would wait that long at its
/// end for messages that a killed sweeper had received.
const DEAD_LETTER_VISIBILITY: Duration = Duration::from_secs(36);

/// How long a queue may take to drain: longer than any visibility timeout, after which a killed function's messages are
/// delivered again.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(330);

const QUEUES: [&str; 3] = ["TEXT_QUEUE_URL", "IMAGE_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"];

const PROFILE: Profile = Profile {
    task_types: &[
        "sentiment",
        "sentiment",
        "sentiment",
        "sentiment",
        "sentiment",
        "face_detection",
    ],
    loses_leases: true,
    max_open: 600,
    fault_pause: 1_000..4_000,
};

#[derive(Debug)]
pub(crate) struct LocalCloud;

impl Home for LocalCloud {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn prepare(&self) {
        Cloud::new().set_visibility_timeout(&setting("DEAD_LETTER_QUEUE_URL"), DEAD_LETTER_VISIBILITY);
    }

    /// Reads the table's stream. A restart of the local cloud starts a new one.
    fn follow(&self, ledger: &Ledger, is_over: &AtomicBool) {
        let cloud = Cloud::new();
        while !is_over.load(Ordering::Relaxed) {
            // An error ends the stream: the local cloud is being restarted.
            let _ended = cloud.follow_stream(|records| {
                if records.is_empty() {
                    thread::sleep(Duration::from_millis(50));
                }
                let image = |image| serde_dynamo::from_item(image).ok();
                for record in records {
                    let Some(change) = record.dynamodb else { continue };
                    let number = record.event_id.unwrap_or_default();
                    ledger.add(
                        number,
                        change.old_image.and_then(image),
                        change.new_image.and_then(image),
                    );
                }
                !is_over.load(Ordering::Relaxed)
            });
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs the sweeper every second, in place of its schedule's every minute.
    fn run_beside(&self, is_over: &AtomicBool) {
        let cloud = Cloud::new();
        while !is_over.load(Ordering::Relaxed) {
            // The sweeper fails like the other functions: the next run does what this one left.
            let _failed = cloud.try_run_sweeper();
            thread::sleep(Duration::from_secs(1));
        }
    }

    fn send_duplicate(&self, task: &Planned, id: &str) {
        let queue = match task.task_type {
            "face_detection" => "IMAGE_QUEUE_URL",
            _ => "TEXT_QUEUE_URL",
        };
        let _lost = Cloud::new().try_send_body(&setting(queue), &mesh_tests::message_body(id, 1));
    }

    /// Kills, starves or pauses one of the functions' processes.
    fn random_fault(&self, rng: &mut Rng) -> String {
        match rng.u32(0..100) {
            0..60 => format!("kill {}", rng.u32(..)),
            60..70 => format!("fill {}", rng.u32(..)),
            _ => format!("pause {} {}", rng.u32(..), rng.u32(4_500..7_000)),
        }
    }

    fn inject(&self, fault: &str, ledger: &Ledger) -> Option<String> {
        let description = request(fault)?;
        if fault == "restart" {
            // A part of the stream is lost.
            ledger.catch_up(&self.items());
        }
        Some(description)
    }

    fn items(&self) -> Vec<Value> {
        let cloud = Cloud::new();
        eventually("the table answers", || cloud.items().ok())
    }

    fn undrained(&self) -> Vec<String> {
        let cloud = Cloud::new();
        let drains = |queue: &str| {
            let deadline = Instant::now() + DRAIN_TIMEOUT;
            while cloud.message_count(&setting(queue)) > 0 {
                if Instant::now() > deadline {
                    return false;
                }
                thread::sleep(Duration::from_millis(200));
            }
            true
        };
        let undrained = QUEUES.into_iter().filter(|queue| !drains(queue));
        undrained.map(str::to_owned).collect()
    }

    /// Each restart loses a part of the stream, so the counters are rebuilt.
    fn repair_counters(&self) {
        let cloud = Cloud::new();
        let rebuilt = eventually("the counters are rebuilt", || cloud.rebuild_stats().ok());
        println!("soak: the counters were rebuilt: {rebuilt}");
    }

    /// A function also dies of injected faults in its calls, and a restart loses changes.
    fn check(&self, _: &Plan, _: &Entries, _: &BTreeMap<String, usize>) -> Vec<Finding> {
        Vec::new()
    }
}
