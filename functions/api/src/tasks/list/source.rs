//! Where a list's tasks are read: the table itself, or one of its sparse indexes.

use std::cmp::Reverse;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use mesh_cloud::{CloudError, Page};
use mesh_task::{IdRange, SHARDS, Status, TaskId, TaskSummary, Tenant};

use super::merge::{Chunk, Listed, Merge, Next, Shards};
use crate::app::Api;
use crate::problem::Problem;

/// The most items that one request reads.
const MAX_READ: usize = 1_000;
/// The most keys of an index that it reads; the rest is for their tasks.
const MAX_KEYS: usize = 512;

/// A tenant's tasks in the order of their ids, newest first.
pub(super) struct Source<'a> {
    owner: Owner<'a>,
    found: Found<'a>,
}

#[derive(Clone, Copy)]
struct Owner<'a> {
    api: &'a Api,
    tenant: &'a Tenant,
}

enum Found<'a> {
    /// Everything.
    Table(Merge<Table<'a>>),
    /// What has failed. The index holds keys: each task is read by itself, and so many still may be.
    Failures { keys: Merge<Failures<'a>>, left: usize },
    /// What is in flight, when it is little enough to be read whole: that index is in order of time due.
    InFlight { ids: Vec<TaskId>, left: usize },
}

struct Table<'a>(Owner<'a>);

struct Failures<'a>(Owner<'a>);

/// What was drawn from a source.
pub(super) struct Drawn {
    /// Newest first.
    pub(super) tasks: Vec<TaskSummary>,
    /// The last that was looked at, if there was any.
    pub(super) last: Option<TaskId>,
    pub(super) then: Then,
}

/// What follows what was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// There may be more.
    More,
    /// There may be more, for another request.
    Spent,
    End,
}

impl<'a> Source<'a> {
    /// Where tasks of this status are found with the fewest reads.
    pub(super) async fn of(
        api: &'a Api,
        tenant: &'a Tenant,
        status: Option<Status>,
        range: IdRange,
        limit: usize,
    ) -> Result<Self, Problem> {
        let owner = Owner { api, tenant };
        let found = match status {
            Some(Status::Failed) => Found::Failures {
                keys: Merge::new(Failures(owner), range, limit, MAX_KEYS),
                left: MAX_READ - MAX_KEYS,
            },
            Some(Status::Pending | Status::Processing) if !range.is_empty() => {
                in_flight(owner, range, limit).await?
            }
            _ => Found::Table(Merge::new(Table(owner), range, limit, MAX_READ)),
        };
        Ok(Self { owner, found })
    }

    /// The next tasks, up to `wanted` of them.
    pub(super) async fn draw(&mut self, wanted: usize) -> Result<Drawn, Problem> {
        let (ids, last, then) = match &mut self.found {
            Found::Table(merge) => {
                let (tasks, last, then) = draw(merge, wanted).await?;
                return Ok(Drawn { tasks, last, then });
            }
            Found::Failures { keys, left } => {
                let (ids, last, then) = draw(keys, wanted.min(*left)).await?;
                *left -= ids.len();
                (ids, last, spent_at(*left, then))
            }
            Found::InFlight { ids, left } => {
                let rest = ids.split_off(ids.len().min(wanted).min(*left));
                let drawn = std::mem::replace(ids, rest);
                *left -= drawn.len();
                let then = if ids.is_empty() { Then::End } else { Then::More };
                let last = drawn.last().copied();
                (drawn, last, spent_at(*left, then))
            }
        };
        let tasks = self.owner.api.table.summaries(self.owner.tenant, ids).await;
        let mut tasks = tasks.map_err(|error| Problem::unavailable(&error))?;
        tasks.sort_unstable_by_key(|task| Reverse(task.id));
        Ok(Drawn { tasks, last, then })
    }
}

impl Shards for Table<'_> {
    type Entry = TaskSummary;
    type Error = CloudError;

    async fn read(&self, shard: u8, range: IdRange, limit: usize) -> Result<Chunk<TaskSummary>, CloudError> {
        let Owner { api, tenant } = self.0;
        let page = api.table.newest(tenant, shard, range, whole(limit)).await?;
        Ok(page.into())
    }
}

impl Shards for Failures<'_> {
    type Entry = TaskId;
    type Error = CloudError;

    async fn read(&self, shard: u8, range: IdRange, limit: usize) -> Result<Chunk<TaskId>, CloudError> {
        let Owner { api, tenant } = self.0;
        let page = api.table.failures(tenant, shard, range, whole(limit)).await?;
        Ok(page.into())
    }
}

impl<T> From<Page<T>> for Chunk<T> {
    fn from(page: Page<T>) -> Self {
        Self {
            last: page.last_read(),
            entries: page.entries,
        }
    }
}

fn whole(limit: usize) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}

fn spent_at(left: usize, then: Then) -> Then {
    if left == 0 && then == Then::More {
        Then::Spent
    } else {
        then
    }
}

/// What is in flight of a tenant, or everything where the index holds more than may be read: then most of the newest
/// tasks are in flight.
async fn in_flight(owner: Owner<'_>, range: IdRange, limit: usize) -> Result<Found<'_>, Problem> {
    let per_shard = whole(MAX_KEYS / usize::from(SHARDS));
    let names: Vec<_> = (0..SHARDS).map(|shard| format!("{shard:x}")).collect();
    let mut reads = Vec::new();
    for shard in &names {
        reads.push(owner.api.table.due(shard, Timestamp::MAX, per_shard, None));
    }
    let pages = try_join_all(reads)
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    let read: usize = pages.iter().map(|page| page.entries.len()).sum();
    let left = MAX_READ - read;
    if pages.iter().any(Page::has_next) {
        return Ok(Found::Table(Merge::new(Table(owner), range, limit, left)));
    }
    let due = pages.into_iter().flat_map(|page| page.entries);
    let mut ids: Vec<_> = due
        .filter(|due| due.tenant == *owner.tenant && range.contains(due.id))
        .map(|due| due.id)
        .collect();
    ids.sort_unstable_by_key(|id| Reverse(*id));
    Ok(Found::InFlight { ids, left })
}

/// The newest failed tasks of this range, up to `wanted` of them, and the last that was looked at if there may be more.
pub(crate) async fn failed_ids(
    api: &Api,
    tenant: &Tenant,
    range: IdRange,
    wanted: usize,
) -> Result<(Vec<TaskId>, Option<TaskId>), Problem> {
    let mut keys = Merge::new(Failures(Owner { api, tenant }), range, wanted, MAX_KEYS);
    let (ids, last, then) = draw(&mut keys, wanted).await?;
    Ok((ids, last.filter(|_| then != Then::End)))
}

/// Up to `wanted` entries of a merge, the last that was looked at, and what follows.
async fn draw<S: Shards<Error = CloudError>>(
    merge: &mut Merge<S>,
    wanted: usize,
) -> Result<(Vec<S::Entry>, Option<TaskId>, Then), Problem> {
    let mut drawn = Vec::new();
    let last = |drawn: &[S::Entry]| drawn.last().map(Listed::id);
    while drawn.len() < wanted {
        let next = merge.next().await;
        match next.map_err(|error| Problem::unavailable(&error))? {
            Next::Entry(entry) => drawn.push(entry),
            Next::Spent(reached) => {
                let last = reached.or_else(|| last(&drawn));
                return Ok((drawn, last, Then::Spent));
            }
            Next::End => {
                let last = last(&drawn);
                return Ok((drawn, last, Then::End));
            }
        }
    }
    let then = if merge.is_over() { Then::End } else { Then::More };
    let last = last(&drawn);
    Ok((drawn, last, then))
}
