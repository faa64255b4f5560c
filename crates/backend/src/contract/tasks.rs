//! The task store.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use mesh_task::{
    FailureKind, IdRange, Isolation, Outcome, RunError, Status, Task, TaskFilter, TaskId, TaskType, Tenant,
    Write, cancel, claim, testing,
};
use tokio::time::Instant;

use super::keys::{a_key_is_free_again_when_its_record_has_expired, the_first_request_with_a_key_decides};
use super::{Case, RETENTION, cases, new_task, new_tenant, now, task_of};
use crate::{TaskStore, WriteOutcome};

/// The cases of a task store.
pub const TASK_CASES: &[Case<dyn TaskStore>] = cases! { dyn TaskStore:
    a_new_task_is_read_back_and_another_of_its_id_is_refused,
    a_write_whose_condition_fails_returns_the_task_as_it_is,
    of_many_claims_at_once_one_succeeds,
    a_stale_worker_can_t_end_its_task,
    every_transition_is_read_back,
    a_task_of_another_tenant_is_not_there,
    many_tasks_are_written_and_read_in_one_call,
    a_list_has_the_newest_first_and_no_task_twice,
    a_list_contains_what_matches_its_filter,
    a_list_goes_on_below_its_last_task_whatever_is_added,
    failed_tasks_are_listed_until_they_are_redriven,
    a_task_is_due_until_it_is_final,
    the_first_request_with_a_key_decides,
    a_key_is_free_again_when_its_record_has_expired,
};

const MINUTE: Duration = Duration::from_secs(60);

async fn create(store: &dyn TaskStore, task: &Task) {
    let existing = store.create(task, RETENTION).await.expect("the task is written");
    assert_eq!(existing, None);
}

async fn get(store: &dyn TaskStore, task: &Task) -> Task {
    let found = store.get(&task.tenant, task.id).await.expect("the store answers");
    found.expect("the task is there")
}

async fn apply(store: &dyn TaskStore, task: &Task, write: &Write) -> Task {
    match store
        .write(&task.tenant, task.id, write)
        .await
        .expect("the store answers")
    {
        WriteOutcome::Applied(task) => *task,
        WriteOutcome::ConditionFailed(found) => panic!("the condition failed: {found:?}"),
    }
}

async fn refused(store: &dyn TaskStore, task: &Task, write: &Write) -> Option<Task> {
    match store
        .write(&task.tenant, task.id, write)
        .await
        .expect("the store answers")
    {
        WriteOutcome::Applied(task) => panic!("the condition held: {task:?}"),
        WriteOutcome::ConditionFailed(found) => found.map(|task| *task),
    }
}

fn claim_of(task: &Task) -> Write {
    claim(&task.message(), Isolation::Batched, now(), now() + MINUTE)
}

async fn ids(store: &dyn TaskStore, tenant: &Tenant, filter: &TaskFilter) -> Vec<TaskId> {
    let until = Instant::now() + MINUTE;
    let page = store
        .list(tenant, filter, None, 100, until)
        .await
        .expect("the store answers");
    assert_eq!(page.next, None, "the list ends");
    page.entries.into_iter().map(|task| task.id).collect()
}

async fn a_new_task_is_read_back_and_another_of_its_id_is_refused(store: &dyn TaskStore) {
    let task = new_task(&new_tenant());
    create(store, &task).await;
    assert_eq!(get(store, &task).await, task);
    let other = Task {
        max_attempts: 1,
        ..task.clone()
    };
    let existing = store.create(&other, RETENTION).await.expect("the store answers");
    assert_eq!(existing.as_deref(), Some(&task));
    assert_eq!(get(store, &task).await, task);
}

async fn a_write_whose_condition_fails_returns_the_task_as_it_is(store: &dyn TaskStore) {
    let task = new_task(&new_tenant());
    assert_eq!(refused(store, &task, &claim_of(&task)).await, None);
    create(store, &task).await;
    let claimed = apply(store, &task, &claim_of(&task)).await;
    assert_eq!(
        (claimed.status, claimed.attempt, claimed.fence),
        (Status::Processing, 1, 1)
    );
    assert_eq!(
        refused(store, &task, &claim_of(&task)).await,
        Some(claimed.clone())
    );
    assert_eq!(get(store, &task).await, claimed);
}

async fn of_many_claims_at_once_one_succeeds(store: &dyn TaskStore) {
    let task = new_task(&new_tenant());
    create(store, &task).await;
    let claim = claim_of(&task);
    let claims = (0..8).map(|_| store.write(&task.tenant, task.id, &claim));
    let outcomes = join_all(claims).await;
    let applied = outcomes
        .into_iter()
        .filter(|outcome| matches!(outcome, Ok(WriteOutcome::Applied(_))));
    assert_eq!(applied.count(), 1);
    assert_eq!(get(store, &task).await.attempt, 1);
}

async fn a_stale_worker_can_t_end_its_task(store: &dyn TaskStore) {
    let task = new_task(&new_tenant());
    create(store, &task).await;
    let expired = claim(&task.message(), Isolation::Batched, now(), now() - MINUTE);
    let first = apply(store, &task, &expired).await;
    let reclaimed = apply(store, &task, &first.reclaim(None, now() + MINUTE)).await;
    let second = claim(&reclaimed.message(), Isolation::Isolated, now(), now() + MINUTE);
    let second = apply(store, &task, &second).await;
    assert_eq!(
        refused(store, &task, &first.complete(&testing::finished(), now())).await,
        Some(second.clone())
    );
    let ended = apply(store, &task, &second.complete(&testing::finished(), now())).await;
    assert_eq!(ended.status, Status::Completed);
    assert_eq!(refused(store, &task, &cancel(now())).await, Some(ended));
}

async fn every_transition_is_read_back(store: &dyn TaskStore) {
    let task = new_task(&new_tenant());
    create(store, &task).await;
    let mut newest = apply(store, &task, &claim_of(&task)).await;
    newest = apply(store, &task, &newest.renew(now() + 2 * MINUTE)).await;
    let failure = RunError::timeout().into_failure(FailureKind::Transient);
    let retry = newest.schedule_retry(&failure, Outcome::Timeout, now(), Some(now() + MINUTE), now());
    newest = apply(store, &task, &retry).await;
    assert_eq!(get(store, &task).await, newest);
    newest = apply(store, &task, &newest.defer_check(now() + 2 * MINUTE)).await;
    assert_eq!(get(store, &task).await, newest);
    let again = claim(&task.message(), Isolation::Isolated, now(), now() + MINUTE);
    newest = apply(store, &task, &again).await;
    newest = apply(store, &task, &newest.complete(&testing::finished(), now())).await;
    assert_eq!(get(store, &task).await, newest);
    assert_eq!(
        (newest.status, newest.attempt, newest.history.len()),
        (Status::Completed, 2, 2)
    );
}

async fn a_task_of_another_tenant_is_not_there(store: &dyn TaskStore) {
    let task = new_task(&new_tenant());
    create(store, &task).await;
    let other = new_tenant();
    assert_eq!(store.get(&other, task.id).await.expect("the store answers"), None);
    let stolen = Task {
        tenant: other.clone(),
        ..task.clone()
    };
    assert_eq!(refused(store, &stolen, &cancel(now())).await, None);
    let found = store
        .summaries(&other, vec![task.id])
        .await
        .expect("the store answers");
    assert_eq!(found, []);
    assert_eq!(ids(store, &other, &TaskFilter::default()).await, []);
    assert_eq!(get(store, &task).await, task);
}

async fn many_tasks_are_written_and_read_in_one_call(store: &dyn TaskStore) {
    let tenant = new_tenant();
    let tasks: Vec<_> = (0..60).map(|_| new_task(&tenant)).collect();
    let left = store.create_all(&tasks, RETENTION, Instant::now() + MINUTE).await;
    assert_eq!(left.expect("the store answers"), [].into());
    let gone = new_task(&tenant);
    let keys = tasks.iter().chain([&gone]).map(|task| (tenant.clone(), task.id));
    let mut found = store.get_many(keys.collect()).await.expect("the store answers");
    found.sort_unstable_by_key(|task| task.id);
    assert_eq!(found, tasks);
    let summaries = store
        .summaries(&tenant, tasks.iter().map(|task| task.id).collect())
        .await;
    let summaries: BTreeSet<_> = summaries
        .expect("the store answers")
        .into_iter()
        .map(|task| task.id)
        .collect();
    assert_eq!(summaries, tasks.iter().map(|task| task.id).collect());
}

async fn a_list_has_the_newest_first_and_no_task_twice(store: &dyn TaskStore) {
    let tenant = new_tenant();
    let first = TaskId::generate();
    let tasks: Vec<_> = (0..40)
        .map(|n| Task {
            id: first.plus(n),
            ..new_task(&tenant)
        })
        .collect();
    for task in &tasks {
        create(store, task).await;
    }
    let (mut below, mut listed) = (None, Vec::new());
    loop {
        let until = Instant::now() + MINUTE;
        let page = store
            .list(&tenant, &TaskFilter::default(), below, 7, until)
            .await
            .expect("the store answers");
        assert!(page.entries.len() <= 7, "{page:?}");
        listed.extend(page.entries.iter().map(|task| task.id));
        match page.next {
            Some(next) => below = Some(next),
            None => break,
        }
    }
    let newest_first: Vec<_> = tasks.iter().rev().map(|task| task.id).collect();
    assert_eq!(listed, newest_first);
}

async fn a_list_contains_what_matches_its_filter(store: &dyn TaskStore) {
    let tenant = new_tenant();
    let [pending, running, cancelled] =
        [TaskType::Sentiment, TaskType::Embed, TaskType::Ocr].map(|task_type| {
            let mut task = task_of(&tenant, task_type);
            task.metadata = [("type".to_owned(), task_type.to_string())].into();
            task
        });
    for task in [&pending, &running, &cancelled] {
        create(store, task).await;
    }
    apply(store, &running, &claim_of(&running)).await;
    apply(store, &cancelled, &cancel(now())).await;
    let all = TaskFilter::default();
    for (filter, expected) in [
        (
            TaskFilter {
                status: Some(Status::Pending),
                ..all.clone()
            },
            vec![&pending],
        ),
        (
            TaskFilter {
                status: Some(Status::Processing),
                ..all.clone()
            },
            vec![&running],
        ),
        (
            TaskFilter {
                status: Some(Status::Cancelled),
                ..all.clone()
            },
            vec![&cancelled],
        ),
        (
            TaskFilter {
                status: Some(Status::Failed),
                ..all.clone()
            },
            vec![],
        ),
        (
            TaskFilter {
                task_type: Some(TaskType::Embed),
                ..all.clone()
            },
            vec![&running],
        ),
        (
            TaskFilter {
                metadata: cancelled.metadata.clone(),
                ..all.clone()
            },
            vec![&cancelled],
        ),
        (
            TaskFilter {
                created_before: Some(pending.created_at),
                ..all.clone()
            },
            vec![],
        ),
        (
            TaskFilter {
                created_after: Some(pending.created_at),
                ..all.clone()
            },
            vec![&pending, &running, &cancelled],
        ),
    ] {
        let found: BTreeSet<_> = ids(store, &tenant, &filter).await.into_iter().collect();
        assert_eq!(found, expected.iter().map(|task| task.id).collect(), "{filter:?}");
    }
}

async fn a_list_goes_on_below_its_last_task_whatever_is_added(store: &dyn TaskStore) {
    let tenant = new_tenant();
    let [older, newer] = [new_task(&tenant), new_task(&tenant)];
    for task in [&older, &newer] {
        create(store, task).await;
    }
    let all = TaskFilter::default();
    let until = Instant::now() + MINUTE;
    let page = store
        .list(&tenant, &all, None, 1, until)
        .await
        .expect("the store answers");
    assert_eq!((page.entries[0].id, page.next), (newer.id, Some(newer.id)));
    create(store, &new_task(&tenant)).await;
    let page = store
        .list(&tenant, &all, page.next, 1, until)
        .await
        .expect("the store answers");
    assert_eq!(
        page.entries.iter().map(|task| task.id).collect::<Vec<_>>(),
        [older.id]
    );
}

async fn failed_tasks_are_listed_until_they_are_redriven(store: &dyn TaskStore) {
    let tenant = new_tenant();
    let task = new_task(&tenant);
    create(store, &task).await;
    let failed = async || {
        let until = Instant::now() + MINUTE;
        let page = store
            .failed_ids(&tenant, IdRange::ALL, 10, until)
            .await
            .expect("the store answers");
        assert_eq!(page.next, None);
        page.entries
    };
    assert_eq!(failed().await, []);
    let claimed = apply(store, &task, &claim_of(&task)).await;
    let failure = RunError::timeout().into_failure(FailureKind::Timeout);
    let ended = apply(store, &task, &claimed.fail(&failure, Outcome::Timeout, now())).await;
    assert_eq!((ended.status, failed().await), (Status::Failed, vec![task.id]));
    let redrive = ended.redrive(now() + MINUTE, now() + RETENTION, now());
    let redriven = apply(store, &task, &redrive).await;
    assert_eq!(
        (redriven.status, redriven.generation, failed().await),
        (Status::Pending, 2, vec![])
    );
}

async fn a_task_is_due_until_it_is_final(store: &dyn TaskStore) {
    let tenant = new_tenant();
    let due_at = |by: Timestamp| async move {
        let (mut due, mut found) = (store.due(by), BTreeSet::new());
        while let Some(page) = due.next_page(50).await {
            found.extend(
                page.expect("the store answers")
                    .into_iter()
                    .map(|due| (due.tenant, due.id)),
            );
        }
        found
    };
    let task = new_task(&tenant);
    create(store, &task).await;
    let key = (tenant.clone(), task.id);
    assert!(!due_at(now()).await.contains(&key));
    assert!(due_at(now() + 2 * MINUTE).await.contains(&key));
    apply(store, &task, &task.defer_check(now() + 10 * MINUTE)).await;
    assert!(!due_at(now() + 2 * MINUTE).await.contains(&key));
    apply(store, &task, &cancel(now())).await;
    assert!(!due_at(now() + 20 * MINUTE).await.contains(&key));
}
