//! Formats times, counts and results for people.

use jiff::{SignedDuration, Timestamp};
use mesh_task::{Failure, Metadata, Outcome, Status, TaskResult};

use crate::screen::Style;

/// In UTC, to the second.
pub(crate) fn timestamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// In UTC, to the millisecond.
pub(crate) fn time_of_day(time: Timestamp) -> String {
    time.strftime("%H:%M:%S%.3f").to_string()
}

pub(crate) fn elapsed(from: Timestamp, to: Timestamp) -> String {
    millis(u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0))
}

/// `87 ms`, `4.2 s`, `3 min 20 s`, `5 h 2 min`.
pub(crate) fn millis(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds}.{} s", millis % 1_000 / 100),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// The time since then in a single unit, such as `7 min`.
pub(crate) fn age(time: Timestamp, now: Timestamp) -> String {
    let past = now.duration_since(time).max(SignedDuration::ZERO);
    match past.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// `1 line`, `2 lines`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

pub(crate) fn status_style(status: Status) -> Style {
    match status {
        Status::Completed => Style::Good,
        Status::Failed | Status::Cancelled => Style::Bad,
        Status::Processing => Style::Busy,
        Status::Pending | Status::Blocked => Style::Plain,
    }
}

pub(crate) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Permanent => "permanent",
        Outcome::Transient => "transient",
        Outcome::Timeout => "timeout",
        Outcome::Throttled => "throttled",
        Outcome::Interrupted => "interrupted",
        Outcome::Lost => "lost",
        Outcome::Cancelled => "cancelled",
    }
}

pub(crate) fn metadata(metadata: &Metadata) -> String {
    let pairs: Vec<_> = metadata
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(" ")
}

pub(crate) fn failure(failure: &Failure) -> String {
    format!("{}: {}", failure.code, failure.message)
}

/// A result on one line.
pub(crate) fn result(result: &TaskResult) -> String {
    match result {
        TaskResult::Sentiment(found) => {
            let label = serde_json::to_value(found.label).unwrap_or_default();
            format!(
                "{} with score {:.3}",
                label.as_str().unwrap_or_default(),
                found.score
            )
        }
        TaskResult::Classification(found) => {
            let scores = found.scores.iter().take(3);
            let scores: Vec<_> = scores
                .map(|label| format!("{} {:.3}", label.label, label.score))
                .collect();
            scores.join(", ")
        }
        TaskResult::Embeddings(found) => {
            let length = found.embeddings.first().map_or(0, Vec::len);
            format!("{} of {length} numbers", count(found.embeddings.len(), "vector"))
        }
        TaskResult::Summary(found) => found.summary.clone(),
        TaskResult::Translation(found) => found.text.clone(),
        TaskResult::Extraction(found) => serde_json::to_string(&found.fields).unwrap_or_default(),
        TaskResult::FaceDetection(found) => {
            let faces = found.faces.iter().map(|face| {
                let at = &face.bounds;
                format!(
                    "{:.0} x {:.0} pixels at {:.0}, {:.0} (score {:.3})",
                    at.width, at.height, at.x, at.y, face.score
                )
            });
            let faces: Vec<_> = faces.collect();
            let number = count(found.count, "face");
            if faces.is_empty() {
                number
            } else {
                format!("{number}: {}", faces.join("; "))
            }
        }
        TaskResult::Page(found) => format!("{}: {}", count(found.lines.len(), "line"), found.text),
        TaskResult::Transcript(found) => found.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_formatted_in_the_unit_that_fits() {
        let formatted = [0, 999, 1_250, 59_999, 60_000, 3_599_000, 3_600_000, 90_000_000].map(millis);
        let expected = [
            "0 ms",
            "999 ms",
            "1.2 s",
            "59.9 s",
            "1 min 0 s",
            "59 min 59 s",
            "1 h 0 min",
            "25 h 0 min",
        ];
        assert_eq!(formatted, expected);
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(100);
        let age_of = |seconds| age(now - SignedDuration::from_secs(seconds), now);
        assert_eq!(
            [-5, 59, 60, 7_200, 172_800].map(age_of),
            ["0 s", "59 s", "1 min", "2 h", "2 d"]
        );
    }
}
