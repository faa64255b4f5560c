//! The number of tasks of each type and status.

use std::collections::BTreeMap;

use mesh_task::{Status, TaskType};
use serde::{Deserialize, Serialize};

/// The number of tasks by type and status. Counts of zero are not stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<String, BTreeMap<String, i64>>);

impl Counts {
    /// Adds to the count of a type and status. `by` may be negative.
    pub fn add(&mut self, task_type: TaskType, status: Status, by: i64) {
        let of_type = self.0.entry(task_type.as_str().to_owned()).or_default();
        let count = of_type.entry(status.as_str().to_owned()).or_default();
        *count += by;
        if *count == 0 {
            of_type.remove(status.as_str());
        }
        if of_type.is_empty() {
            self.0.remove(task_type.as_str());
        }
    }

    /// The count of a type and status. It is negative if records were lost; the counters must be rebuilt then.
    #[must_use]
    pub fn get(&self, task_type: TaskType, status: Status) -> i64 {
        let count = self.0.get(task_type.as_str());
        count
            .and_then(|of_type| of_type.get(status.as_str()))
            .copied()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_zero_is_not_stored() {
        let mut counts = Counts::default();
        counts.add(TaskType::Ocr, Status::Pending, 2);
        counts.add(TaskType::Ocr, Status::Pending, -2);
        assert_eq!(counts, Counts::default());
        counts.add(TaskType::Ocr, Status::Failed, -1);
        assert_eq!(counts.get(TaskType::Ocr, Status::Failed), -1);
        assert_eq!(counts.get(TaskType::Embed, Status::Failed), 0);
    }
}
