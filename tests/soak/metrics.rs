//! What `GET /metrics` says, compared with the ledger.

use std::collections::BTreeMap;

use mesh_tests::{Api, eventually};

use crate::ledger::Visible;
use crate::rules::State;

/// The value of each series that counts, by its name and labels as the text has them.
#[derive(Debug)]
pub(crate) struct Metrics(BTreeMap<String, usize>);

impl Metrics {
    pub(crate) fn read(api: &Api) -> Self {
        let text = eventually("the metrics are read", || api.try_get_text("/metrics").ok());
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let values = series.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(values.collect())
    }

    /// The series of a metric that are not 0.
    fn series<'a>(&'a self, metric: &'a str) -> impl Iterator<Item = (&'a str, usize)> {
        let of_metric = self.0.iter().filter_map(move |(name, value)| {
            let labels = name.strip_prefix(metric)?;
            (labels.is_empty() || labels.starts_with('{')).then_some((labels, *value))
        });
        of_metric.filter(|(_, value)| *value != 0)
    }

    /// The messages that wait and the tasks that run.
    pub(crate) fn work(&self) -> Vec<String> {
        let waiting = self
            .series("ai_mesh_queue_messages")
            .filter(|(labels, _)| !labels.contains("in_flight"));
        let work = waiting.chain(self.series("ai_mesh_tasks_running"));
        work.map(|(labels, value)| format!("{labels} = {value}"))
            .collect()
    }

    /// Whether the ends that were counted since the server's start are the last ones that were written.
    pub(crate) fn compare(&self, visible: &[Visible]) -> Vec<String> {
        let ends: Vec<_> = visible
            .iter()
            .filter(|change| change.after.is_final() && change.before.as_ref() != Some(&change.after.status))
            .map(|change| &change.after)
            .collect();
        let counted: BTreeMap<_, _> = self
            .series("ai_mesh_tasks_ended_total")
            .map(|(labels, value)| (labels.to_owned(), value))
            .collect();
        let total: usize = counted.values().sum();
        let mut last = BTreeMap::<String, usize>::new();
        for end in ends.iter().rev().take(total) {
            *last.entry(labels(end)).or_default() += 1;
        }
        let started: usize = self
            .series("process_start_time_seconds")
            .map(|(_, value)| value)
            .sum();
        // The start is known to the second.
        let started = i64::try_from((started + 1) * 1_000).unwrap_or(i64::MAX);
        let since = ends.iter().filter(|end| end.updated_at >= started).count();
        println!(
            "soak: the metrics count {total} of {} ends; {since} were since the last start",
            ends.len()
        );
        let mut findings = Vec::new();
        if last != counted {
            findings.push(format!(
                "the metrics count {counted:?}, and the last ends are {last:?}"
            ));
        }
        if total < since {
            findings.push(format!(
                "the metrics count {total} ends, and {since} were since the start"
            ));
        }
        findings
    }
}

/// The labels of the counter that counts an end.
fn labels(end: &State) -> String {
    let outcome = if end.is_dead_letter() { "dead" } else { &end.status };
    format!("{{type=\"{}\",outcome=\"{outcome}\"}}", end.task_type)
}
