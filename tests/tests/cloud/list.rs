//! How much a list reads.

use mesh_tests::{Api, Cloud, Lane, Reply, eventually, fresh_key, sentiment};
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

fn newest_first(mut ids: Vec<String>) -> Vec<String> {
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids
}

/// A page, and the number of items that were read for it.
fn metered(api: &Api, query: &str) -> (u64, Reply) {
    let page = api.get(&format!("/v1/tasks?{query}"));
    assert_eq!(page.status, 200, "{page:?}");
    let metered: Value = serde_json::from_str(page.header("x-ai-mesh-meter")).expect("the meter is JSON");
    (metered["scanned"].as_u64().expect("a number"), page)
}

mod serial {
    use super::*;

    #[test]
    fn tasks_in_flight_are_found_among_many_others_with_a_thousand_reads_per_page() {
        let (api, cloud, note) = (Api::of_cloud(), Cloud::new(), fresh_key());
        let done = submit(&api, &note, 5, &json!({}));
        for id in &done {
            api.result(id);
        }
        let pending = Lane::Text.paused(|| {
            let pending = submit(&api, &note, 20, &json!({}));
            let since = api.show(&pending[0])["created_at"]
                .as_str()
                .expect("a time")
                .to_owned();
            let ours = format!("metadata.note={note}&created_after={since}");
            let of = |filter: &str| ids(&list_all(&api, &format!("{ours}{filter}"), || ()));
            // Few enough tasks to read them from the index.
            assert_eq!(of("&status=pending&limit=7"), newest_first(pending.clone()));
            assert_eq!(of("&status=processing"), Vec::<String>::new());

            // Too many for the index: the list reads the tasks themselves.
            let crowd = submit(&api, "crowd", 1_000, &json!({}));
            assert_eq!(of("&status=pending&limit=7"), newest_first(pending.clone()));

            let (read, page) = metered(&api, "limit=50");
            assert!(read <= 150, "{read} for a page of 50");
            assert_eq!(page.body["tasks"].as_array().map(Vec::len), Some(50));
            for no_match in ["metadata.note=nobody", "metadata.note=nobody&status=pending"] {
                let (read, page) = metered(&api, no_match);
                assert!((500..=1_000).contains(&read), "{read}");
                assert_eq!(page.body["tasks"], json!([]), "the page has no match");
                assert!(!page.text("next_cursor").is_empty(), "the list can be continued");
            }
            cloud.delete_tasks(&crowd);
            pending
        });
        for id in &pending {
            api.result(id);
        }
        eventually("no task is in flight", || {
            let found = list_all(&api, &format!("metadata.note={note}&status=pending"), || ());
            found.is_empty().then_some(())
        });
    }
}
