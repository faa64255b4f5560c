//! The list of tasks: newest first, in pages that neither lose nor repeat a task while others arrive.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use mesh_tests::{Api, eventually, fresh_key, sentiment};
use serde_json::{Value, json};

/// Submits tasks with a note in their metadata, and with further fields.
fn submit(api: &Api, note: &str, tasks: usize, more: &Value) -> Vec<String> {
    let mut task = sentiment("fine");
    task["metadata"] = json!({ "note": note });
    for (name, value) in more.as_object().into_iter().flatten() {
        task[name] = value.clone();
    }
    let reply = api.post_to("/v1/tasks/batch", Some(&json!({ "tasks": vec![task; tasks] })));
    assert_eq!(reply.status, 202, "{reply:?}");
    let results = reply.body["results"].as_array().expect("a list");
    results
        .iter()
        .map(|result| {
            result["task"]["id"]
                .as_str()
                .expect("the task is accepted")
                .to_owned()
        })
        .collect()
}

/// All tasks of a list. `between` runs between two pages.
fn list_all(api: &Api, query: &str, mut between: impl FnMut()) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/v1/tasks?{query}{cursor}"));
        assert_eq!(page.status, 200, "{page:?}");
        found.extend(page.body["tasks"].as_array().expect("a list").iter().cloned());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
        between();
    }
}

fn ids(tasks: &[Value]) -> Vec<String> {
    tasks
        .iter()
        .map(|task| task["id"].as_str().expect("an id is text").to_owned())
        .collect()
}

/// The ids of the tasks with a note, in the list's order.
fn ids_with_note(tasks: &[Value], note: &str) -> Vec<String> {
    let has_note = |task: &&Value| task["metadata"]["note"] == note;
    tasks
        .iter()
        .filter(has_note)
        .map(|task| task["id"].as_str().expect("an id is text").to_owned())
        .collect()
}

fn newest_first(mut ids: Vec<String>) -> Vec<String> {
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids
}

#[test]
fn tasks_are_listed_newest_first_without_their_payloads() {
    let (api, note) = (Api::new(), fresh_key());
    let ours = submit(&api, &note, 20, &json!({}));
    // A page with the tasks of this moment only, since other tests submit many.
    let soon = Timestamp::now() + SignedDuration::from_secs(1);
    let page = eventually("all of them are listed", || {
        let page = api.get(&format!("/v1/tasks?limit=200&created_before={soon}"));
        let tasks = page.body["tasks"].as_array().expect("a list").clone();
        (ids_with_note(&tasks, &note).len() == 20).then_some(tasks)
    });
    assert_eq!(ids_with_note(&page, &note), newest_first(ours.clone()));
    assert_eq!(ids(&page), newest_first(ids(&page)));
    api.result(&ours[19]);
    let one = |tasks: &[Value]| tasks.iter().find(|task| task["id"] == ours[19].as_str()).cloned();
    let listed = eventually("the completed task is listed", || {
        let page = api.get(&format!("/v1/tasks?metadata.note={note}"));
        one(page.body["tasks"].as_array().expect("a list")).filter(|task| task["status"] == "completed")
    });
    let mut shown = api.show(&ours[19]);
    for large in [
        "input",
        "result",
        "attempts",
        "model",
        "timings",
        "correlation_id",
    ] {
        let removed = shown.as_object_mut().and_then(|task| task.remove(large));
        assert!(removed.is_some(), "{large}");
    }
    assert_eq!(
        listed, shown,
        "the other fields are those that the task itself shows"
    );
}

#[test]
fn pages_lose_nothing_and_show_nothing_twice_while_tasks_arrive() {
    let (api, note) = (Api::new(), fresh_key());
    let ours = submit(&api, &note, 60, &json!({}));
    let since = api.show(&ours[0])["created_at"]
        .as_str()
        .expect("a time")
        .to_owned();
    for limit in [7, 25] {
        let found = list_all(
            &api,
            &format!("limit={limit}&metadata.note={note}&created_after={since}"),
            || {
                submit(&api, "another", 2, &json!({}));
                submit(&api, &format!("{note}-later"), 1, &json!({}));
            },
        );
        assert_eq!(ids(&found), newest_first(ours.clone()), "{limit}");
    }
    // The same without a filter. Tasks that arrive meanwhile are above the first page.
    let mut late = Vec::new();
    let found = list_all(&api, &format!("limit=20&created_after={since}"), || {
        late.extend(submit(&api, &note, 2, &json!({})));
    });
    assert_eq!(ids_with_note(&found, &note), newest_first(ours));
    assert!(!late.is_empty(), "tasks arrived between the pages");
    let all = ids(&found);
    assert_eq!(
        all,
        newest_first(all.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect())
    );
}

#[test]
fn each_filter_returns_only_matching_tasks() {
    let (api, note) = (Api::new(), fresh_key());
    let fine = submit(&api, &note, 3, &json!({}));
    let embedded = submit(&api, &note, 2, &json!({ "type": "embed" }));
    let fails = json!({ "max_attempts": 1, "metadata": { "note": note, "fault": "transient:1" } });
    let failed = submit(&api, &note, 4, &fails);
    for id in fine.iter().chain(&embedded) {
        api.result(id);
    }
    for id in &failed {
        api.failed(id, "exhausted", "fault");
    }
    let all = [fine.clone(), embedded.clone(), failed.clone()].concat();
    // Only tasks that are newer than the first, since the stack has the tasks of all tests.
    let since = api.show(&fine[0])["created_at"]
        .as_str()
        .expect("a time")
        .to_owned();
    let of = |filter: &str| {
        let since = if filter.contains("created_after") {
            String::new()
        } else {
            format!("&created_after={since}")
        };
        ids(&list_all(
            &api,
            &format!("metadata.note={note}{filter}{since}"),
            || (),
        ))
    };
    // The index and the list's reads are eventually consistent with the table.
    eventually("the list is consistent", || {
        let is_consistent = of("").len() == 9 && of("&status=failed").len() == 4;
        (is_consistent && of("&status=completed").len() == 5).then_some(())
    });
    assert_eq!(of(""), newest_first(all));
    assert_eq!(of("&limit=2"), of(""));
    assert_eq!(of("&type=embed"), newest_first(embedded.clone()));
    assert_eq!(of("&status=failed"), newest_first(failed.clone()));
    assert_eq!(of("&status=failed&limit=3"), newest_first(failed.clone()));
    assert_eq!(of("&status=completed&type=sentiment"), newest_first(fine.clone()));
    assert_eq!(of("&metadata.fault=transient:1"), newest_first(failed.clone()));
    for none in [
        "&status=cancelled",
        "&status=blocked",
        "&status=failed&type=embed",
        "&metadata.fault=no",
    ] {
        assert_eq!(of(none), Vec::<String>::new(), "{none}");
    }
    let time = |id: &str| api.show(id)["created_at"].as_str().expect("a time").to_owned();
    let (first, last) = (time(&embedded[0]), time(&failed[3]));
    let created_before: Vec<_> = fine.iter().filter(|id| time(id) < first).cloned().collect();
    assert_eq!(
        of(&format!("&created_before={first}")),
        newest_first(created_before)
    );
    assert!(of(&format!("&created_after={last}")).contains(&failed[3]));
    assert!(!of(&format!("&created_before={last}")).contains(&failed[3]));
    assert_eq!(
        of("&created_before=2020-01-01T00:00:00%2B01:00"),
        Vec::<String>::new()
    );
    assert_eq!(
        of(&format!("&created_after={last}&created_before={first}")),
        Vec::<String>::new()
    );
}

#[test]
fn an_invalid_query_is_refused() {
    let api = Api::new();
    for query in [
        "limit=0",
        "limit=201",
        "limit=ten",
        "limit=",
        "status=done",
        "status=",
        "type=poem",
        "created_after=yesterday",
        "created_before=2026-01-31T12:00:00+01:00",
        "stauts=failed",
        "metadata.=x",
        "status=failed&status=pending",
        "metadata.a=1&metadata.a=2",
    ] {
        let detail = api
            .get(&format!("/v1/tasks?{query}"))
            .problem(400, "invalid-query");
        assert!(
            detail.contains("send") || detail.contains("from 1 to 200") || detail.contains("expected one of"),
            "{detail}"
        );
    }
    api.send("GET", "/v1/tasks", &[], None)
        .problem(401, "unauthorized");
}

#[test]
fn a_cursor_that_was_changed_or_is_of_another_list_is_refused() {
    let api = Api::new();
    submit(&api, &fresh_key(), 3, &json!({}));
    let page = api.get("/v1/tasks?limit=1");
    let cursor = page.text("next_cursor");
    assert_eq!(api.get(&format!("/v1/tasks?limit=2&cursor={cursor}")).status, 200);
    let mut changed = cursor.to_owned();
    let digit = if changed.ends_with('0') { "1" } else { "0" };
    changed.replace_range(changed.len() - 1.., digit);
    for invalid in [
        format!("cursor={changed}"),
        format!("cursor={}", &cursor[..cursor.len() - 2]),
        format!("status=failed&cursor={cursor}"),
        "cursor=".to_owned(),
        "cursor=next".to_owned(),
        "cursor=%00%ff".to_owned(),
        "cursor=01900000-0000-7000-8000-000000000000".to_owned(),
    ] {
        let detail = api
            .get(&format!("/v1/tasks?{invalid}"))
            .problem(400, "invalid-query");
        assert!(detail.contains("next_cursor"), "{invalid}: {detail}");
    }
}
