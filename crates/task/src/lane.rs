//! Which queue a task uses: the lane of its worker, size and priority. No other code decides it.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::EnumCount;

use crate::{Size, Task, WorkerKind, variants};

/// How soon a task runs while many wait.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    Serialize,
    Deserialize,
    strum::EnumCount,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Priority {
    /// Before the others: its lane is usually empty.
    High,
    /// In the order of submission.
    #[default]
    Normal,
    /// Slowly but steadily: its lane has few workers, and they do nothing else.
    Low,
}

impl Priority {
    /// Every priority. It is an array, so that callers can hold one value for each priority.
    pub const ALL: [Self; Self::COUNT] = variants::array();

    /// The name in the table and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One of the four lanes of a worker.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::EnumCount,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum LaneKind {
    /// Small tasks, delivered in batches of up to ten.
    Small,
    /// Large tasks, delivered one by one.
    Large,
    /// Tasks of high priority, delivered one by one.
    High,
    /// Tasks of low priority, delivered one by one.
    Low,
}

impl LaneKind {
    /// Every lane of a worker. It is an array, so that callers can hold one value for each lane.
    pub const ALL: [Self; Self::COUNT] = variants::array();

    /// The name in settings and statistics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    const fn new(size: Size, priority: Priority) -> Self {
        match (priority, size) {
            (Priority::High, _) => Self::High,
            (Priority::Low, _) => Self::Low,
            (Priority::Normal, Size::Large) => Self::Large,
            (Priority::Normal, Size::Small) => Self::Small,
        }
    }
}

/// A lane of a worker. Each has a queue. Where a stack leaves a lane out, its tasks use the worker's small lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The worker that receives the lane's messages.
    pub worker_kind: WorkerKind,
    /// Which of the worker's tasks use the lane.
    pub kind: LaneKind,
}

impl Lane {
    pub(crate) const fn new(worker_kind: WorkerKind, size: Size, priority: Priority) -> Self {
        Self {
            worker_kind,
            kind: LaneKind::new(size, priority),
        }
    }

    /// Every lane of every worker.
    pub fn all() -> impl Iterator<Item = Self> {
        let lanes = |worker_kind| LaneKind::ALL.map(|kind| Self { worker_kind, kind });
        WorkerKind::ALL.into_iter().flat_map(lanes)
    }
}

impl fmt::Display for Lane {
    /// For example `text-small`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.worker_kind.as_str(), self.kind.as_str())
    }
}

impl Task {
    /// The lane of the task's messages.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        Lane::new(self.worker_kind, self.size, self.priority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_takes_precedence_over_size() {
        let kinds = Priority::ALL
            .map(|priority| [Size::Small, Size::Large].map(|size| LaneKind::new(size, priority)));
        let expected = [
            [LaneKind::High; 2],
            [LaneKind::Small, LaneKind::Large],
            [LaneKind::Low; 2],
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn every_lane_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Lane::all().map(|lane| lane.to_string()).collect();
        assert_eq!(names.len(), 16);
        assert!(names.contains("image-large") && names.contains("language-low"));
    }

    #[test]
    fn a_name_on_the_wire_is_the_name_in_code() {
        for priority in Priority::ALL {
            assert_eq!(serde_json::to_value(priority).unwrap(), priority.as_str());
        }
        for kind in LaneKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
