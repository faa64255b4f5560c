use serde_json::json;

use super::*;
use crate::{ObjectRef, Payload, testing};

/// The bucket deletes an object by its own age. If the item expired with its input, the redriven task's attempts and result
/// would be lost too.
#[test]
fn a_redriven_task_is_stored_for_the_full_retention_wherever_its_input_is() {
    let object = ObjectRef {
        key: "default/uploads/old".to_owned(),
        etag: "\"etag\"".to_owned(),
        sha256: "00".repeat(32),
        bytes: 5_000,
        content_type: "image/png".to_owned(),
    };
    let parameters = serde_json::Map::new();
    for payload in [
        Payload::Inline(json!({ "text": "fine" })),
        Payload::Object { object, parameters },
    ] {
        let mut task = testing::task();
        task.payload = payload;
        task.status = Status::Failed;
        let Value::Object(mut item) = json(&task) else {
            unreachable!()
        };
        let now = testing::NOON + Duration::from_hours(29 * 24);
        let expires_at = now + Duration::from_hours(30 * 24);
        item.insert("expires_at".to_owned(), testing::NOON.as_second().into());
        assert!(task.redrive(now, expires_at, now).apply(&mut item));
        assert_eq!(item["expires_at"], expires_at.as_second());
        assert_eq!(
            item["payload"],
            json(&task.payload),
            "a redrive does not change the payload"
        );
    }
}

#[test]
fn a_task_waits_since_its_last_attempt_of_this_generation_or_its_redrive() {
    let minutes = |count: u64| testing::NOON + Duration::from_secs(60 * count);
    let task = testing::task();
    let Value::Object(mut item) = json(&task) else {
        unreachable!()
    };
    let mut apply = |write: Write| -> Task {
        assert!(write.apply(&mut item), "{write:?}");
        serde_json::from_value(Value::Object(item.clone())).unwrap()
    };
    let begin = |task: &Task, at| {
        claim(
            &task.message(),
            Isolation::Isolated,
            at,
            at + Duration::from_secs(30),
        )
    };
    let failure = RunError::timeout().into_failure(FailureKind::Timeout);

    let first = apply(begin(&task, minutes(2)));
    assert_eq!(first.waited(), Duration::from_secs(120));
    let retry = first.schedule_retry(&failure, Outcome::Timeout, minutes(3), None, minutes(3));
    let pending = apply(retry);
    let second = apply(begin(&pending, minutes(4)));
    assert_eq!(second.waited(), Duration::from_secs(60));
    let failed = apply(second.fail(&failure, Outcome::Timeout, minutes(5)));
    let redriven = apply(failed.redrive(minutes(66), minutes(600), minutes(65)));
    let third = apply(begin(&redriven, minutes(66)));
    assert_eq!(third.waited(), Duration::from_secs(60), "{third:?}");
}

#[test]
fn a_stopped_attempt_is_followed_by_an_isolated_one() {
    let now = testing::NOON;
    let begin =
        |task: &Task, isolation| claim(&task.message(), isolation, now, now + Duration::from_secs(30));
    for (outcome, next) in [
        (Outcome::Interrupted, Isolation::Isolated),
        (Outcome::Timeout, Isolation::Isolated),
        (Outcome::Transient, Isolation::Batched),
    ] {
        let Value::Object(mut item) = json(&testing::task()) else {
            unreachable!()
        };
        let task =
            |item: &crate::Item| -> Task { serde_json::from_value(Value::Object(item.clone())).unwrap() };
        let first = begin(&task(&item), Isolation::Batched);
        assert!(first.apply(&mut item));
        let failure = RunError::interrupted().into_failure(FailureKind::Transient);
        let retry = task(&item).schedule_retry(&failure, outcome, now, None, now);
        assert!(retry.apply(&mut item));
        let pending = task(&item);
        let refuses_batch = next == Isolation::Isolated;
        assert_eq!(
            begin(&pending, Isolation::Batched).apply(&mut item.clone()),
            !refuses_batch,
            "{outcome:?}"
        );
        assert!(begin(&pending, next).apply(&mut item), "{outcome:?}");
        if refuses_batch {
            let refusal = pending.claim_refusal(&pending.message(), now);
            assert!(matches!(refusal, ClaimRefusal::Quarantined { .. }), "{outcome:?}");
        }
    }
}
