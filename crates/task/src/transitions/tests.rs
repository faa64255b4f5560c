use serde_json::json;

use super::*;
use crate::{Payload, testing};

/// The bucket goes by an object's own age. What is lost with it is the input alone: were the item to go with it, so would
/// the attempts that were just asked for, and their result.
#[test]
fn a_redriven_task_is_kept_anew_whatever_becomes_of_its_input() {
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
        assert_eq!(item["payload"], json(&task.payload), "it is not touched");
    }
}
