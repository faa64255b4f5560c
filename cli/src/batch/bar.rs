//! The progress bar: finished lines, their rate, and the estimated time left.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::format;

/// A bar on standard error, which indicatif hides without a terminal. `is_hidden` hides it where the results go to the
/// same terminal.
pub(super) fn progress(total: usize, finished: usize, is_hidden: bool) -> Result<ProgressBar> {
    if is_hidden {
        return Ok(ProgressBar::hidden());
    }
    let rate = |state: &ProgressState, out: &mut dyn Write| {
        let _ = write!(out, "{:.1}/s", state.per_sec());
    };
    let left = |state: &ProgressState, out: &mut dyn Write| {
        let left = state.eta();
        // There is no estimate before the first line is finished.
        if !left.is_zero() {
            let left = format::millis(left.as_secs().saturating_mul(1_000));
            let _ = write!(out, "{left} left");
        }
    };
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} finished, {msg} submitted  {rate}  {left}")?;
    let style = style.with_key("rate", rate).with_key("left", left);
    let bar = ProgressBar::new(total as u64)
        .with_style(style.progress_chars("━╸─"))
        .with_message("0")
        .with_position(finished as u64);
    // The lines of an earlier run must not count for this run's rate.
    bar.reset_eta();
    bar.enable_steady_tick(Duration::from_millis(250));
    Ok(bar)
}
