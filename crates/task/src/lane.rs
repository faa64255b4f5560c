//! Which queue a task travels through: its worker's, in the lane of its size and priority. Decided here and nowhere else.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Size, Task, WorkerKind};

/// How soon a task is to run, where many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before the others: it has a lane of its own, which stands empty at most times.
    High,
    /// In turn.
    #[default]
    Normal,
    /// When it suits: its lane has few workers, but it always has them.
    Low,
}

impl Priority {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The name in the table and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

/// One of the lanes that each worker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneKind {
    /// Small tasks, which travel in tens.
    Small,
    /// Large ones, each by itself.
    Large,
    /// Those of high priority, each by itself.
    High,
    /// Those of low priority, each by itself.
    Low,
}

impl LaneKind {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Small, Self::Large, Self::High, Self::Low];

    /// Its name in settings and statistics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
            Self::High => "high",
            Self::Low => "low",
        }
    }

    const fn of(size: Size, priority: Priority) -> Self {
        match (priority, size) {
            (Priority::High, _) => Self::High,
            (Priority::Low, _) => Self::Low,
            (Priority::Normal, Size::Large) => Self::Large,
            (Priority::Normal, Size::Small) => Self::Small,
        }
    }
}

/// A lane of a worker. Each has a queue; where the stack leaves one out, its tasks travel with the small ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lane {
    /// Whose it is.
    pub modality: WorkerKind,
    /// Which of its tasks it carries.
    pub kind: LaneKind,
}

impl Lane {
    pub(crate) const fn of(modality: WorkerKind, size: Size, priority: Priority) -> Self {
        Self {
            modality,
            kind: LaneKind::of(size, priority),
        }
    }

    /// Every lane of every worker.
    pub fn all() -> impl Iterator<Item = Self> {
        let kinds = |modality| LaneKind::ALL.map(|kind| Self { modality, kind });
        WorkerKind::ALL.into_iter().flat_map(kinds)
    }
}

impl fmt::Display for Lane {
    /// `text-small`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.modality.as_str(), self.kind.as_str())
    }
}

impl Task {
    /// The lane it travels in.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        Lane::of(self.modality, self.size, self.priority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_goes_before_size() {
        let kinds =
            Priority::ALL.map(|priority| [Size::Small, Size::Large].map(|size| LaneKind::of(size, priority)));
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
}
