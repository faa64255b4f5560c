//! What each task of a soak asks for, and what must become of it: all from one seed.

use std::time::Duration;

use fastrand::Rng;
use mesh_tests::pictures;
use serde_json::{Value, json};

/// A task, as it is submitted.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) number: u32,
    pub(crate) wish: Wish,
    is_image: bool,
    /// How many more messages ring for it.
    pub(crate) duplicates: u32,
    /// Cancelled this long after it was accepted.
    pub(crate) cancelled_after: Option<Duration>,
    /// Given new attempts if the cancel came in time.
    pub(crate) is_revived: bool,
}

/// What a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// An answer.
    Plain,
    /// An answer after so many failed attempts.
    Transient(u32),
    /// An answer after it was turned away so often.
    Throttled(u32),
    /// An answer that takes so many milliseconds longer.
    Slow(u32),
    /// An answer after its first worker froze for so many milliseconds, until another had begun.
    Stalled(u32),
    /// An answer about a large input, or a large one.
    Large,
    /// A run that panics.
    Panic,
    /// A run on what is no image.
    Broken,
    /// A run that fails each time, of so many.
    Poison(u32),
    /// A run that takes its process along, both times.
    Killer,
    /// A run that outlasts its timeout, both times.
    Overdue,
}

/// How a task must end if it is not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    /// Failed for good, with this code.
    Permanent(&'static str),
    /// Failed after its attempts, with one of these kinds.
    DeadLetter,
}

/// A soak.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) tasks: Vec<Planned>,
    pub(crate) seed: u64,
    picture: String,
    broken_picture: String,
}

/// Attempts enough that no innocent's are spent by what befalls the workers.
const ATTEMPTS: u32 = 10;
const PRAISE: &str = "What a wonderful film, I loved every minute of it.";

impl Plan {
    pub(crate) fn new(tasks: u32, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let picture = image::DynamicImage::new_rgb8(64, 64);
        let picture = pictures::encode(&picture, image::ImageFormat::Png);
        Self {
            tasks: (0..tasks).map(|number| Planned::draw(number, &mut rng)).collect(),
            seed,
            picture: pictures::base64(&picture),
            broken_picture: pictures::base64(&pictures::hollow_png(64, 64)),
        }
    }

    /// What makes the soak differ from an easy one.
    pub(crate) fn summary(&self) -> String {
        let count = |is_it: &dyn Fn(&Planned) -> bool| self.tasks.iter().filter(|task| is_it(task)).count();
        format!(
            "{} with images, {} dead letters, {} failing for good, {} to be cancelled, {} rung for more than once",
            count(&|task| task.is_image),
            count(&|task| task.end() == End::DeadLetter),
            count(&|task| matches!(task.end(), End::Permanent(_))),
            count(&|task| task.cancelled_after.is_some()),
            count(&|task| task.duplicates > 0),
        )
    }

    /// The request that submits a task.
    pub(crate) fn body(&self, task: &Planned) -> Value {
        let (fault, attempts) = match task.wish {
            Wish::Plain | Wish::Broken => ("none".to_owned(), ATTEMPTS),
            Wish::Large if task.is_image => ("faces:500".to_owned(), ATTEMPTS),
            Wish::Large => ("none".to_owned(), ATTEMPTS),
            Wish::Transient(failures) => (format!("transient:{failures}"), ATTEMPTS),
            Wish::Throttled(times) => (format!("throttle:{times}"), ATTEMPTS),
            Wish::Slow(milliseconds) => (format!("slow:{milliseconds}"), ATTEMPTS),
            Wish::Stalled(milliseconds) => (format!("stall:{milliseconds}"), ATTEMPTS),
            Wish::Panic => ("panic".to_owned(), ATTEMPTS),
            Wish::Poison(attempts) => ("transient:99".to_owned(), attempts),
            Wish::Killer => ("abort".to_owned(), 2),
            Wish::Overdue => ("slow:60000".to_owned(), 2),
        };
        let (name, input) = match (task.is_image, task.wish) {
            (true, Wish::Broken) => ("face_detection", json!({ "image": self.broken_picture })),
            (true, _) => ("face_detection", json!({ "image": self.picture })),
            (false, Wish::Large) => ("sentiment", json!({ "text": PRAISE.repeat(100) })),
            (false, _) => ("sentiment", json!({ "text": PRAISE })),
        };
        let mut body = json!({
            "type": name,
            "input": input,
            "metadata": { "fault": fault, "number": task.number.to_string() },
            "max_attempts": attempts,
        });
        if task.wish == Wish::Overdue {
            body["timeout_seconds"] = json!(1);
        }
        body
    }

    /// The same for every try of the same task's submission.
    pub(crate) fn key(&self, task: &Planned) -> String {
        format!("soak-{}-{}", self.seed, task.number)
    }
}

impl Planned {
    fn draw(number: u32, rng: &mut Rng) -> Self {
        let wish = match rng.u32(0..1000) {
            0..=2 => Wish::Killer,
            3..=5 => Wish::Overdue,
            6..=25 => Wish::Poison(rng.u32(1..=4)),
            26..=40 => Wish::Panic,
            41..=55 => Wish::Broken,
            56..=75 => Wish::Large,
            76..=85 => Wish::Slow(rng.u32(300..2_500)),
            216..=220 => Wish::Stalled(rng.u32(5_000..7_000)),
            86..=115 => Wish::Throttled(rng.u32(1..=2)),
            116..=215 => Wish::Transient(rng.u32(1..=3)),
            _ => Wish::Plain,
        };
        let is_cancelled = rng.u32(0..100) < 5;
        Self {
            number,
            wish,
            is_image: wish == Wish::Broken || rng.u32(0..100) < 15,
            duplicates: rng.u32(0..100).saturating_sub(96),
            cancelled_after: is_cancelled.then(|| Duration::from_millis(rng.u64(0..4_000))),
            is_revived: rng.bool(),
        }
    }

    /// How the task must end if it is not cancelled.
    pub(crate) fn end(&self) -> End {
        match self.wish {
            Wish::Panic => End::Permanent("panic"),
            Wish::Broken => End::Permanent("invalid_image"),
            Wish::Poison(_) | Wish::Killer | Wish::Overdue => End::DeadLetter,
            Wish::Plain
            | Wish::Transient(_)
            | Wish::Throttled(_)
            | Wish::Slow(_)
            | Wish::Stalled(_)
            | Wish::Large => End::Completed,
        }
    }

    /// The name of its lane's queue in the stack's settings.
    pub(crate) fn queue(&self) -> &'static str {
        if self.is_image {
            "IMAGE_QUEUE_URL"
        } else {
            "TEXT_QUEUE_URL"
        }
    }
}
