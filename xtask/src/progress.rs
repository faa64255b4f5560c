//! What a person sees while something long runs: a spinner on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Where nobody watches a spinner, a line this often shows that the work goes on.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// One piece of work under a title. Ends with a line that says how it went and how long it took.
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
            let bar = ProgressBar::new_spinner()
                .with_style(style)
                .with_prefix(title.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if bar.is_none() {
            eprintln!("- {title}");
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

    /// Shows the latest news of the work.
    pub(crate) fn update(&mut self, message: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(message.to_owned()),
            None if self.last_line.elapsed() >= HEARTBEAT => {
                eprintln!("  ... {} ({:.0?}): {message}", self.title, self.started.elapsed());
                self.last_line = Instant::now();
            }
            None => {}
        }
    }

    /// Ends well. A step too short to notice leaves no line.
    pub(crate) fn done(mut self, note: &str) {
        let took = self.started.elapsed();
        let note = if note.is_empty() {
            String::new()
        } else {
            format!(": {note}")
        };
        self.end();
        if took >= Duration::from_millis(50) || self.bar.is_none() {
            eprintln!("✓ {}{note} ({})", self.title, seconds(took));
        }
    }

    fn end(&mut self) {
        self.ended = true;
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.ended {
            self.end();
            eprintln!("✗ {} ({})", self.title, seconds(self.started.elapsed()));
        }
    }
}

/// A time as a person says it: `0.4 s`, `2 min 05 s`.
pub(crate) fn seconds(time: Duration) -> String {
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
    fn times_read_as_people_say_them() {
        assert_eq!(seconds(Duration::from_millis(420)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 05 s");
    }
}
