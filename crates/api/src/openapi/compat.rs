//! The earlier systems' routes in the document: deprecated, and told here in one piece, so that [`crate::compat`] stays a
//! file that one day is deleted with this one.

use serde_json::{Map, Value, json};

const TAG: &str = "earlier systems";

/// What a route is for, what it takes and what it answers.
struct Route {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    body: Option<(&'static str, Value)>,
    answer: Value,
}

/// Adds them to the document.
pub(super) fn add(document: &mut Value) {
    for route in submissions().into_iter().chain(reads()) {
        let (path, method) = (route.path, route.method);
        document["paths"][path][method] = route.operation();
    }
    if let Some(tags) = document["tags"].as_array_mut() {
        let told =
            "Routes that keep the clients of four earlier systems working. New clients should not use them.";
        tags.push(json!({ "name": TAG, "description": told }));
    }
}

impl Route {
    fn operation(self) -> Value {
        let submits = self.body.is_some();
        let (status, description) = if submits {
            ("202", "The task is accepted.")
        } else {
            ("200", "As it stands.")
        };
        let answer = json!({ "description": description, "content": { "application/json": { "schema": self.answer } } });
        let mut responses = Map::from_iter([(status.to_owned(), answer)]);
        let mut parameters = Vec::new();
        if self.path.ends_with("{id}") {
            responses.insert("404".to_owned(), Value::Null);
            let schema = json!({ "type": "string", "format": "uuid" });
            parameters.push(json!({ "name": "id", "in": "path", "required": true, "schema": schema }));
        }
        if self.id == "compat_list_jobs" {
            responses.insert("400".to_owned(), Value::Null);
            parameters.extend(paging());
        }
        let mut operation = json!({
            "tags": [TAG], "operationId": self.id, "summary": self.summary, "deprecated": true, "responses": responses,
        });
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if let Some((content_type, schema)) = self.body {
            let required = self.path != "/task";
            operation["requestBody"] = json!({
                "required": required, "content": { content_type: { "schema": schema } },
            });
        }
        operation
    }
}

fn submissions() -> [Route; 6] {
    const JSON: &str = "application/json";
    let submit = |path, id, answer| Route {
        path,
        method: "post",
        id,
        summary: "Submit a text for its sentiment, or an image for its faces",
        body: Some((JSON, simple())),
        answer,
    };
    let submitted = json!({ "type": "string", "const": "submitted" });
    [
        submit("/submit", "compat_submit", object(&[("task_id", id())])),
        submit("/submit-task", "compat_submit_task", object(&[("task_id", id())])),
        submit(
            "/task",
            "compat_create_task",
            object(&[("task_id", id()), ("status", submitted)]),
        ),
        Route {
            path: "/enqueue",
            method: "post",
            id: "compat_enqueue",
            summary: "Submit a file, as a form",
            body: Some(("multipart/form-data", form())),
            answer: object(&[("task_id", id())]),
        },
        Route {
            path: "/api/v1/tasks",
            method: "post",
            id: "compat_create_platform_task",
            summary: "Submit a text to be summarized, translated, classified, or read for fields",
            body: Some((JSON, platform())),
            answer: object(&[
                ("id", id()),
                ("task_type", platform_type()),
                ("status", status(&PLATFORM)),
                ("input", json!({ "type": "object" })),
            ]),
        },
        Route {
            path: "/jobs",
            method: "post",
            id: "compat_create_job",
            summary: "Submit an uploaded file: a text to be summarized, a picture or a recording to be read",
            body: Some((
                JSON,
                object(&[(
                    "input_file_path",
                    json!({ "type": "string", "examples": ["uploads/ID"] }),
                )]),
            )),
            answer: object(&[
                ("id", id()),
                ("status", status(&PLATFORM)),
                ("input_file_path", json!({ "type": "string" })),
            ]),
        },
    ]
}

fn reads() -> [Route; 8] {
    let read = |path, id, summary, answer| Route {
        path,
        method: "get",
        id,
        summary,
        body: None,
        answer,
    };
    let done = ["pending", "processing", "done", "failed"];
    let result = read(
        "/result/{id}",
        "compat_result",
        "A task's status, and its result once there is one",
        ended(&[("task_id", id()), ("status", status(&done))]),
    );
    let times = [("created_at", time()), ("updated_at", time())];
    let [created_at, updated_at] = times;
    let nullable = |name: &str| json!({ "type": [name, "null"] });
    let job = [
        ("id", id()),
        ("status", status(&PLATFORM)),
        ("error_message", nullable("string")),
        created_at.clone(),
        updated_at.clone(),
    ];
    let mut whole = job.to_vec();
    whole.extend([
        ("input_file_path", nullable("string")),
        ("result", nullable("object")),
    ]);
    let counts = PLATFORM.map(|name| (name, json!({ "type": "integer", "minimum": 0 })));
    [
        read(
            "/status/{id}",
            "compat_status",
            result.summary,
            ended(&[("status", status(&done))]),
        ),
        result,
        read(
            "/task/{id}",
            "compat_show_task",
            "A task's state",
            ended(&[
                ("id", id()),
                ("task_id", id()),
                ("status", status(&["pending", "running", "completed", "failed"])),
                ("data", nullable("string")),
            ]),
        ),
        read(
            "/workers",
            "compat_list_workers",
            "The workers",
            json!({ "type": "array", "items": worker() }),
        ),
        read(
            "/api/v1/tasks/{id}",
            "compat_show_platform_task",
            "A task, with its result once there is one",
            object(&[
                ("id", id()),
                ("task_type", json!({ "$ref": "#/components/schemas/TaskType" })),
                ("status", status(&PLATFORM)),
                ("input", json!({ "type": "object" })),
                ("result", json!({})),
                created_at,
                updated_at,
            ]),
        ),
        read(
            "/jobs",
            "compat_list_jobs",
            "The tasks, newest first, page by page",
            object(&[
                ("jobs", json!({ "type": "array", "items": object(&job) })),
                ("next_cursor", nullable("string")),
            ]),
        ),
        read(
            "/jobs/{id}",
            "compat_show_job",
            "A task, with its result once there is one",
            object(&whole),
        ),
        read(
            "/admin/stats",
            "compat_job_stats",
            "How many tasks there are",
            object(&[
                ("total", json!({ "type": "integer" })),
                ("by_status", object(&counts)),
            ]),
        ),
    ]
}

const PLATFORM: [&str; 4] = ["pending", "processing", "completed", "failed"];

fn simple() -> Value {
    json!({
        "type": "object",
        "required": ["type", "data"],
        "properties": {
            "type": { "type": "string", "enum": ["text", "image"] },
            "data": { "type": "string", "description": "The text, or the image's file in base64." },
        },
        "examples": [{ "type": "text", "data": "I love this project!" }],
    })
}

fn form() -> Value {
    json!({
        "type": "object",
        "required": ["file"],
        "properties": {
            "file": { "type": "string", "contentMediaType": "application/octet-stream" },
            "task_type": { "type": "string", "description": "`text` or `image`; by default what the file is." },
        },
    })
}

fn platform() -> Value {
    json!({
        "type": "object",
        "required": ["task_type", "input"],
        "properties": { "task_type": platform_type(), "input": { "type": "object", "required": ["text"] } },
        "examples": [{
            "task_type": "classify",
            "input": { "text": "The goalkeeper saved a penalty.", "categories": ["sports", "cooking"] },
        }],
    })
}

fn platform_type() -> Value {
    json!({ "type": "string", "enum": ["summarize", "translate", "classify", "data_extraction"] })
}

fn worker() -> Value {
    object(&[
        ("id", json!({ "type": "string" })),
        ("status", json!({ "type": "string", "const": "healthy" })),
        (
            "last_seen",
            json!({ "type": "number", "description": "In seconds since 1970; 0 if not in the last hour." }),
        ),
        ("tasks_in_progress", json!({ "type": "integer", "minimum": 0 })),
    ])
}

/// Members that are always there, and those that come with the end.
fn ended(always: &[(&str, Value)]) -> Value {
    let mut schema = object(always);
    schema["properties"]["result"] = json!({ "type": ["object", "null"] });
    schema["properties"]["error"] = json!({ "type": "string" });
    schema
}

fn object(members: &[(&str, Value)]) -> Value {
    let names: Vec<_> = members.iter().map(|(name, _)| name).collect();
    let properties = Map::from_iter(
        members
            .iter()
            .map(|(name, schema)| ((*name).to_owned(), schema.clone())),
    );
    json!({ "type": "object", "required": names, "properties": properties })
}

fn id() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

fn status(names: &[&str]) -> Value {
    json!({ "type": "string", "enum": names })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn paging() -> [Value; 2] {
    [
        json!({ "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 200 } }),
        json!({ "name": "cursor", "in": "query", "schema": { "type": "string", "pattern": "^[0-9a-f]{48}$" } }),
    ]
}
