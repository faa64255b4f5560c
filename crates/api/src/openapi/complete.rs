//! What holds for all operations, and so is not said by each: tokens, refusals, headers, and the bodies that are read by
//! hand.

use http::StatusCode;
use mesh_task::TaskType;
use mesh_task::openapi::{example, request_schemas};
use serde_json::{Map, Value, json};

use crate::tasks::MAX_BATCH;

/// The one thing that anyone may ask.
const OPEN: &str = "/health";
/// Any of them may befall all others.
const ALWAYS: [u16; 4] = [401, 429, 431, 503];
/// And these what has a body.
const WITH_BODY: [u16; 4] = [400, 413, 415, 422];

/// Adds it to the document.
pub(super) fn complete(document: &mut Value) {
    // Relative to the document's own address, whatever the stage before it.
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
            "description": "By which the logs know the request.",
            "required": true, "schema": { "type": "string" },
        },
        "x-correlation-id": {
            "description": "The X-Correlation-Id of the request, else the trace id of its traceparent, else its own id.",
            "required": true, "schema": { "type": "string" },
        },
        "Retry-After": {
            "description": "After how many seconds to try again.",
            "schema": { "type": "integer", "minimum": 0 },
        },
    });
    components["responses"] = problems();
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for operation in item.as_object_mut().into_iter().flatten().map(|(_, it)| it) {
            complete_operation(path, operation);
        }
    }
    let examples = TaskType::ALL.map(|task_type| {
        let told = json!({ "summary": task_type, "value": example(task_type) });
        (task_type.as_str().to_owned(), told)
    });
    let body = &mut document["paths"]["/v1/tasks"]["post"]["requestBody"]["content"]["application/json"];
    body["examples"] = Map::from_iter(examples).into();
    let listed = document["paths"]["/v1/tasks"]["get"]["parameters"].as_array_mut();
    listed
        .into_iter()
        .for_each(|parameters| parameters.push(metadata()));
}

fn complete_operation(path: &str, operation: &mut Value) {
    let body = operation.get_mut("requestBody").and_then(Value::as_object_mut);
    let takes_body = body.is_some();
    if let Some(body) = body {
        body.entry("required").or_insert(json!(true));
    }
    operation["security"] = if ["/v1/", "/api/v1/"].iter().any(|closed| path.starts_with(closed)) {
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
    for status in always.chain(with_body) {
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

/// Of what a handler says of itself, the first sentence is a summary.
fn summarize(operation: &mut Value) {
    let told = operation["summary"]
        .as_str()
        .unwrap_or_default()
        .replace('\n', " ");
    let (summary, description) = told.split_once(". ").unwrap_or((&told, ""));
    operation["summary"] = json!(summary.trim_end_matches('.'));
    if !description.is_empty() {
        operation["description"] = json!(description);
    }
}

/// A parameter that may be left out is not one that may be null.
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
    let told = names.iter().map(|name| {
        let reference = json!({ "$ref": format!("#/components/headers/{name}") });
        ((*name).to_owned(), reference)
    });
    Map::from_iter(told).into()
}

fn problem_content() -> Value {
    json!({ "schema": { "$ref": "#/components/schemas/Problem" } })
}

/// A response for each status that a problem may have.
fn problems() -> Value {
    let told = [
        (
            StatusCode::BAD_REQUEST,
            "The query, a header or the JSON can't be read.",
        ),
        (
            StatusCode::UNAUTHORIZED,
            "The token is missing or not known here.",
        ),
        (
            StatusCode::NOT_FOUND,
            "There is no such task, or it is not yours.",
        ),
        (StatusCode::CONFLICT, "The task's status does not allow it."),
        (
            StatusCode::GONE,
            "The changes after this cursor are not kept any more.",
        ),
        (
            StatusCode::PAYLOAD_TOO_LARGE,
            "The request is too large: upload the content.",
        ),
        (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The body is not JSON by its own word.",
        ),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "The body asks for what can't be; the detail says what to send.",
        ),
        (
            StatusCode::TOO_MANY_REQUESTS,
            "More is asked than the service takes at the moment.",
        ),
        (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "The headers are too large.",
        ),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "A service behind the API did not answer: try again.",
        ),
    ];
    let responses = told.map(|(status, description)| {
        let is_passing = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        let mut names = vec!["x-request-id", "x-correlation-id"];
        names.extend(is_passing.then_some("Retry-After"));
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
        "description": "Tasks, each accepted or refused by itself.",
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

/// Parameters whose names are the client's own.
fn metadata() -> Value {
    json!({
        "name": "metadata",
        "in": "query",
        "description": "`metadata.KEY=VALUE`: only tasks that carry this pair. There may be several.",
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
