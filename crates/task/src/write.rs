//! A conditional write, as data: what must hold of a task's item, and what then becomes of it.
//!
//! The moves of a task (`transitions.rs`) are written in these words alone. The task table renders them for DynamoDB; the
//! model checks apply them to items in memory. So both keep the same promises.

use serde_json::{Map, Value};

/// A task's item.
pub type Item = Map<String, Value>;

/// An attribute that moves read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each is the field of `Task` of that name, but for the last three"
)]
pub enum Field {
    Status,
    Generation,
    Attempt,
    MaxAttempts,
    Fence,
    ConsecutiveCrashes,
    Throttles,
    History,
    Result,
    ResultObject,
    Report,
    Error,
    UpdatedAt,
    NextAttemptAt,
    LeaseUntil,
    DueAt,
    /// The partition of the index of what is in flight.
    DueShard,
    /// The partition of the index of what has failed.
    FailedTenantShard,
    /// When DynamoDB may remove the item, in seconds since the epoch.
    ExpiresAt,
}

impl Field {
    /// The attribute's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Generation => "generation",
            Self::Attempt => "attempt",
            Self::MaxAttempts => "max_attempts",
            Self::Fence => "fence",
            Self::ConsecutiveCrashes => "suspicion",
            Self::Throttles => "throttles",
            Self::History => "history",
            Self::Result => "result",
            Self::ResultObject => "result_object",
            Self::Report => "report",
            Self::Error => "error",
            Self::UpdatedAt => "updated_at",
            Self::NextAttemptAt => "next_attempt_at",
            Self::LeaseUntil => "lease_until",
            Self::DueAt => "due_at",
            Self::DueShard => "due_shard",
            Self::FailedTenantShard => "failed_tenant_shard",
            Self::ExpiresAt => "expires_at",
        }
    }
}

/// What must hold of an item. An attribute that is absent is equal to nothing and below nothing, as in DynamoDB.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// It has this value.
    Is(Field, Value),
    /// It is not there.
    Absent(Field),
    /// It is a number, and no more than this.
    AtMost(Field, i64),
    /// It is a number, and less than this.
    Below(Field, i64),
    /// It is a number, and less than another attribute.
    BelowField(Field, Field),
    /// All of these hold.
    All(Vec<Self>),
    /// One of these holds.
    Any(Vec<Self>),
}

/// One change to an item. All changes of a write read the item as it was before.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Gives it a value.
    Set(Field, Value),
    /// Adds to a number that is there.
    Add(Field, i64),
    /// Adds an element to a list that is there.
    Append(Field, Value),
    /// Takes it away.
    Remove(Field),
}

/// A conditional write.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// What must hold for it to land.
    pub condition: Condition,
    /// What it then does.
    pub changes: Vec<Change>,
}

impl Condition {
    /// Whether it holds of the item.
    #[must_use]
    pub fn holds(&self, item: &Item) -> bool {
        let number = |field: Field| item.get(field.name()).and_then(Value::as_i64);
        match self {
            Self::Is(field, value) => item.get(field.name()) == Some(value),
            Self::Absent(field) => !item.contains_key(field.name()),
            Self::AtMost(field, most) => number(*field).is_some_and(|it| it <= *most),
            Self::Below(field, bound) => number(*field).is_some_and(|it| it < *bound),
            Self::BelowField(field, bound) => number(*field)
                .zip(number(*bound))
                .is_some_and(|(it, bound)| it < bound),
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(item)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(item)),
        }
    }
}

impl Write {
    /// Does to an item in memory what the table would do to its own, and tells whether the condition held.
    pub fn apply(&self, item: &mut Item) -> bool {
        if !self.condition.holds(item) {
            return false;
        }
        for change in &self.changes {
            match change {
                Change::Set(field, value) => {
                    item.insert(field.name().to_owned(), value.clone());
                }
                Change::Add(field, by) => {
                    let before = item.get(field.name()).and_then(Value::as_i64).unwrap_or(0);
                    item.insert(field.name().to_owned(), (before + by).into());
                }
                Change::Append(field, element) => {
                    if let Some(Value::Array(list)) = item.get_mut(field.name()) {
                        list.push(element.clone());
                    }
                }
                Change::Remove(field) => {
                    item.remove(field.name());
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_write_whose_condition_fails_changes_nothing() {
        let Value::Object(mut item) = json!({ "fence": 2, "history": [] }) else {
            unreachable!()
        };
        let write = |fence: u64| Write {
            condition: Condition::Is(Field::Fence, fence.into()),
            changes: vec![
                Change::Add(Field::Fence, 1),
                Change::Append(Field::History, json!("a")),
            ],
        };
        let before = item.clone();
        assert!(!write(1).apply(&mut item));
        assert_eq!(item, before);
        assert!(write(2).apply(&mut item));
        assert_eq!(Value::Object(item), json!({ "fence": 3, "history": ["a"] }));
    }

    #[test]
    fn what_is_absent_is_below_nothing() {
        let item = Item::new();
        assert!(!Condition::AtMost(Field::LeaseUntil, i64::MAX).holds(&item));
        assert!(!Condition::BelowField(Field::Attempt, Field::MaxAttempts).holds(&item));
        assert!(Condition::Absent(Field::LeaseUntil).holds(&item));
    }
}
