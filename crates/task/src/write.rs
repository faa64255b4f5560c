//! A conditional write as data: what must hold for a task's item, and how the item then changes.
//!
//! Every transition (`transitions.rs`) is a value of this type. The task table renders it as a DynamoDB expression, and the
//! model test applies it to items in memory. So both enforce the same conditions.

use serde_json::{Map, Value};

/// A task's item: attributes by name.
pub type Item = Map<String, Value>;

/// An attribute that transitions read or write. Except for the last three, each is the field of [`Task`](crate::Task) of
/// the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    Status,
    Generation,
    Attempt,
    MaxAttempts,
    Fence,
    #[strum(serialize = "suspicion")]
    ConsecutiveCrashes,
    Throttles,
    History,
    Result,
    ResultObject,
    Report,
    Error,
    RedrivenAt,
    UpdatedAt,
    NextAttemptAt,
    LeaseUntil,
    DueAt,
    /// The partition of the index of tasks in flight: the task's shard. Absent once the task is final.
    DueShard,
    /// The partition of the index of failed tasks: the tenant and the shard. Absent unless the task failed.
    FailedTenantShard,
    /// When DynamoDB may delete the item, in seconds since the epoch.
    ExpiresAt,
}

impl Field {
    /// The attribute's name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What must hold for an item. As in DynamoDB, no comparison holds for an absent attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The attribute has this value.
    Is(Field, Value),
    /// The attribute is absent.
    Absent(Field),
    /// The attribute is a number, and not above this one.
    AtMost(Field, i64),
    /// The attribute is a number below this one.
    Below(Field, i64),
    /// The first attribute is a number below the second.
    BelowField(Field, Field),
    /// Every condition holds.
    All(Vec<Self>),
    /// At least one condition holds.
    Any(Vec<Self>),
}

/// One change to an item. Every change of a write sees the item as it was before the write.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Sets the attribute to a value.
    Set(Field, Value),
    /// Adds to a number. The attribute exists.
    Add(Field, i64),
    /// Appends an element to a list. The attribute exists.
    Append(Field, Value),
    /// Removes the attribute.
    Remove(Field),
}

/// A conditional write: all of its changes are made, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// What must hold for the changes to be made.
    pub condition: Condition,
    /// The changes, in any order.
    pub changes: Vec<Change>,
}

impl Condition {
    /// Whether the condition holds for the item.
    #[must_use]
    pub fn holds(&self, item: &Item) -> bool {
        let number = |field: Field| item.get(field.name()).and_then(Value::as_i64);
        match self {
            Self::Is(field, value) => item.get(field.name()) == Some(value),
            Self::Absent(field) => !item.contains_key(field.name()),
            Self::AtMost(field, bound) => number(*field).is_some_and(|it| it <= *bound),
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
    /// Applies the write to an item in memory as the table applies it. Returns whether the condition held.
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
    fn no_comparison_holds_for_an_absent_attribute() {
        let item = Item::new();
        assert!(!Condition::AtMost(Field::LeaseUntil, i64::MAX).holds(&item));
        assert!(!Condition::BelowField(Field::Attempt, Field::MaxAttempts).holds(&item));
        assert!(Condition::Absent(Field::LeaseUntil).holds(&item));
    }
}
