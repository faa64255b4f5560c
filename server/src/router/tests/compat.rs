//! The documented calls of the four earlier systems, as docs/COMPAT.md shows them, with `--compat` at http://localhost:8000.
//! Of the results, which need workers, the black-box tests tell.

use http::header::CONTENT_TYPE;
use serde_json::json;

use super::*;

const PAGE: &str = include_str!("../../../../docs/COMPAT.md");
/// What a program sends that calls http://localhost:8000 without a token.
const ANONYMOUS: [(&str, &str); 1] = [("host", "localhost:8000")];
const WITH_TOKEN: [(&str, &str); 2] = [("host", "localhost:8000"), ("x-service-token", TOKEN)];
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// The tasks that the server was given since the last call: type and id, in the order of their submission.
async fn submitted(server: &Server) -> Vec<(String, String)> {
    let (status, list) = server.answer(get("/v1/tasks?limit=100", &WITH_TOKEN)).await;
    assert_eq!(status, StatusCode::OK, "{list}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let tasks = list["tasks"].as_array().unwrap().iter();
    tasks
        .map(|task| (text(&task["type"]), text(&task["id"])))
        .collect()
}

/// Sends the call, which is accepted, and returns the answer's body. The newest task has this type, and its id is at `member`.
async fn accepted(server: &Server, request: Request<Body>, member: &str, task_type: &str) -> Value {
    let (status, body) = server.answer(request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    let newest = submitted(server).await.remove(0);
    assert_eq!(
        (newest.0.as_str(), &json!(newest.1)),
        (task_type, &body[member]),
        "{body}"
    );
    body
}

/// The fields of an object, in order.
fn fields(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn base64_gif() -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(GIF)
}

#[tokio::test(flavor = "multi_thread")]
async fn ai_mesh_in_python() {
    let server = Server::start(&["--compat"]);
    for path in ["/submit", "/submit-task"] {
        let text = json!({ "type": "text", "data": "I love this project!" });
        let body = accepted(&server, post(path, &ANONYMOUS, &text), "task_id", "sentiment").await;
        assert_eq!(fields(&body), ["task_id"]);
        let image = json!({ "type": "image", "data": base64_gif() });
        accepted(
            &server,
            post(path, &ANONYMOUS, &image),
            "task_id",
            "face_detection",
        )
        .await;
    }
    let form = |content: &[u8], task_type: Option<&str>| {
        let mut body =
            b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n".to_vec();
        body.extend(content);
        if let Some(task_type) = task_type {
            body.extend(b"\r\n--x\r\nContent-Disposition: form-data; name=\"task_type\"\r\n\r\n");
            body.extend(task_type.as_bytes());
        }
        body.extend(b"\r\n--x--\r\n");
        let request = request(Method::POST, "/enqueue", &ANONYMOUS);
        let request = request.header(CONTENT_TYPE, "multipart/form-data; boundary=x");
        request.body(Body::from(body)).unwrap()
    };
    accepted(&server, form(GIF, None), "task_id", "face_detection").await;
    accepted(&server, form(b"fine", Some("text")), "task_id", "sentiment").await;
    let (_, id) = submitted(&server).await.remove(0);
    let (status, body) = server.answer(get(&format!("/status/{id}"), &ANONYMOUS)).await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "status": "pending" })));
    let (status, body) = server.answer(get(&format!("/result/{id}"), &ANONYMOUS)).await;
    assert_eq!(
        (status, body),
        (StatusCode::OK, json!({ "task_id": id, "status": "pending" }))
    );
    let (status, workers) = server.answer(get("/workers", &ANONYMOUS)).await;
    assert_eq!(status, StatusCode::OK);
    let worker =
        json!({ "id": "text-worker", "status": "healthy", "last_seen": 0.0, "tasks_in_progress": 0 });
    assert!(workers.as_array().unwrap().contains(&worker), "{workers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mini_task_queue() {
    let server = Server::start(&["--compat"]);
    let text = json!({ "type": "text", "data": "I hate waiting." });
    let body = accepted(&server, post("/task", &ANONYMOUS, &text), "task_id", "sentiment").await;
    assert_eq!(body["status"], "submitted");
    let id = &body["task_id"];
    let path = format!("/task/{}", id.as_str().unwrap());
    let (status, shown) = server.answer(get(&path, &ANONYMOUS)).await;
    let expected = json!({ "id": id, "task_id": id, "status": "pending", "data": "I hate waiting." });
    assert_eq!((status, shown), (StatusCode::OK, expected));
    let sample = request(Method::POST, "/task", &ANONYMOUS)
        .body(Body::empty())
        .unwrap();
    accepted(&server, sample, "task_id", "sentiment").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ai_taskflow_always_needs_the_token() {
    let server = Server::start(&["--compat"]);
    let input = json!({ "text": "The goalkeeper saved a penalty.", "categories": ["sports", "cooking"] });
    let task = json!({ "task_type": "classify", "input": input });
    let body = accepted(
        &server,
        post("/api/v1/tasks", &WITH_TOKEN, &task),
        "id",
        "classify",
    )
    .await;
    assert_eq!(
        body,
        json!({ "id": body["id"], "task_type": "classify", "status": "pending", "input": input })
    );
    let path = format!("/api/v1/tasks/{}", body["id"].as_str().unwrap());
    let (status, shown) = server.answer(get(&path, &WITH_TOKEN)).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    assert_eq!((&shown["input"], &shown["result"]), (&input, &Value::Null));
    for request in [post("/api/v1/tasks", &ANONYMOUS, &task), get(&path, &ANONYMOUS)] {
        let (status, problem) = server.answer(request).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_platform_on_celery() {
    let server = Server::start(&["--compat"]);
    let content = "The museum opens its new wing on Saturday.";
    let sha256 = hex::encode(Sha256::digest(content));
    let upload = json!({ "content_type": "text/plain", "length": content.len(), "sha256": sha256 });
    let (status, upload) = server.answer(post("/v1/uploads", &WITH_TOKEN, &upload)).await;
    assert_eq!(status, StatusCode::CREATED, "{upload}");
    let target = upload["url"]
        .as_str()
        .unwrap()
        .strip_prefix("http://127.0.0.1:8000")
        .unwrap();
    let put = request(Method::PUT, target, &[])
        .header(CONTENT_TYPE, "text/plain")
        .header("content-length", content.len());
    let stored = server.send(put.body(Body::from(content)).unwrap()).await;
    assert_eq!(stored.status(), StatusCode::OK);
    let file = format!("uploads/{}", upload["id"].as_str().unwrap());
    let job = json!({ "input_file_path": file });
    let body = accepted(&server, post("/jobs", &ANONYMOUS, &job), "id", "summarize").await;
    assert_eq!(
        (&body["status"], &body["input_file_path"]),
        (&json!("pending"), &json!(file))
    );
    let id = body["id"].as_str().unwrap();
    let (status, shown) = server.answer(get(&format!("/jobs/{id}"), &ANONYMOUS)).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    assert_eq!(
        (
            &shown["status"],
            &shown["input_file_path"],
            &shown["result"],
            &shown["error_message"]
        ),
        (&json!("pending"), &json!(file), &Value::Null, &Value::Null)
    );

    let (status, problem) = server.answer(get("/jobs?limit=50", &ANONYMOUS)).await;
    assert_eq!(
        status,
        StatusCode::UNAUTHORIZED,
        "a list shows the tasks of others: {problem}"
    );
    let (status, list) = server.answer(get("/jobs?limit=50", &WITH_TOKEN)).await;
    assert_eq!(status, StatusCode::OK, "{list}");
    assert_eq!(
        (&list["jobs"][0]["id"], &list["next_cursor"]),
        (&json!(id), &Value::Null)
    );

    let records = server.embedded.uncounted(100).await.unwrap();
    let counters = server.embedded.counters();
    mesh_reactor::follow(&*counters, &*server.metrics, records)
        .await
        .unwrap();
    let (status, stats) = server.answer(get("/admin/stats", &ANONYMOUS)).await;
    let by_status = json!({ "pending": 1, "processing": 0, "completed": 0, "failed": 0 });
    let mut expected = json!({ "total": 1, "by_status": by_status });
    expected
        .as_object_mut()
        .unwrap()
        .extend(by_status.as_object().unwrap().clone());
    assert_eq!((status, stats), (StatusCode::OK, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_call_needs_the_token_without_the_flag() {
    let server = Server::start(&[]);
    let (_, table) = PAGE.split_once("| earlier system | its calls |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let calls: Vec<_> = table
        .split('`')
        .filter_map(|code| code.split_once(" /"))
        .collect();
    assert_eq!(calls.len(), 14, "{calls:?}");
    for (method, path) in calls {
        let target = format!(
            "/{}",
            path.replace("{id}", "019a0000-0000-7000-8000-000000000000")
        );
        let call = |headers| {
            let request = request(method.parse().unwrap(), &target, headers);
            request.body(Body::empty()).unwrap()
        };
        let (status, _) = server.answer(call(&ANONYMOUS)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {target}");
        let (status, _) = server.answer(call(&WITH_TOKEN)).await;
        assert_ne!(status, StatusCode::UNAUTHORIZED, "{method} {target}");
    }
}
