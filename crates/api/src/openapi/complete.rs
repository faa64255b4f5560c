//! Adds what all operations have in common: security, refusals and headers; and the schemas of the bodies that are parsed
//! by hand.

use http::StatusCode;
use mesh_task::TaskType;
use mesh_task::openapi::{example, request_schemas};
use serde_json::{Map, Value, json};

use crate::submission::MAX_BATCH;

/// The only route that never requires a token.
const OPEN: &str = "/health";
/// The only operation of the systems without tokens that always requires one.
const LIST_OF_JOBS: &str = "compat_list_jobs";
/// The only route whose body may be absent.
const BODY_IS_OPTIONAL: &str = "/task";
/// The tag of deprecated routes.
const EARLIER: &str = "earlier systems";
/// Statuses that every operation except [`OPEN`] may return.
const ALWAYS: [u16; 5] = [400, 401, 429, 431, 503];
/// Statuses that every operation with a body may return.
const WITH_BODY: [u16; 3] = [413, 415, 422];
/// The status that every operation may return that writes.
const WRITES: u16 = 507;

pub(super) fn complete(document: &mut Value) {
    // Relative to the document's own address, so that a stage in the path is kept.
    document["servers"] = json!([{ "url": "." }]);
    let components = &mut document["components"];
    for (name, schema) in request_schemas() {
        components["schemas"][name] = schema;
    }
    components["schemas"]["Batch"] = batch();
    components["securitySchemes"] = json!({
        "token": { "type": "apiKey", "in": "header", "name": "X-Service-Token" },
        "bearer": { "type": "http", "scheme": "bearer" },
    });
    components["headers"] = json!({
        "x-request-id": {
            "description": "The request's id in the logs.",
            "required": true, "schema": { "type": "string" },
        },
        "x-correlation-id": {
            "description": "The X-Correlation-Id of the request, or else the trace id of its traceparent, or else its own id.",
            "required": true, "schema": { "type": "string" },
        },
        "Retry-After": {
            "description": "How many seconds to wait before the next try.",
            "schema": { "type": "integer", "minimum": 0 },
        },
    });
    components["responses"] = problems();
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete_operation(path, method, operation);
        }
    }
    let examples = TaskType::ALL.map(|task_type| {
        let example = json!({ "summary": task_type, "value": example(task_type) });
        (task_type.as_str().to_owned(), example)
    });
    let body = &mut document["paths"]["/v1/tasks"]["post"]["requestBody"]["content"]["application/json"];
    body["examples"] = Map::from_iter(examples).into();
    let listed = document["paths"]["/v1/tasks"]["get"]["parameters"].as_array_mut();
    listed
        .into_iter()
        .for_each(|parameters| parameters.push(metadata()));
}

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    let body = operation.get_mut("requestBody").and_then(Value::as_object_mut);
    let takes_body = body.is_some();
    if let Some(body) = body {
        body.insert("required".to_owned(), json!(path != BODY_IS_OPTIONAL));
    }
    if operation["tags"] == json!([EARLIER]) {
        operation["deprecated"] = json!(true);
    }
    let is_closed = ["/v1/", "/api/v1/"].iter().any(|closed| path.starts_with(closed));
    operation["security"] = if is_closed || operation["operationId"] == LIST_OF_JOBS {
        json!([{ "token": [] }, { "bearer": [] }])
    } else {
        json!([{}, { "token": [] }, { "bearer": [] }])
    };
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    parameters.into_iter().flatten().for_each(forbid_null);
    summarize(operation);
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    let always = ALWAYS.iter().filter(|_| path != OPEN);
    let with_body = WITH_BODY.iter().filter(|_| takes_body);
    let writes = [WRITES].iter().filter(|_| method != "get");
    for status in always.chain(with_body).chain(writes) {
        responses.entry(status.to_string()).or_insert(Value::Null);
    }
    for (status, response) in responses {
        if response.get("content").is_none() {
            *response = json!({ "$ref": format!("#/components/responses/{status}") });
        } else {
            response["headers"] = headers(&["x-request-id", "x-correlation-id"]);
        }
    }
    if path == OPEN {
        let failing = &mut operation["responses"]["503"]["content"];
        failing["application/problem+json"] = problem_content();
    }
}

/// Makes the first sentence of a handler's doc comment the summary, and the rest the description.
fn summarize(operation: &mut Value) {
    let comment = operation["summary"]
        .as_str()
        .unwrap_or_default()
        .replace('\n', " ");
    let (summary, description) = comment.split_once(". ").unwrap_or((&comment, ""));
    operation["summary"] = json!(summary.trim_end_matches('.'));
    if !description.is_empty() {
        operation["description"] = json!(description);
    }
}

/// Removes `null` from the types of a parameter: an optional parameter is absent, not null.
fn forbid_null(parameter: &mut Value) {
    let schema = &mut parameter["schema"];
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema["type"] = one;
        }
    }
    let of = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    let other = of.and_then(|of| of.iter().find(|one| one.get("$ref").is_some()).cloned());
    if let Some(other) = other {
        *schema = other;
    }
}

fn headers(names: &[&str]) -> Value {
    let references = names.iter().map(|name| {
        let reference = json!({ "$ref": format!("#/components/headers/{name}") });
        ((*name).to_owned(), reference)
    });
    Map::from_iter(references).into()
}

fn problem_content() -> Value {
    json!({ "schema": { "$ref": "#/components/schemas/Problem" } })
}

/// A response for each status that a problem may have.
fn problems() -> Value {
    let descriptions = [
        (
            StatusCode::BAD_REQUEST,
            "The query, a header or the JSON can't be parsed.",
        ),
        (StatusCode::UNAUTHORIZED, "The token is missing or wrong."),
        (
            StatusCode::NOT_FOUND,
            "There is no such task, or it is not yours.",
        ),
        (StatusCode::CONFLICT, "The task's status does not allow it."),
        (
            StatusCode::GONE,
            "The changes after this cursor are no longer stored.",
        ),
        (
            StatusCode::PAYLOAD_TOO_LARGE,
            "The request is too large: upload the content.",
        ),
        (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The Content-Type is not JSON.",
        ),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "The body is invalid; the detail says what to send.",
        ),
        (
            StatusCode::TOO_MANY_REQUESTS,
            "More requests than the service accepts at the moment.",
        ),
        (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "The headers are too large.",
        ),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "A service behind the API did not answer: try again.",
        ),
        (
            StatusCode::INSUFFICIENT_STORAGE,
            "The server's disk is full: make room, then try again.",
        ),
    ];
    let responses = descriptions.map(|(status, description)| {
        let is_temporary = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        let mut names = vec!["x-request-id", "x-correlation-id"];
        names.extend(is_temporary.then_some("Retry-After"));
        let response = json!({
            "description": description,
            "headers": headers(&names),
            "content": { "application/problem+json": problem_content() },
        });
        (status.as_u16().to_string(), response)
    });
    Map::from_iter(responses).into()
}

fn batch() -> Value {
    let examples = TaskType::ALL.map(example);
    json!({
        "description": "Tasks, each of which is accepted or refused by itself.",
        "type": "object",
        "required": ["tasks"],
        "properties": {
            "tasks": {
                "type": "array", "minItems": 1, "maxItems": MAX_BATCH,
                "items": { "$ref": "#/components/schemas/Submission" },
            },
        },
        "additionalProperties": false,
        "examples": [{ "tasks": &examples[..2] }],
    })
}

/// The parameters whose names the client chooses.
fn metadata() -> Value {
    json!({
        "name": "metadata",
        "in": "query",
        "description": "`metadata.KEY=VALUE`: only tasks with this pair. It may be repeated with other keys.",
        "required": false,
        "style": "form",
        "explode": true,
        "schema": {
            "type": "object",
            "propertyNames": { "pattern": r"^metadata\.." },
            "additionalProperties": { "type": "string" },
            "maxProperties": 10,
        },
        "example": { "metadata.order": "42" },
    })
}
