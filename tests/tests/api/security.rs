//! Authentication, and what responses must not reveal.

use std::collections::BTreeSet;

use mesh_tests::Api;
use serde_json::json;

/// A valid id that no task has.
const UNKNOWN: &str = "019a0000-0000-7000-8000-000000000000";

#[test]
fn v1_is_not_served_without_the_token() {
    let api = Api::new();
    let token = api.token();
    let id = api.submit_text("fine", &[]);
    let (shorter, longer) = (&token[..token.len() - 1], format!("{token}x"));
    let (bearer_short, basic, bare) = (
        format!("Bearer {shorter}"),
        format!("Basic {token}"),
        token.to_owned(),
    );
    let upper = token.to_uppercase();
    let headers: [&[(&str, &str)]; 11] = [
        &[],
        &[("x-service-token", "")],
        &[("x-service-token", "wrong")],
        &[("x-service-token", shorter)],
        &[("x-service-token", &longer)],
        &[("x-service-token", &upper)],
        &[("authorization", "Bearer wrong")],
        &[("authorization", "Bearer ")],
        &[("authorization", &bearer_short)],
        &[("authorization", &basic)],
        &[("authorization", &bare)],
    ];
    let body = br#"{"type": "sentiment", "input": {"text": "fine"}}"#;
    for headers in headers {
        for reply in [
            api.send("GET", &format!("/v1/tasks/{id}"), headers, None),
            api.send("POST", "/v1/tasks", headers, Some(body)),
            api.send("POST", "/v1/tasks", headers, Some(b"no json")),
            api.send("GET", &format!("/v1/tasks/{UNKNOWN}"), headers, None),
            api.send("GET", "/v1/no-such-route", headers, None),
            api.send("DELETE", "/v1/tasks", headers, None),
        ] {
            let detail = reply.problem(401, "unauthorized");
            assert!(!detail.contains(token), "{detail}");
            assert_eq!(reply.header("www-authenticate"), "Bearer", "{reply:?}");
        }
    }
}

#[test]
fn the_token_is_accepted_in_either_header() {
    let api = Api::new();
    let (bearer, lower) = (
        format!("Bearer {}", api.token()),
        format!("bearer {}", api.token()),
    );
    let headers = [
        ("x-service-token", api.token()),
        ("X-Service-Token", api.token()),
        ("authorization", &bearer),
        ("Authorization", &lower),
    ];
    for header in headers {
        api.send("GET", &format!("/v1/tasks/{UNKNOWN}"), &[header], None)
            .problem(404, "task-not-found");
    }
}

#[test]
fn a_token_in_the_url_is_not_accepted() {
    let api = Api::new();
    let path = format!("/v1/tasks/{UNKNOWN}?token={0}&x-service-token={0}", api.token());
    api.send("GET", &path, &[], None).problem(401, "unauthorized");
}

#[test]
fn an_unknown_id_and_a_malformed_one_are_the_same_404() {
    let api = Api::new();
    let id = api.submit_text("fine", &[]);
    let ids = [
        UNKNOWN.to_owned(),
        "42".to_owned(),
        "null".to_owned(),
        id.to_uppercase(),
        id.replace('-', ""),
        format!("{{{id}}}"),
        format!("{id}0"),
        format!("%20{id}"),
        format!("%00{id}"),
        // Version 4.
        "7f0c9a0e-5a5c-4a7e-9f57-0d1d7d7c7a11".to_owned(),
        "%F0%9F%98%80".to_owned(),
        "%FF%FE".to_owned(),
        "a".repeat(5_000),
        // Parts of keys and of expressions.
        format!("default%23{id}"),
        ":generation".to_owned(),
        "'%20OR%201=1".to_owned(),
    ];
    let mut details = BTreeSet::new();
    for id in ids {
        // An id that HTTP itself can't carry would not reach the API.
        let path = format!("/v1/tasks/{}", id.replace('{', "%7B").replace('}', "%7D"));
        details.insert(api.get(&path).problem(404, "task-not-found"));
    }
    assert_eq!(
        details.len(),
        1,
        "different details would reveal which ids exist: {details:?}"
    );
}

#[test]
fn an_id_cannot_traverse_paths() {
    let api = Api::new();
    let paths = [
        "/v1/tasks/../../../etc/passwd",
        "/v1/../v1/tasks/x",
        "/v1/tasks/..%2f..%2f..%2fetc%2fpasswd",
        "/v1/tasks/%2e%2e/%2e%2e/etc/passwd",
        "/v1/tasks/....//....//etc/passwd",
        "/v1/tasks/..",
        "/v1/tasks/%2e%2e%5c%2e%2e%5cwindows",
        "/v1/tasks//etc/passwd",
        "/v1/tasks/default%2Finputs%2Fx",
    ];
    for path in paths {
        let reply = api.get(path);
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
        assert!(
            reply.text("type").starts_with("urn:ai-mesh:problem:"),
            "{path}: {reply:?}"
        );
        // A path that leaves /v1 needs no token, but there is nothing to serve.
        let without_token = api.send("GET", path, &[], None);
        assert!(
            matches!(
                without_token.text("title"),
                "Token missing or wrong" | "Address not found"
            ),
            "{path}: {without_token:?}"
        );
    }
}

#[test]
fn metadata_never_becomes_part_of_an_object_key() {
    let api = Api::new();
    let text = "good ".repeat(1_500);
    let metadata = [
        ("tenant", "other"),
        ("id", UNKNOWN),
        ("key", "../../other/x"),
        ("generation", "9"),
    ];
    let id = api.submit("sentiment", json!({ "text": text }), &metadata);
    let task = api.finished(&id);
    assert_eq!(task["id"], json!(id));
    let key = task["input"]["object"]["key"].as_str().expect("a key");
    assert!(
        !key.contains("..") && !key.contains("other") && key.contains(&id),
        "{key}"
    );
    assert_eq!(task["metadata"]["key"], "../../other/x", "{task}");
}

#[test]
fn errors_never_reveal_internals() {
    let api = Api::new();
    let build_folder = env!("CARGO_MANIFEST_DIR").to_lowercase();
    for reply in [
        api.get("/v1/tasks/42"),
        api.post_raw(b"{"),
        api.send("GET", "/v1/tasks/42", &[], None),
    ] {
        let response = format!("{} {:?}", reply.body, reply.headers).to_lowercase();
        for internal in [
            "dynamodb",
            "arn:",
            "amazonaws",
            build_folder.trim_end_matches("/tests"),
            "panicked",
            "rustc",
            ".rs:",
        ] {
            assert!(!response.contains(internal), "{internal}: {response}");
        }
    }
}
