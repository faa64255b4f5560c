//! Dead letters: tasks that failed after all their attempts. They are listed with their errors and attempts, and redriven.

use std::collections::BTreeSet;

use mesh_tests::{Api, eventually};
use serde_json::{Value, json};

/// Submits a task whose only attempt fails.
fn submit_failing(api: &Api) -> String {
    api.submit_limited(json!({ "max_attempts": 1 }), &[("fault", "transient:1")])
}

/// All dead letters, page by page.
fn listed(api: &Api, limit: usize) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/v1/dead-letters?limit={limit}{cursor}"));
        assert_eq!(page.status, 200, "{page:?}");
        let letters = page.body["dead_letters"].as_array().expect("a list");
        assert!(letters.len() <= limit, "{page:?}");
        found.extend(letters.iter().cloned());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn ids(letters: &[Value]) -> Vec<String> {
    letters
        .iter()
        .map(|letter| letter["id"].as_str().expect("an id is text").to_owned())
        .collect()
}

#[test]
fn dead_letters_are_listed_newest_first_with_their_error_and_their_attempts() {
    let api = Api::new();
    let ours: Vec<_> = (0..7).map(|_| submit_failing(&api)).collect();
    let permanent = api.submit_text("fine", &[("fault", "panic")]);
    let fine = api.submit_text("fine", &[]);
    for id in &ours {
        api.failed(id, "exhausted", "fault");
    }
    api.failed(&permanent, "permanent", "panic");
    api.result(&fine);

    // The index is eventually consistent with the table.
    let letters = eventually("all of them are listed", || {
        let letters = listed(&api, 3);
        let found: BTreeSet<_> = ids(&letters).into_iter().collect();
        ours.iter().all(|id| found.contains(id)).then_some(letters)
    });
    let order = ids(&letters);
    let newest_first: Vec<_> = order
        .iter()
        .rev()
        .cloned()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .rev()
        .collect();
    assert_eq!(order, newest_first, "newest first, without duplicates");
    assert!(!order.contains(&permanent) && !order.contains(&fine));
    let letter = letters
        .iter()
        .find(|letter| letter["id"] == ours[0].as_str())
        .expect("the task is listed");
    assert_eq!(
        *letter,
        api.show(&ours[0]),
        "the list shows what the task itself shows"
    );
    assert_eq!(letter["error"]["kind"], "exhausted", "{letter}");
    assert_eq!(letter["attempts"][0]["outcome"], "transient", "{letter}");
    assert!(
        letter["attempts"][0]["error"]
            .as_str()
            .is_some_and(|error| error.contains("an injected fault failed attempt 1"))
    );

    let of_type = |name: &str| {
        ids(
            api.get(&format!("/v1/dead-letters?type={name}&limit=100")).body["dead_letters"]
                .as_array()
                .expect("a list"),
        )
    };
    assert!(of_type("sentiment").contains(&ours[6]));
    assert!(!of_type("face_detection").contains(&ours[6]));
}

#[test]
fn an_invalid_query_or_redrive_is_refused() {
    let api = Api::new();
    for query in [
        "limit=0",
        "limit=101",
        "limit=ten",
        "type=poem",
        "cursor=next",
        "cursor=",
    ] {
        api.get(&format!("/v1/dead-letters?{query}"))
            .problem(400, "invalid-query");
    }
    api.send("GET", "/v1/dead-letters", &[], None)
        .problem(401, "unauthorized");
    for body in [
        json!({}),
        json!({ "all": false }),
        json!({ "all": true, "type": "sentiment" }),
        json!({ "ids": [], "all": true }),
        json!({ "ids": "x" }),
        json!({ "ids": vec!["x"; 101] }),
        json!({ "all": true, "more": 1 }),
        json!([]),
    ] {
        api.post_to("/v1/dead-letters/redrive", Some(&body))
            .problem(422, "invalid-redrive");
    }
    api.post_to("/v1/dead-letters/redrive", Some(&json!({ "type": "poem" })))
        .problem(400, "invalid-query");
}

#[test]
fn listed_ids_are_redriven_once_and_all_others_are_skipped() {
    let api = Api::new();
    let dead = submit_failing(&api);
    api.failed(&dead, "exhausted", "fault");
    let completed = api.submit_text("fine", &[]);
    let before = api.finished(&completed);
    let unknown = format!("{}{}", &dead[..30], "ffffff");
    let redrive = json!({ "ids": [dead, completed, unknown, "no-id", dead] });

    let answer = api.post_to("/v1/dead-letters/redrive", Some(&redrive));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["redriven"], json!([dead]), "{answer:?}");
    assert_eq!(
        answer.body["skipped"],
        json!([completed, unknown, "no-id"]),
        "{answer:?}"
    );
    assert_eq!(api.show(&completed), before, "a completed task does not change");

    // The task fails again, in its second generation.
    let task = eventually("the task fails again", || {
        let task = api.show(&dead);
        (task["status"] == "failed").then_some(task)
    });
    assert_eq!(
        (&task["generation"], &task["attempt"]),
        (&json!(2), &json!(1)),
        "{task}"
    );
    assert_eq!(task["attempts"].as_array().map(Vec::len), Some(2), "{task}");
}

mod serial {
    use super::*;

    #[test]
    fn all_dead_letters_are_redriven_page_by_page() {
        let api = Api::new();
        // This test redrives all dead letters of its type, so no other test may have dead letters of it.
        let failing = json!({
            "type": "embed", "input": { "text": "fine" }, "max_attempts": 1, "metadata": { "fault": "transient:1" },
        });
        let ours: Vec<_> = (0..120)
            .map(|_| api.post(&failing).text("id").to_owned())
            .collect();
        for id in &ours {
            api.failed(id, "exhausted", "fault");
        }
        eventually("all of them are listed", || {
            let found: BTreeSet<_> = ids(&listed(&api, 100)).into_iter().collect();
            ours.iter().all(|id| found.contains(id)).then_some(())
        });
        let mut redriven = BTreeSet::new();
        let mut body = json!({ "type": "embed" });
        loop {
            let answer = api.post_to("/v1/dead-letters/redrive", Some(&body));
            assert_eq!(answer.status, 200, "{answer:?}");
            let page = answer.body["redriven"].as_array().expect("a list");
            assert!(page.len() <= 100, "a page has a limit");
            for id in page {
                assert!(
                    redriven.insert(id.as_str().expect("an id is text").to_owned()),
                    "{id} was redriven twice"
                );
            }
            match answer.body.get("next_cursor") {
                Some(next) => body["cursor"] = next.clone(),
                None => break,
            }
        }
        for id in &ours {
            assert!(redriven.contains(id), "{id} was not redriven");
            let task = api.failed(id, "exhausted", "fault");
            assert_eq!(task["generation"], 2, "{task}");
        }
    }
}
