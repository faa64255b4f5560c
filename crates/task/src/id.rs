//! The names of a task: its id, its tenant, and the shard that stores it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One of the [`Shard::COUNT`] partitions that a tenant's tasks are spread over, written as one hexadecimal digit.
///
/// DynamoDB does not split a partition by heat where its keys are ordered by time, so a tenant with a single partition would
/// be limited to 1,000 writes a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(u8);

impl Shard {
    /// The number of shards of a tenant.
    pub const COUNT: usize = 16;

    /// Every shard, in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..16).map(Self)
    }

    /// The partition key of this shard of a tenant's tasks. It contains the tenant, so that no tenant reads another's tasks.
    #[must_use]
    pub fn partition(self, tenant: &Tenant) -> String {
        format!("{tenant}#{self}")
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A task's id: a UUIDv7, so ids sort by the time of creation (RFC 9562, section 5.7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$"))]
#[serde(try_from = "String", into = "String")]
pub struct TaskId(Uuid);

impl TaskId {
    /// A new id for the current time.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id `n` after this one, with the same time. The ids of a batch follow from its first: they are in order, and their
    /// shards take turns.
    #[must_use]
    pub fn plus(self, n: u16) -> Self {
        /// The random bits below the variant. An overflow wraps around inside them.
        const TAIL: u128 = (1 << 62) - 1;
        let id = self.0.as_u128();
        Self(Uuid::from_u128(id & !TAIL | (id + u128::from(n)) & TAIL))
    }

    /// The id as 16 bytes, big-endian.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The shard that contains the task: the id's last four bits, which are random.
    #[must_use]
    pub fn shard(self) -> Shard {
        Shard(self.0.as_bytes()[15] & 0xf)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a task id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a task id: expected a version 7 UUID in lower case with hyphens")]
pub struct InvalidId;

impl FromStr for TaskId {
    type Err = InvalidId;

    /// Accepts only the canonical form, so that a task has one address.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let id = Uuid::try_parse(text).map_err(|_| InvalidId)?;
        let task = Self(id);
        if id.get_version_num() == 7 && task.to_string() == text {
            Ok(task)
        } else {
            Err(InvalidId)
        }
    }
}

impl TryFrom<String> for TaskId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.to_string()
    }
}

impl TryFrom<[u8; 16]> for TaskId {
    type Error = InvalidId;

    fn try_from(bytes: [u8; 16]) -> Result<Self, InvalidId> {
        Uuid::from_bytes(bytes).to_string().parse()
    }
}

/// A range of ids, and therefore of time. A list reads it from each shard, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// Inclusive, like `highest`.
    lowest: Uuid,
    highest: Uuid,
}

impl IdRange {
    /// The range of all ids.
    pub const ALL: Self = Self {
        lowest: Uuid::nil(),
        highest: Uuid::max(),
    };

    /// The part of the range below this id.
    #[must_use]
    pub fn below(self, id: TaskId) -> Self {
        self.up_to(id.0.as_u128().saturating_sub(1))
    }

    /// The part of the range from before this time.
    #[must_use]
    pub fn before(self, time: Timestamp) -> Self {
        self.up_to(lowest_at(time).saturating_sub(1))
    }

    /// The part of the range from this time on.
    #[must_use]
    pub fn since(self, time: Timestamp) -> Self {
        Self {
            lowest: self.lowest.max(Uuid::from_u128(lowest_at(time))),
            ..self
        }
    }

    fn up_to(self, highest: u128) -> Self {
        Self {
            highest: self.highest.min(Uuid::from_u128(highest)),
            ..self
        }
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.lowest > self.highest
    }

    #[must_use]
    pub fn contains(self, id: TaskId) -> bool {
        (self.lowest..=self.highest).contains(&id.0)
    }

    /// The lowest and the highest id as text, both inclusive. The texts sort like the ids.
    #[must_use]
    pub fn bounds(self) -> (String, String) {
        (self.lowest.to_string(), self.highest.to_string())
    }
}

/// The lowest id of this time: the first 48 bits are the milliseconds since the epoch.
fn lowest_at(time: Timestamp) -> u128 {
    let millis = u128::try_from(time.as_millisecond()).unwrap_or(0);
    millis << 80
}

/// The owner of tasks: 1 to 64 lower case letters, digits and hyphens. The name is part of table keys and object keys, whose
/// separators it must not contain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(String);

impl Tenant {
    /// The tenant of a stack's first token.
    #[must_use]
    pub fn first() -> Self {
        Self("default".to_owned())
    }

    /// The name in keys and messages.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not a tenant's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a tenant name: expected 1 to 64 lower case letters, digits and hyphens")]
pub struct InvalidTenant;

impl TryFrom<String> for Tenant {
    type Error = InvalidTenant;

    fn try_from(name: String) -> Result<Self, InvalidTenant> {
        let in_alphabet = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=64).contains(&name.len()) && name.bytes().all(in_alphabet) {
            Ok(Self(name))
        } else {
            Err(InvalidTenant)
        }
    }
}

impl From<Tenant> for String {
    fn from(tenant: Tenant) -> Self {
        tenant.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_from_its_text_and_nothing_else_is() {
        let id = TaskId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            "",
            "42",
            "../../etc/passwd",
            "7f0c9a0e-5a5c-4a7e-9f57-0d1d7d7c7a11",
        ] {
            assert_eq!(text.parse::<TaskId>(), Err(InvalidId), "{text}");
        }
        assert_eq!(id.to_string().to_uppercase().parse::<TaskId>(), Err(InvalidId));
        assert_eq!(id.to_string().replace('-', "").parse::<TaskId>(), Err(InvalidId));
    }

    #[test]
    fn ids_sort_by_time_and_spread_over_the_shards() {
        let ids: Vec<_> = (0..1_000).map(|_| TaskId::generate()).collect();
        assert!(ids.is_sorted());
        let shards: std::collections::BTreeSet<_> = ids.iter().map(|id| id.shard()).collect();
        assert_eq!(
            shards.into_iter().collect::<Vec<_>>(),
            Shard::all().collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_batchs_ids_are_in_order_and_spread_evenly() {
        let first = TaskId::generate();
        let ids: Vec<_> = (0..1_000).map(|n| first.plus(n)).collect();
        assert_eq!(ids[0], first);
        assert!(ids.iter().all(|id| id.to_string().parse() == Ok(*id)));
        assert!(ids.windows(2).all(|pair| pair[0].shard() != pair[1].shard()));
        let last: TaskId = "01900000-0000-7000-bfff-ffffffffffff".parse().unwrap();
        assert_eq!(last.plus(1).to_string(), "01900000-0000-7000-8000-000000000000");
    }

    #[test]
    fn a_range_contains_the_ids_of_its_time() {
        let id: TaskId = "018bcfe5-687b-7123-9abc-123456789abc".parse().unwrap();
        let created = crate::testing::NOON;
        let millisecond = std::time::Duration::from_millis(1);
        let contains = |range: IdRange| {
            let (lowest, highest) = range.bounds();
            let is_between = (lowest..=highest).contains(&id.to_string());
            assert_eq!(is_between, range.contains(id));
            is_between
        };
        assert!(contains(IdRange::ALL));
        assert!(
            contains(IdRange::ALL.since(created)) && !contains(IdRange::ALL.since(created + millisecond))
        );
        assert!(
            contains(IdRange::ALL.before(created + millisecond)) && !contains(IdRange::ALL.before(created))
        );
        assert!(contains(IdRange::ALL.below(id.plus(1))) && !contains(IdRange::ALL.below(id)));
        assert!(IdRange::ALL.since(created).before(created).is_empty());
        assert!(
            !IdRange::ALL
                .since(created)
                .before(created + millisecond)
                .is_empty()
        );
        assert!(IdRange::ALL.before(Timestamp::MIN).since(created).is_empty());
        assert_eq!(TaskId::try_from(id.to_bytes()), Ok(id));
        assert_eq!(TaskId::try_from([0; 16]), Err(InvalidId));
    }

    #[test]
    fn a_shard_is_one_hexadecimal_digit_of_its_tenants_partition() {
        let id: TaskId = "018bcfe5-687b-7123-9abc-12345678900f".parse().unwrap();
        assert_eq!(id.shard().to_string(), "f");
        assert_eq!(id.shard().partition(&Tenant::first()), "default#f");
        assert_eq!(Shard::all().count(), Shard::COUNT);
    }

    #[test]
    fn a_tenant_name_cannot_contain_separators_of_keys() {
        for name in ["", "a#b", "a/b", "..", "Upper", "ü", &"x".repeat(65)] {
            assert_eq!(Tenant::try_from(name.to_owned()), Err(InvalidTenant), "{name}");
        }
        assert!(Tenant::try_from("team-7".to_owned()).is_ok());
    }
}
