//! Shows the progress of long work: a spinner for each step on a terminal, plain lines elsewhere. Several steps may go on
//! at the same time, on different threads.

use std::io::IsTerminal;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a line shows that the work goes on, where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The spinners of the steps that go on, one below the other.
static SPINNERS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Prints a line above the spinners.
pub(crate) fn line(text: &str) {
    SPINNERS.suspend(|| eprintln!("{text}"));
}

/// One piece of work with a title. Its last line gives the outcome and the duration. Dropped before [`Step::done`], it
/// has failed.
#[derive(Debug)]
pub(crate) struct Step {
    title: String,
    started: Instant,
    bar: Option<ProgressBar>,
    last_line: Instant,
    ended: bool,
}

impl Step {
    pub(crate) fn start(title: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {prefix} [{elapsed}] {wide_msg:.dim}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = SPINNERS.add(
                ProgressBar::new_spinner()
                    .with_style(style)
                    .with_prefix(title.to_owned()),
            );
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if bar.is_none() {
            line(&format!("- {title}"));
        }
        let now = Instant::now();
        Self {
            title: title.to_owned(),
            started: now,
            bar,
            last_line: now,
            ended: false,
        }
    }

    /// Shows the latest line of the work's output.
    pub(crate) fn update(&mut self, message: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(message.to_owned()),
            None if self.last_line.elapsed() >= HEARTBEAT => {
                let took = format_duration(self.started.elapsed());
                line(&format!("  ... {} ({took}): {message}", self.title));
                self.last_line = Instant::now();
            }
            None => {}
        }
    }

    /// Ends the step successfully. On a terminal, a very short step leaves no line.
    pub(crate) fn done(mut self, note: &str) {
        let took = self.started.elapsed();
        let note = if note.is_empty() {
            String::new()
        } else {
            format!(": {note}")
        };
        self.end();
        if took >= Duration::from_millis(50) || self.bar.is_none() {
            line(&format!("✓ {}{note} ({})", self.title, format_duration(took)));
        }
    }

    fn end(&mut self) {
        self.ended = true;
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            SPINNERS.remove(bar);
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.ended {
            self.end();
            let took = format_duration(self.started.elapsed());
            line(&format!("✗ {} ({took})", self.title));
        }
    }
}

/// Formats a duration for people: `0.4 s`, `2 min 05 s`.
pub(crate) fn format_duration(time: Duration) -> String {
    let whole = time.as_secs();
    if whole < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_seconds_and_minutes() {
        assert_eq!(format_duration(Duration::from_millis(420)), "0.4 s");
        assert_eq!(format_duration(Duration::from_secs(125)), "2 min 05 s");
    }
}
