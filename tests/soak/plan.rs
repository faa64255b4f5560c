//! What each task of a soak requests, and how it must end. Everything follows from one seed.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use mesh_tests::{pictures, sounds};
use serde_json::{Value, json};

/// What differs between the homes.
#[derive(Debug)]
pub(crate) struct Profile {
    /// The types of the tasks. Each is as frequent as its name.
    pub(crate) task_types: &'static [&'static str],
    /// Whether a lease is short enough that a frozen worker loses it.
    pub(crate) loses_leases: bool,
    /// Above this number of open tasks the clients pause, so that tasks are submitted and cancelled under faults.
    pub(crate) max_open: usize,
    /// The time between two faults, in milliseconds.
    pub(crate) fault_pause: Range<u64>,
}

/// One request: of a task, or of a batch.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) tasks: Range<usize>,
    /// Where the client's first connection is cut.
    pub(crate) cut: Option<Cut>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the request is complete.
    InRequest,
    /// After that, and before the answer.
    BeforeAnswer,
}

#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) number: u32,
    pub(crate) scenario: Scenario,
    pub(crate) task_type: &'static str,
    /// The number of additional messages.
    pub(crate) duplicates: u32,
    /// The time between its acceptance and its cancellation.
    pub(crate) cancelled_after: Option<Duration>,
    /// Whether it is retried if it was cancelled in time.
    pub(crate) is_retried: bool,
    /// Whether it is redriven once it is a dead letter. It becomes one again.
    pub(crate) is_redriven: bool,
}

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// It completes.
    Plain,
    /// It completes after this number of failed attempts.
    Transient(u32),
    /// It completes after it was throttled this number of times.
    Throttled(u32),
    /// It completes, and its run takes this number of milliseconds longer.
    Slow(u32),
    /// Its first worker is frozen for this number of milliseconds, and a second one completes it.
    Frozen(u32),
    /// It completes with a large input or a large result.
    Large,
    /// Its run panics.
    Panic,
    /// Its input is not an image.
    InvalidImage,
    /// Each of this number of attempts fails.
    AlwaysFails(u32),
    /// Both its runs abort their process.
    Aborts,
    /// Both its runs exceed its timeout.
    TimesOut,
}

/// How a task must end if it is not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    /// Failed as `permanent`, with this code.
    Permanent(&'static str),
    /// Failed as `exhausted` or `timeout`.
    DeadLetter,
}

/// The plan of a soak.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) tasks: Vec<Planned>,
    pub(crate) submissions: Vec<Submission>,
    pub(crate) seed: u64,
    picture: String,
    invalid_picture: String,
    recording: String,
}

/// Enough attempts that injected faults alone exhaust no task's.
const ATTEMPTS: u32 = 10;
/// The most tasks of a batch.
const MAX_BATCH: usize = 20;
const PRAISE: &str = "What a wonderful film, I loved every minute of it.";

impl Plan {
    pub(crate) fn new(tasks: u32, seed: u64, profile: &Profile) -> Self {
        let mut rng = Rng::with_seed(seed);
        let picture = image::DynamicImage::new_rgb8(64, 64);
        let picture = pictures::encode(&picture, image::ImageFormat::Png);
        let tasks: Vec<_> = (0..tasks)
            .map(|number| Planned::random(number, profile, &mut rng))
            .collect();
        Self {
            submissions: Submission::random(tasks.len(), &mut rng),
            tasks,
            seed,
            picture: pictures::base64(&picture),
            invalid_picture: pictures::base64(&pictures::png_without_pixels(64, 64)),
            recording: pictures::base64(&sounds::silence(1)),
        }
    }

    /// How many tasks are special, in words.
    pub(crate) fn summary(&self) -> String {
        let count =
            |matches: &dyn Fn(&Planned) -> bool| self.tasks.iter().filter(|task| matches(task)).count();
        format!(
            "{} requests, {} dead letters, {} of them redriven, {} failing permanently, {} to be cancelled, \
             {} with duplicate messages",
            self.submissions.len(),
            count(&|task| task.end() == End::DeadLetter),
            count(&|task| task.is_redriven),
            count(&|task| matches!(task.end(), End::Permanent(_))),
            count(&|task| task.cancelled_after.is_some()),
            count(&|task| task.duplicates > 0),
        )
    }

    /// The path and the body of a request.
    pub(crate) fn request(&self, submission: &Submission) -> (&'static str, Value) {
        match &self.tasks[submission.tasks.clone()] {
            [task] => ("/v1/tasks", self.body(task)),
            tasks => {
                let bodies: Vec<_> = tasks.iter().map(|task| self.body(task)).collect();
                ("/v1/tasks/batch", json!({ "tasks": bodies }))
            }
        }
    }

    /// The idempotency key of a request.
    pub(crate) fn key(&self, submission: &Submission) -> String {
        format!("soak-{}-{}", self.seed, submission.tasks.start)
    }

    fn body(&self, task: &Planned) -> Value {
        let (fault, attempts) = match task.scenario {
            Scenario::Plain | Scenario::InvalidImage => ("none".to_owned(), ATTEMPTS),
            Scenario::Large if task.task_type == "face_detection" => ("faces:500".to_owned(), ATTEMPTS),
            Scenario::Large => ("none".to_owned(), ATTEMPTS),
            Scenario::Transient(failures) => (format!("transient:{failures}"), ATTEMPTS),
            Scenario::Throttled(times) => (format!("throttle:{times}"), ATTEMPTS),
            Scenario::Slow(milliseconds) => (format!("slow:{milliseconds}"), ATTEMPTS),
            Scenario::Frozen(milliseconds) => (format!("stall:{milliseconds}"), ATTEMPTS),
            Scenario::Panic => ("panic".to_owned(), ATTEMPTS),
            Scenario::AlwaysFails(attempts) => ("transient:99".to_owned(), attempts),
            Scenario::Aborts => ("abort".to_owned(), 2),
            Scenario::TimesOut => ("slow:60000".to_owned(), 2),
        };
        let text = match task.scenario {
            Scenario::Large => PRAISE.repeat(100),
            _ => PRAISE.to_owned(),
        };
        let input = match task.task_type {
            "face_detection" | "ocr" if task.scenario == Scenario::InvalidImage => {
                json!({ "image": self.invalid_picture })
            }
            "face_detection" | "ocr" => json!({ "image": self.picture }),
            "transcribe" => json!({ "audio": self.recording }),
            "translate" => json!({ "text": text, "target_language": "German" }),
            "data_extraction" => json!({ "text": text, "schema": { "film": "string" } }),
            _ => json!({ "text": text }),
        };
        let mut body = json!({
            "type": task.task_type,
            "input": input,
            "metadata": { "fault": fault, "number": task.number.to_string() },
            "max_attempts": attempts,
        });
        if task.scenario == Scenario::TimesOut {
            body["timeout_seconds"] = json!(1);
        }
        body
    }
}

impl Submission {
    /// Half of the requests are of one task, the others of batches.
    fn random(tasks: usize, rng: &mut Rng) -> Vec<Self> {
        let mut submissions = Vec::new();
        let mut start = 0;
        while start < tasks {
            let length = if rng.bool() { 1 } else { rng.usize(2..=MAX_BATCH) };
            let end = (start + length).min(tasks);
            submissions.push(Self {
                tasks: start..end,
                cut: match rng.u32(0..100) {
                    0..5 => Some(Cut::InRequest),
                    5..10 => Some(Cut::BeforeAnswer),
                    _ => None,
                },
            });
            start = end;
        }
        submissions
    }
}

impl Planned {
    fn random(number: u32, profile: &Profile, rng: &mut Rng) -> Self {
        let scenario = match rng.u32(0..1000) {
            0..=2 => Scenario::Aborts,
            3..=5 => Scenario::TimesOut,
            6..=25 => Scenario::AlwaysFails(rng.u32(1..=4)),
            26..=40 => Scenario::Panic,
            41..=55 => Scenario::InvalidImage,
            56..=75 => Scenario::Large,
            76..=85 => Scenario::Slow(rng.u32(300..2_500)),
            86..=115 => Scenario::Throttled(rng.u32(1..=2)),
            116..=215 => Scenario::Transient(rng.u32(1..=3)),
            216..=220 if profile.loses_leases => Scenario::Frozen(rng.u32(5_000..7_000)),
            _ => Scenario::Plain,
        };
        let is_cancelled = rng.u32(0..100) < 5;
        let planned = Self {
            number,
            scenario,
            task_type: match scenario {
                Scenario::InvalidImage => "face_detection",
                _ => rng.choice(profile.task_types).expect("there are types"),
            },
            duplicates: rng.u32(0..100).saturating_sub(96),
            cancelled_after: is_cancelled.then(|| Duration::from_millis(rng.u64(0..4_000))),
            is_retried: rng.bool(),
            is_redriven: rng.bool(),
        };
        // The client that cancels a task does not also redrive it.
        let is_redriven = planned.is_redriven && !is_cancelled && planned.end() == End::DeadLetter;
        Self {
            is_redriven,
            ..planned
        }
    }

    /// How the task must end if it is not cancelled.
    pub(crate) fn end(&self) -> End {
        match self.scenario {
            Scenario::Panic => End::Permanent("panic"),
            Scenario::InvalidImage => End::Permanent("invalid_image"),
            Scenario::AlwaysFails(_) | Scenario::Aborts | Scenario::TimesOut => End::DeadLetter,
            _ if matches!(self.task_type, "translate" | "data_extraction") => {
                End::Permanent("provider_not_configured")
            }
            Scenario::Plain
            | Scenario::Transient(_)
            | Scenario::Throttled(_)
            | Scenario::Slow(_)
            | Scenario::Frozen(_)
            | Scenario::Large => End::Completed,
        }
    }
}
