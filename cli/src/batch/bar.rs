//! The bar that shows how far a batch is, how fast it goes and how long the rest will take.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::words;

/// Shown on a terminal alone, and not where results go to the same one.
pub(super) fn progress(all: usize, finished: usize, is_in_the_way: bool) -> Result<ProgressBar> {
    if is_in_the_way {
        return Ok(ProgressBar::hidden());
    }
    let rate = |state: &ProgressState, out: &mut dyn Write| {
        let _ = write!(out, "{:.1}/s", state.per_sec());
    };
    let left = |state: &ProgressState, out: &mut dyn Write| {
        let left = state.eta();
        // Before anything is finished, nothing is known of it.
        if !left.is_zero() {
            let left = words::millis(left.as_secs().saturating_mul(1_000));
            let _ = write!(out, "{left} left");
        }
    };
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} finished, {msg} submitted  {rate}  {left}")?;
    let style = style.with_key("rate", rate).with_key("left", left);
    let bar = ProgressBar::new(all as u64)
        .with_style(style.progress_chars("━╸─"))
        .with_message("0")
        .with_position(finished as u64);
    // What an earlier run did says nothing of this one's speed.
    bar.reset_eta();
    bar.enable_steady_tick(Duration::from_millis(250));
    Ok(bar)
}
