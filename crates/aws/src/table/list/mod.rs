//! A tenant's tasks as one list, newest first, although they are spread over [`Shard::COUNT`] shards.
//!
//! A list reads a bounded number of items, however many are stored, and for a bounded time, however slowly the table
//! answers. It reads where tasks of the wanted status are found with the fewest reads: in the table itself, or in one of
//! its sparse indexes.

mod merge;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use mesh_backend::{BackendError, ListPage, MAX_LIST_READ, TaskStore};
use mesh_task::{IdRange, Shard, Status, TaskFilter, TaskId, TaskSummary, Tenant};
use tokio::time::Instant;

use self::merge::{Chunk, Listed, Merge, Next, ReadLimits, ShardSource};
use super::index::item_limit;
use super::{Page, TaskTable};

/// The most keys of an index that it reads; the rest of [`MAX_LIST_READ`] is for their tasks.
const MAX_KEYS: usize = 512;
/// The most tasks that are read at a time where none passed the filter, unless the page is larger.
const MAX_PART: usize = 100;

/// A list that is being read.
#[derive(Debug)]
struct TaskList<'a> {
    table: &'a TaskTable,
    tenant: &'a Tenant,
    plan: Plan<'a>,
    /// When reading ends.
    until: Instant,
}

/// Where the tasks are read.
#[derive(Debug)]
enum Plan<'a> {
    /// In the table: all of them.
    Table(Merge<Tasks<'a>>),
    /// In the index of failed tasks, which contains keys only. `left` tasks may still be read.
    Failed {
        keys: Merge<FailedKeys<'a>>,
        left: usize,
    },
    /// In the index of tasks in flight, which is ordered by due time and was read whole. `left` tasks may still be read.
    InFlight { ids: Vec<TaskId>, left: usize },
}

/// The next part of a list.
#[derive(Debug)]
struct TaskPage {
    /// Newest first.
    tasks: Vec<TaskSummary>,
    /// The id of the last item that was looked at, if there was any.
    last: Option<TaskId>,
    /// What follows the page.
    continuation: Continuation,
}

/// What follows a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Continuation {
    /// There may be more tasks.
    More,
    /// There may be more tasks, but this list may not read them: another list can go on below the last id.
    LimitReached,
    /// No task follows.
    End,
}

impl TaskTable {
    pub(super) async fn list_page(
        &self,
        tenant: &Tenant,
        filter: &TaskFilter,
        below: Option<TaskId>,
        limit: usize,
        until: Instant,
    ) -> Result<ListPage<TaskSummary>, BackendError> {
        let mut range = filter.range();
        if let Some(below) = below {
            range = range.below(below);
        }
        let mut list = self
            .start_list(tenant, filter.status, range, limit, until)
            .await?;
        let mut last = below;
        let mut tasks: Vec<TaskSummary> = Vec::new();
        let mut part = limit;
        let has_more = loop {
            let before = tasks.len();
            let page = list.next_page(part).await?;
            last = page.last.or(last);
            tasks.extend(page.tasks.into_iter().filter(|task| filter.matches(task)));
            if tasks.len() > limit {
                tasks.truncate(limit);
                last = tasks.last().map(|task| task.id);
                break true;
            }
            if page.continuation != Continuation::More || tasks.len() == limit {
                break page.continuation != Continuation::End;
            }
            // A rare filter would take many reads of a few tasks.
            part = if tasks.len() == before {
                (2 * part).min(MAX_PART.max(limit))
            } else {
                limit - tasks.len()
            };
        };
        Ok(ListPage {
            entries: tasks,
            next: last.filter(|_| has_more),
        })
    }

    /// Starts a list of a tenant's tasks in a range of ids, of which about `limit` will be wanted, and which is read until a
    /// time. With a status the list may still contain tasks of others.
    async fn start_list<'a>(
        &'a self,
        tenant: &'a Tenant,
        status: Option<Status>,
        range: IdRange,
        limit: usize,
        until: Instant,
    ) -> Result<TaskList<'a>, BackendError> {
        let plan = match status {
            Some(Status::Failed) => Plan::Failed {
                keys: self.failed_keys(tenant, range, limit, until),
                left: MAX_LIST_READ - MAX_KEYS,
            },
            Some(Status::Pending | Status::Processing) if !range.is_empty() => {
                self.in_flight(tenant, range, limit, until).await?
            }
            _ => Plan::Table(self.all(tenant, range, limit, MAX_LIST_READ, until)),
        };
        Ok(TaskList {
            table: self,
            tenant,
            plan,
            until,
        })
    }

    pub(super) async fn failed_page(
        &self,
        tenant: &Tenant,
        range: IdRange,
        limit: usize,
        until: Instant,
    ) -> Result<ListPage<TaskId>, BackendError> {
        let mut keys = self.failed_keys(tenant, range, limit, until);
        let (ids, last, continuation) = take(&mut keys, limit).await?;
        Ok(ListPage {
            entries: ids,
            next: last.filter(|_| continuation != Continuation::End),
        })
    }

    fn all<'a>(
        &'a self,
        tenant: &'a Tenant,
        range: IdRange,
        limit: usize,
        entries: usize,
        until: Instant,
    ) -> Merge<Tasks<'a>> {
        let tasks = Tasks { table: self, tenant };
        Merge::new(tasks, range, limit, ReadLimits { entries, until })
    }

    fn failed_keys<'a>(
        &'a self,
        tenant: &'a Tenant,
        range: IdRange,
        limit: usize,
        until: Instant,
    ) -> Merge<FailedKeys<'a>> {
        let keys = FailedKeys { table: self, tenant };
        let entries = MAX_KEYS;
        Merge::new(keys, range, limit, ReadLimits { entries, until })
    }

    /// The tenant's tasks in flight, or the whole table where their index contains more than may be read: then most of the
    /// newest tasks are in flight.
    async fn in_flight<'a>(
        &'a self,
        tenant: &'a Tenant,
        range: IdRange,
        limit: usize,
        until: Instant,
    ) -> Result<Plan<'a>, BackendError> {
        let per_shard = item_limit(MAX_KEYS / Shard::COUNT);
        let reads = Shard::all().map(|shard| self.due_in(shard, Timestamp::MAX, per_shard, None));
        let pages = try_join_all(reads).await?;
        let read: usize = pages.iter().map(|page| page.entries.len()).sum();
        let left = MAX_LIST_READ - read;
        if pages.iter().any(Page::has_next) {
            return Ok(Plan::Table(self.all(tenant, range, limit, left, until)));
        }
        let due = pages.into_iter().flat_map(|page| page.entries);
        let mut ids: Vec<_> = due
            .filter(|due| due.tenant == *tenant && range.contains(due.id))
            .map(|due| due.id)
            .collect();
        ids.sort_unstable_by_key(|id| Reverse(*id));
        Ok(Plan::InFlight { ids, left })
    }
}

impl TaskList<'_> {
    /// The next tasks, up to `limit` of them.
    async fn next_page(&mut self, limit: usize) -> Result<TaskPage, BackendError> {
        let (ids, last, continuation) = match &mut self.plan {
            Plan::Table(merge) => {
                let (tasks, last, continuation) = take(merge, limit).await?;
                return Ok(TaskPage {
                    tasks,
                    last,
                    continuation,
                });
            }
            Plan::Failed { keys, left } => {
                let (ids, last, continuation) = take(keys, limit.min(*left)).await?;
                *left -= ids.len();
                (ids, last, limited(*left > 0, continuation))
            }
            Plan::InFlight { ids, left } => {
                let rest = ids.split_off(ids.len().min(limit).min(*left));
                let taken = std::mem::replace(ids, rest);
                *left -= taken.len();
                let continuation = if ids.is_empty() {
                    Continuation::End
                } else {
                    Continuation::More
                };
                let last = taken.last().copied();
                (taken, last, limited(*left > 0, continuation))
            }
        };
        let mut tasks = self.table.summaries(self.tenant, ids).await?;
        tasks.sort_unstable_by_key(|task| Reverse(task.id));
        let continuation = limited(Instant::now() < self.until, continuation);
        Ok(TaskPage {
            tasks,
            last,
            continuation,
        })
    }
}

/// The tasks of the table, shard by shard.
#[derive(Debug)]
struct Tasks<'a> {
    table: &'a TaskTable,
    tenant: &'a Tenant,
}

/// The ids in the index of failed tasks, shard by shard.
#[derive(Debug)]
struct FailedKeys<'a> {
    table: &'a TaskTable,
    tenant: &'a Tenant,
}

impl ShardSource for Tasks<'_> {
    type Entry = TaskSummary;
    type Error = BackendError;

    async fn read(
        &self,
        shard: Shard,
        range: IdRange,
        limit: usize,
    ) -> Result<Chunk<TaskSummary>, BackendError> {
        let page = self.table.newest(self.tenant, shard, range, item_limit(limit));
        Ok(page.await?.into())
    }
}

impl ShardSource for FailedKeys<'_> {
    type Entry = TaskId;
    type Error = BackendError;

    async fn read(&self, shard: Shard, range: IdRange, limit: usize) -> Result<Chunk<TaskId>, BackendError> {
        let page = self.table.failures(self.tenant, shard, range, item_limit(limit));
        Ok(page.await?.into())
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

/// `More` becomes `LimitReached` where no task may be read any more.
fn limited(may_read: bool, continuation: Continuation) -> Continuation {
    if !may_read && continuation == Continuation::More {
        Continuation::LimitReached
    } else {
        continuation
    }
}

/// Up to `limit` entries of a merge, the last id that was looked at, and what follows.
async fn take<S: ShardSource<Error = BackendError>>(
    merge: &mut Merge<S>,
    limit: usize,
) -> Result<(Vec<S::Entry>, Option<TaskId>, Continuation), BackendError> {
    let mut taken = Vec::new();
    let last = |taken: &[S::Entry]| taken.last().map(Listed::id);
    while taken.len() < limit {
        match merge.next().await? {
            Next::Entry(entry) => taken.push(entry),
            Next::LimitReached(reached) => {
                let last = reached.or_else(|| last(&taken));
                return Ok((taken, last, Continuation::LimitReached));
            }
            Next::End => {
                let last = last(&taken);
                return Ok((taken, last, Continuation::End));
            }
        }
    }
    let continuation = if merge.is_over() {
        Continuation::End
    } else {
        Continuation::More
    };
    let last = last(&taken);
    Ok((taken, last, continuation))
}
