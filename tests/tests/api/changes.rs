//! The change log: it contains each change once, the changes of a task in their order, and says when some are gone.

use mesh_tests::{Api, Reply, eventually};
use serde_json::{Value, json};

fn changes(api: &Api, query: &str) -> Reply {
    let reply = api.get(&format!("/v1/changes?{query}"));
    assert_eq!(reply.status, 200, "{reply:?}");
    reply
}

/// Follows the changes after a cursor until each of these conditions has matched one of them. Returns the changes.
fn follow(api: &Api, after: &str, ends: &[&dyn Fn(&Value) -> bool]) -> Vec<Value> {
    let mut after = after.to_owned();
    let mut followed = Vec::new();
    eventually("the changes are in the log", || {
        let reply = changes(api, &format!("after={after}&wait=20"));
        after = reply.text("next").to_owned();
        followed.extend(reply.body["changes"].as_array().into_iter().flatten().cloned());
        ends.iter()
            .all(|is_end| followed.iter().any(is_end))
            .then_some(())
    });
    followed
}

#[test]
fn a_follower_sees_each_change_of_a_task_once_and_in_order() {
    let api = Api::new();
    let now = changes(&api, "");
    assert_eq!(
        now.body["changes"],
        json!([]),
        "without a cursor the log begins at the present"
    );
    let id = api.submit_text("fine", &[]);
    let cancelled = api.submit_text("fine", &[("fault", "busy:600")]);
    api.cancel(&cancelled);
    api.result(&id);
    // Either may end last.
    let is_cancelled = |change: &Value| change["id"] == *cancelled && change["status"] == "cancelled";
    let is_completed = |change: &Value| change["id"] == *id && change["status"] == "completed";
    let followed = follow(&api, now.text("next"), &[&is_cancelled, &is_completed]);
    let of = |id: &str| -> Vec<&Value> { followed.iter().filter(|change| change["id"] == *id).collect() };
    let completed = of(&id);
    let statuses: Vec<_> = completed
        .iter()
        .map(|change| (&change["previous_status"], &change["status"]))
        .collect();
    assert_eq!(
        statuses,
        [
            (&json!(null), &json!("pending")),
            (&json!("pending"), &json!("processing")),
            (&json!("processing"), &json!("completed")),
        ],
        "{completed:?}"
    );
    let last = completed[2];
    assert_eq!(
        (&last["type"], &last["generation"], &last["attempt"]),
        (&json!("sentiment"), &json!(1), &json!(1))
    );
    assert_eq!(last["updated_at"], api.show(&id)["updated_at"]);
    assert_eq!(
        of(&cancelled).last().expect("it has changes")["status"],
        "cancelled"
    );

    let cursors = followed
        .iter()
        .map(|change| change["cursor"].as_str()?.parse::<u64>().ok());
    let cursors: Vec<_> = cursors.map(|cursor| cursor.expect("a number")).collect();
    assert!(
        cursors.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "no gap and no duplicate: {cursors:?}"
    );
    // A cursor belongs to one change, not to a response.
    let again = changes(&api, &format!("after={}", cursors[0]));
    assert_eq!(again.body["changes"][0]["cursor"], json!(cursors[1].to_string()));
}

#[test]
fn a_cursor_that_is_not_in_the_change_log_is_gone() {
    let api = Api::new();
    let detail = api
        .get("/v1/changes?after=99999999999999")
        .problem(410, "changes-gone");
    assert!(detail.contains("without a cursor"), "{detail}");
    for query in ["after=abc", "after=-1", "after="] {
        api.get(&format!("/v1/changes?{query}"))
            .problem(400, "invalid-query");
    }
    api.get("/v1/changes?wait=21").problem(400, "invalid-wait");
}
