//! What each task of a soak requests, and how it must end. Everything follows from one seed.

use std::time::Duration;

use fastrand::Rng;
use mesh_tests::pictures;
use serde_json::{Value, json};

#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) number: u32,
    pub(crate) scenario: Scenario,
    is_image: bool,
    /// The number of additional messages.
    pub(crate) duplicates: u32,
    /// The time between its acceptance and its cancellation.
    pub(crate) cancelled_after: Option<Duration>,
    /// Whether it is retried if it was cancelled in time.
    pub(crate) is_retried: bool,
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
    pub(crate) seed: u64,
    picture: String,
    invalid_picture: String,
}

/// Enough attempts that injected faults alone exhaust no task's.
const ATTEMPTS: u32 = 10;
const PRAISE: &str = "What a wonderful film, I loved every minute of it.";

impl Plan {
    pub(crate) fn new(tasks: u32, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let picture = image::DynamicImage::new_rgb8(64, 64);
        let picture = pictures::encode(&picture, image::ImageFormat::Png);
        Self {
            tasks: (0..tasks)
                .map(|number| Planned::random(number, &mut rng))
                .collect(),
            seed,
            picture: pictures::base64(&picture),
            invalid_picture: pictures::base64(&pictures::png_without_pixels(64, 64)),
        }
    }

    /// How many tasks are special, in words.
    pub(crate) fn summary(&self) -> String {
        let count =
            |matches: &dyn Fn(&Planned) -> bool| self.tasks.iter().filter(|task| matches(task)).count();
        format!(
            "{} with images, {} dead letters, {} failing permanently, {} to be cancelled, {} with duplicate messages",
            count(&|task| task.is_image),
            count(&|task| task.end() == End::DeadLetter),
            count(&|task| matches!(task.end(), End::Permanent(_))),
            count(&|task| task.cancelled_after.is_some()),
            count(&|task| task.duplicates > 0),
        )
    }

    /// The request that submits a task.
    pub(crate) fn body(&self, task: &Planned) -> Value {
        let (fault, attempts) = match task.scenario {
            Scenario::Plain | Scenario::InvalidImage => ("none".to_owned(), ATTEMPTS),
            Scenario::Large if task.is_image => ("faces:500".to_owned(), ATTEMPTS),
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
        let (name, input) = match (task.is_image, task.scenario) {
            (true, Scenario::InvalidImage) => ("face_detection", json!({ "image": self.invalid_picture })),
            (true, _) => ("face_detection", json!({ "image": self.picture })),
            (false, Scenario::Large) => ("sentiment", json!({ "text": PRAISE.repeat(100) })),
            (false, _) => ("sentiment", json!({ "text": PRAISE })),
        };
        let mut body = json!({
            "type": name,
            "input": input,
            "metadata": { "fault": fault, "number": task.number.to_string() },
            "max_attempts": attempts,
        });
        if task.scenario == Scenario::TimesOut {
            body["timeout_seconds"] = json!(1);
        }
        body
    }

    /// The idempotency key of a task's submission.
    pub(crate) fn key(&self, task: &Planned) -> String {
        format!("soak-{}-{}", self.seed, task.number)
    }
}

impl Planned {
    fn random(number: u32, rng: &mut Rng) -> Self {
        let scenario = match rng.u32(0..1000) {
            0..=2 => Scenario::Aborts,
            3..=5 => Scenario::TimesOut,
            6..=25 => Scenario::AlwaysFails(rng.u32(1..=4)),
            26..=40 => Scenario::Panic,
            41..=55 => Scenario::InvalidImage,
            56..=75 => Scenario::Large,
            76..=85 => Scenario::Slow(rng.u32(300..2_500)),
            216..=220 => Scenario::Frozen(rng.u32(5_000..7_000)),
            86..=115 => Scenario::Throttled(rng.u32(1..=2)),
            116..=215 => Scenario::Transient(rng.u32(1..=3)),
            _ => Scenario::Plain,
        };
        let is_cancelled = rng.u32(0..100) < 5;
        Self {
            number,
            scenario,
            is_image: scenario == Scenario::InvalidImage || rng.u32(0..100) < 15,
            duplicates: rng.u32(0..100).saturating_sub(96),
            cancelled_after: is_cancelled.then(|| Duration::from_millis(rng.u64(0..4_000))),
            is_retried: rng.bool(),
        }
    }

    /// How the task must end if it is not cancelled.
    pub(crate) fn end(&self) -> End {
        match self.scenario {
            Scenario::Panic => End::Permanent("panic"),
            Scenario::InvalidImage => End::Permanent("invalid_image"),
            Scenario::AlwaysFails(_) | Scenario::Aborts | Scenario::TimesOut => End::DeadLetter,
            Scenario::Plain
            | Scenario::Transient(_)
            | Scenario::Throttled(_)
            | Scenario::Slow(_)
            | Scenario::Frozen(_)
            | Scenario::Large => End::Completed,
        }
    }

    /// The setting with the URL of its lane's queue.
    pub(crate) fn queue(&self) -> &'static str {
        if self.is_image {
            "IMAGE_QUEUE_URL"
        } else {
            "TEXT_QUEUE_URL"
        }
    }
}
