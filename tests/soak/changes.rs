//! The change log, as a client reads it that must not miss a change.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mesh_tests::{Api, eventually};
use serde_json::Value;

use crate::assertions::get;
use crate::ledger::Visible;

/// How long the log may take to follow the last change.
const LOG_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct ChangeLog(Mutex<Read>);

#[derive(Debug, Default)]
struct Read {
    /// The cursor to continue from.
    next: String,
    /// In order, with the number of each.
    changes: Vec<(u64, String)>,
    gaps: Vec<String>,
}

impl ChangeLog {
    /// Begins to follow.
    pub(crate) fn begin(&self, api: &Api) {
        let page = eventually("the change log is read", || get(api, "/v1/changes"));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next = text(&page["next"]);
    }

    /// Reads what follows, and waits for it.
    pub(crate) fn follow(&self, api: &Api, wait_seconds: u32) {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let path = format!("/v1/changes?after={}&wait={wait_seconds}", read.next);
        let Some(page) = get(api, &path) else {
            // The server is down.
            thread::sleep(Duration::from_millis(100));
            return;
        };
        for change in page["changes"].as_array().into_iter().flatten() {
            let number = text(&change["cursor"]).parse().unwrap_or_default();
            let expected = read.changes.last().map(|(last, _)| last + 1);
            if expected.is_some_and(|expected| expected != number) {
                read.gaps
                    .push(format!("the change log has {number} in place of {expected:?}"));
            }
            let parts =
                ["id", "previous_status", "status", "generation", "attempt"].map(|name| &change[name]);
            read.changes.push((number, line(parts)));
        }
        read.next = text(&page["next"]);
    }

    /// Whether the log is exactly what was written, in that order.
    pub(crate) fn compare(&self, api: &Api, visible: &[Visible]) -> Vec<String> {
        let written: Vec<_> = visible
            .iter()
            .map(|change| {
                let after = &change.after;
                let [before, id, status] = [change.before.as_ref(), Some(&after.id), Some(&after.status)]
                    .map(|text| text.map_or(Value::Null, |text| Value::from(text.as_str())));
                line([
                    &id,
                    &before,
                    &status,
                    &after.generation.into(),
                    &after.attempt.into(),
                ])
            })
            .collect();
        let deadline = Instant::now() + LOG_TIMEOUT;
        let count = || {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .changes
                .len()
        };
        while count() < written.len() && Instant::now() < deadline {
            self.follow(api, 1);
        }
        // What must not be there has its chance to come.
        self.follow(api, 0);
        let read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        println!("soak: the change log has {} changes", read.changes.len());
        let mut findings = read.gaps.clone();
        let logged = || read.changes.iter().map(|(_, line)| line);
        if !logged().eq(&written) {
            let different = logged().zip(&written).find(|(logged, written)| logged != written);
            findings.push(format!(
                "the change log has {} changes, {} were written; the first that differ: {different:?}",
                read.changes.len(),
                written.len()
            ));
        }
        findings
    }
}

fn line(parts: [&Value; 5]) -> String {
    parts.map(Value::to_string).join(" ")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
