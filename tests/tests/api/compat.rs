//! The calls of the four earlier systems' READMEs, as their clients make them. docs/COMPAT.md lists them.

use std::time::{Duration, Instant};

use mesh_tests::{Api, Reply, pictures, sounds};
use serde_json::{Value, json};

/// How long a client polls.
const TIMEOUT: Duration = Duration::from_secs(120);
const TEXT: &str = "The museum opens its new wing on Saturday. Visitors will see four hundred paintings. The cloakroom \
    has been painted green. Admission is free on the first weekend.";

fn post(api: &Api, path: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json")];
    api.send("POST", path, &headers, Some(body.to_string().as_bytes()))
}

fn get(api: &Api, path: &str) -> Value {
    let reply = api.send("GET", path, &[], None);
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    reply.body
}

/// Polls as those clients do, until the status is one of these, and returns the body.
fn poll(api: &Api, path: &str, ends: &[&str]) -> Value {
    let begun = Instant::now();
    loop {
        let body = api
            .send("GET", path, &[("x-service-token", api.token())], None)
            .body;
        let status = body["status"].as_str().unwrap_or_default().to_owned();
        if ends.contains(&&*status) {
            return body;
        }
        assert!(["pending", "processing", "running"].contains(&&*status), "{body}");
        assert!(begun.elapsed() < TIMEOUT, "{body}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn id(reply: &Reply, member: &str) -> String {
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.text(member).to_owned()
}

#[test]
fn submit_and_status_of_a_text() {
    let api = Api::new();
    for path in ["/submit", "/submit-task"] {
        let reply = post(
            &api,
            path,
            &json!({ "type": "text", "data": "I love this product!" }),
        );
        assert_eq!(
            reply.body.as_object().map(|body| body.len()),
            Some(1),
            "{reply:?}"
        );
        let done = poll(&api, &format!("/status/{}", id(&reply, "task_id")), &["done"]);
        assert_eq!(done["result"]["label"], json!("POSITIVE"), "{done}");
        assert!(done["result"]["score"].as_f64().expect("a score") > 0.9, "{done}");
        assert_eq!(done.as_object().map(serde_json::Map::len), Some(2), "{done}");
    }
}

#[test]
fn submit_and_result_of_an_image() {
    let api = Api::new();
    let image = pictures::base64(&pictures::encode(
        &pictures::astronaut(),
        image::ImageFormat::Jpeg,
    ));
    let reply = post(&api, "/submit", &json!({ "type": "image", "data": image }));
    let task = id(&reply, "task_id");
    let done = poll(&api, &format!("/result/{task}"), &["done"]);
    assert_eq!(
        (&done["task_id"], &done["result"]),
        (&json!(task), &json!({ "faces": 1 })),
        "{done}"
    );
}

#[test]
fn the_type_of_a_form_s_task_follows_from_its_file() {
    let api = Api::new();
    let photograph = pictures::encode(&pictures::astronaut(), image::ImageFormat::Jpeg);
    let part = |name: &str, content: &[u8]| {
        let head = format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    };
    let form = |content: &[u8]| [&part("file", content), &b"--limit--\r\n"[..]].concat();
    let headers = [("content-type", "multipart/form-data; boundary=limit")];
    for (content, member) in [(&photograph[..], "faces"), (b"A fine day.", "label")] {
        let reply = api.send("POST", "/enqueue", &headers, Some(&form(content)));
        let done = poll(&api, &format!("/status/{}", id(&reply, "task_id")), &["done"]);
        assert!(done["result"].get(member).is_some(), "{done}");
    }
    // A form that declares an image is treated as one.
    let named = [part("task_type", b"image"), form(b"A fine day.")].concat();
    let reply = api.send("POST", "/enqueue", &headers, Some(&named));
    reply.problem(422, "invalid-input");
    // The text is too long, not the form.
    let long = form(&b"fine ".repeat(500_000));
    let reply = api.send("POST", "/enqueue", &headers, Some(&long));
    reply.problem(422, "invalid-input");
    let none = [("content-type", "multipart/form-data")];
    api.send("POST", "/enqueue", &none, Some(b"x"))
        .problem(422, "invalid-task");
    let empty = api.send("POST", "/enqueue", &headers, Some(b"--limit--\r\n"));
    empty.problem(422, "invalid-task");
}

#[test]
fn a_sentiment_is_never_neutral() {
    let api = Api::new();
    // Texts without a clear sentiment. The earlier system knows only two labels.
    for text in [
        "Monday.",
        "It has a button.",
        "It is blue and I do not mind.",
        "The report is on the table.",
    ] {
        let reply = post(&api, "/submit", &json!({ "type": "text", "data": text }));
        let task = id(&reply, "task_id");
        let done = poll(&api, &format!("/status/{task}"), &["done"]);
        let (label, score) = (
            &done["result"]["label"],
            done["result"]["score"].as_f64().expect("a score"),
        );
        assert!(
            ["POSITIVE", "NEGATIVE"].map(|label| json!(label)).contains(label),
            "{done}"
        );
        assert!((0.5..=1.0).contains(&score), "{done}");
        let native = &api.show(&task)["result"];
        let positive = native["positive"].as_f64().expect("a probability");
        assert_eq!(label == "POSITIVE", positive >= 0.5, "{native}");
    }
}

#[test]
fn task_and_its_status() {
    let api = Api::new();
    let reply = post(
        &api,
        "/task",
        &json!({ "type": "text", "data": "I hate waiting." }),
    );
    assert_eq!(reply.text("status"), "submitted");
    let task = id(&reply, "task_id");
    let done = poll(&api, &format!("/task/{task}"), &["completed"]);
    assert_eq!(
        (&done["id"], &done["data"], &done["result"]["label"]),
        (&json!(task), &json!("I hate waiting."), &json!("NEGATIVE")),
        "{done}"
    );
}

#[test]
fn task_without_a_body_runs_the_sample_task() {
    let api = Api::new();
    let reply = api.send("POST", "/task", &[], None);
    let done = poll(&api, &format!("/task/{}", id(&reply, "task_id")), &["completed"]);
    assert_eq!(done["data"], json!("Sample background task"), "{done}");
}

#[test]
fn the_platform_s_tasks_with_a_service_token() {
    let api = Api::new();
    let submit = |task_type: &str, input: Value| {
        let body = json!({ "task_type": task_type, "input": input });
        let headers = [
            ("x-service-token", api.token()),
            ("content-type", "application/json"),
        ];
        let reply = api.send(
            "POST",
            "/api/v1/tasks",
            &headers,
            Some(body.to_string().as_bytes()),
        );
        assert_eq!(reply.status, 202, "{reply:?}");
        assert_eq!(
            (
                &reply.body["task_type"],
                &reply.body["input"],
                &reply.body["status"]
            ),
            (&json!(task_type), &input, &json!("pending"))
        );
        poll(
            &api,
            &format!("/api/v1/tasks/{}", reply.text("id")),
            &["completed", "failed"],
        )
    };
    let summary = submit("summarize", json!({ "text": TEXT }));
    let text = summary["result"].as_str().expect("the summary is a string");
    assert!(text.contains("museum"), "{summary}");
    let times = ["created_at", "updated_at"].map(|name| summary[name].as_str().map(str::len));
    assert!(times.iter().all(|length| *length > Some(19)), "{summary}");

    let input = json!({ "text": "The goalkeeper saved a penalty.", "categories": ["sports", "cooking"] });
    let class = submit("classify", input.clone());
    assert_eq!(
        (&class["result"], &class["input"]),
        (&json!("sports"), &input),
        "{class}"
    );

    // This stack has no language model. Such a failure is where these clients look for it.
    for (task_type, input) in [
        (
            "translate",
            json!({ "text": "Good morning.", "target_language": "German" }),
        ),
        (
            "data_extraction",
            json!({ "text": "Anna is 30.", "schema": { "name": "string" } }),
        ),
    ] {
        let failed = submit(task_type, input);
        assert_eq!(failed["status"], json!("failed"), "{failed}");
        assert!(
            failed["result"]["error"]
                .as_str()
                .is_some_and(|error| !error.is_empty()),
            "{failed}"
        );
    }
}

#[test]
fn the_platform_s_routes_need_a_token() {
    let api = Api::new();
    let body = json!({ "task_type": "summarize", "input": { "text": TEXT } });
    post(&api, "/api/v1/tasks", &body).problem(401, "unauthorized");
    let path = format!("/api/v1/tasks/{}", api.submit_text("fine", &[]));
    api.send("GET", &path, &[], None).problem(401, "unauthorized");
    // A wrong token is refused even where none is needed.
    let headers = [("x-service-token", "wrong"), ("content-type", "application/json")];
    let body = json!({ "type": "text", "data": "fine" }).to_string();
    let reply = api.send("POST", "/submit", &headers, Some(body.as_bytes()));
    reply.problem(401, "unauthorized");
}

#[test]
fn jobs_of_uploaded_files() {
    let api = Api::new();
    let picture = pictures::encode(&pictures::testdata("page.png"), image::ImageFormat::Png);
    let files = [
        ("text/plain", TEXT.as_bytes().to_vec(), "museum"),
        ("image/png", picture, "segmentation"),
        ("audio/wav", sounds::beckett(), "fail"),
    ];
    for (content_type, content, word) in files {
        let upload = api.upload(content_type, &content);
        let path = format!("uploads/{upload}");
        let reply = post(&api, "/jobs", &json!({ "input_file_path": path }));
        let job = id(&reply, "id");
        let done = poll(&api, &format!("/jobs/{job}"), &["completed", "failed"]);
        assert_eq!(
            (&done["status"], &done["error_message"]),
            (&json!("completed"), &json!(null)),
            "{done}"
        );
        assert_eq!(done["input_file_path"], json!(path), "{done}");
        let output = done["result"]["output"].as_str().expect("the output is text");
        assert!(output.to_lowercase().contains(word), "{done}");
    }
}

#[test]
fn a_failed_job_has_an_error_message() {
    let api = Api::new();
    // Only the beginning of a picture.
    let upload = api.upload("image/png", &pictures::png_without_pixels(100, 100)[..60]);
    let reply = post(
        &api,
        "/jobs",
        &json!({ "input_file_path": format!("default/uploads/{upload}") }),
    );
    let failed = poll(&api, &format!("/jobs/{}", id(&reply, "id")), &["failed"]);
    assert!(
        failed["error_message"]
            .as_str()
            .is_some_and(|error| !error.is_empty()),
        "{failed}"
    );
    assert_eq!(failed["result"], json!(null));
    let nothing = post(&api, "/jobs", &json!({ "input_file_path": "uploads/../secret" }));
    nothing.problem(422, "invalid-task");
    let missing = "uploads/019a0000-0000-7000-8000-000000000000";
    post(&api, "/jobs", &json!({ "input_file_path": missing })).problem(422, "upload-not-found");
}

#[test]
fn jobs_are_listed_page_by_page_and_counted() {
    let api = Api::new();
    let ids: Vec<_> = (0..3).map(|_| api.submit_text("fine", &[])).collect();
    let mut seen = Vec::new();
    let mut path = "/jobs?limit=2".to_owned();
    let mut limit = 2;
    loop {
        let page = api
            .send("GET", &path, &[("x-service-token", api.token())], None)
            .body;
        let jobs = page["jobs"].as_array().expect("jobs");
        assert!(jobs.len() <= limit, "{page}");
        seen.extend(
            jobs.iter()
                .filter_map(|job| job["id"].as_str().map(str::to_owned)),
        );
        if ids.iter().all(|id| seen.contains(id)) {
            break;
        }
        let cursor = page["next_cursor"].as_str();
        let cursor = cursor.unwrap_or_else(|| panic!("{ids:?} are not in {seen:?}"));
        // After two small pages the test reads larger ones, since another test may have submitted a thousand tasks.
        limit = if seen.len() < 4 { 2 } else { 100 };
        path = format!("/jobs?limit={limit}&cursor={cursor}");
    }
    api.send("GET", "/jobs", &[], None).problem(401, "unauthorized");
    let stats = get(&api, "/admin/stats");
    for status in ["pending", "processing", "completed", "failed"] {
        assert!(stats[status].is_u64(), "{stats}");
        assert_eq!(stats["by_status"][status], stats[status], "{stats}");
    }
    assert!(stats["total"].is_u64(), "{stats}");
}

#[test]
fn an_unknown_task_is_404_and_a_cancelled_one_failed() {
    let api = Api::new();
    let unknown = "019a0000-0000-7000-8000-000000000000";
    for path in ["/status/", "/result/", "/task/", "/jobs/"] {
        api.send("GET", &format!("{path}{unknown}"), &[], None)
            .problem(404, "task-not-found");
        api.send("GET", &format!("{path}7"), &[], None)
            .problem(404, "task-not-found");
    }
    let task = api.submit_text("fine", &[("fault", "hang")]);
    assert_eq!(api.cancel(&task).status, 200);
    let shown = get(&api, &format!("/status/{task}"));
    assert_eq!(
        (&shown["status"], &shown["error"]),
        (&json!("failed"), &json!("it was cancelled"))
    );
    assert_eq!(
        get(&api, &format!("/jobs/{task}"))["error_message"],
        json!("it was cancelled")
    );
}

#[test]
fn a_body_without_a_task_is_refused_with_an_explanation() {
    let api = Api::new();
    for body in [
        json!({}),
        json!([]),
        json!({ "type": "video", "data": "x" }),
        json!({ "type": "text" }),
        json!({ "type": "text", "data": 7 }),
    ] {
        for path in ["/submit", "/task"] {
            let detail = post(&api, path, &body).problem(422, "invalid-task");
            assert!(detail.contains("\"data\""), "{detail}");
        }
    }
    post(&api, "/submit", &json!({ "type": "text", "data": " " })).problem(422, "invalid-input");
    post(&api, "/submit", &json!({ "type": "image", "data": "no base64!" })).problem(422, "invalid-input");
}
