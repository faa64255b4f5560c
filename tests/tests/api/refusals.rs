//! Submissions that are refused, each with a status, a problem type, and a detail that says what to do.

use mesh_tests::{Api, sentiment};
use serde_json::{Value, json};

/// Asserts that each body is refused, with this text in the detail.
fn assert_refused(bodies: impl IntoIterator<Item = Value>, status: u16, slug: &str, says: &str) {
    let api = Api::new();
    for body in bodies {
        let detail = api.post(&body).problem(status, slug);
        assert!(detail.contains(says), "{body}: {detail}");
    }
}

fn text(input: Value) -> Value {
    json!({ "type": "sentiment", "input": input })
}

fn picture(image: Value) -> Value {
    json!({ "type": "face_detection", "input": { "image": image } })
}

#[test]
fn an_unknown_type_is_refused_and_the_known_ones_are_named() {
    let types = ["telepathy", "", "Sentiment", "face-detection", "sentiment "];
    let bodies = types.map(|name| json!({ "type": name, "input": { "text": "fine" } }));
    assert_refused(bodies, 422, "unknown-task-type", "sentiment, classify, embed");
}

#[test]
fn an_empty_text_is_refused() {
    let bodies = ["", " ", "\n\t\u{a0}\u{2003}"].map(|blank| text(json!({ "text": blank })));
    assert_refused(bodies, 422, "invalid-input", "at least one word");
}

#[test]
fn a_missing_an_unknown_and_a_wrong_field_of_the_input_are_refused() {
    let inputs = [
        json!({}),
        json!({ "text": 7 }),
        json!({ "text": null }),
        json!({ "text": ["fine"] }),
        json!({ "text": "fine", "language": "en" }),
        json!({ "image": "aGVsbG8=" }),
        json!("fine"),
        json!(["fine"]),
        json!(null),
    ];
    assert_refused(inputs.map(text), 422, "invalid-input", r#"{"text": "..."}"#);
    let pictures = [
        json!({ "type": "face_detection", "input": { "text": "fine" } }),
        picture(json!(7)),
    ];
    assert_refused(pictures, 422, "invalid-input", "base64");
}

#[test]
fn a_body_that_is_not_a_submission_is_refused() {
    let bodies = [
        json!({}),
        json!([]),
        json!("sentiment"),
        json!(null),
        json!({ "type": "sentiment" }),
        json!({ "input": { "text": "fine" } }),
        json!({ "type": 1, "input": { "text": "fine" } }),
        json!({ "type": "sentiment", "input": { "text": "fine" }, "urgency": "high" }),
        json!([sentiment("fine")]),
        json!(["sentiment", { "text": "fine" }]),
    ];
    assert_refused(bodies, 422, "invalid-task", r#"{"type": "...", "input": {...}"#);
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    let api = Api::new();
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 6] = [
        b"",
        b"{",
        b"type=sentiment",
        br#"{"type": "sentiment", "input": {"text": "fine"}"#,
        br#"{"type": "sentiment", "input": {"text": "fine"}} {}"#,
        deep.as_bytes(),
    ];
    for body in bodies {
        api.post_raw(body).problem(400, "invalid-json");
    }
}

#[test]
fn a_text_over_its_limit_is_refused() {
    let long = "x".repeat(1_000_001);
    assert_refused([text(json!({ "text": long }))], 422, "invalid-input", "1000000");
}

#[test]
fn metadata_over_its_limits_is_refused() {
    let many: Value = (0..11).map(|n| (format!("key-{n}"), json!("v"))).collect();
    let bodies = [
        many,
        json!({ "k": "v".repeat(1_024) }),
        json!({ "k".repeat(1_025): "" }),
        json!({ "k": 1 }),
        json!({ "k": { "nested": "v" } }),
        json!({ "k": null }),
        json!({ "": "v" }),
        json!([]),
        json!("k=v"),
    ];
    let bodies = bodies.map(|metadata| {
        let mut body = sentiment("fine");
        body["metadata"] = metadata;
        body
    });
    assert_refused(bodies, 422, "invalid-metadata", "metadata");
}

#[test]
fn content_that_is_not_an_image_is_refused() {
    assert_refused(
        ["aGVsbG8gd29ybGQ=", "JVBERi0xLjcK", "PHN2Zz48L3N2Zz4=", "_-_-"].map(|image| picture(json!(image))),
        422,
        "invalid-input",
        "JPEG, PNG, WebP, GIF or BMP",
    );
    assert_refused(
        ["not base64!", "iVBORw0KGgo%3D", "iVBOR=w0KGgo"].map(|image| picture(json!(image))),
        422,
        "invalid-input",
        "base64",
    );
    assert_refused(
        ["", "data:image/png;base64,"].map(|image| picture(json!(image))),
        422,
        "invalid-input",
        "empty",
    );
    assert_refused(
        [picture(json!("data:image/png,%89PNG"))],
        422,
        "invalid-input",
        "base64",
    );
}

#[test]
fn a_url_or_a_server_path_is_never_fetched() {
    let addresses = [
        "https://example.com/face.png",
        "http://169.254.169.254/latest/meta-data/",
    ];
    assert_refused(
        addresses.map(|image| picture(json!(image))),
        422,
        "invalid-input",
        "URLs are not fetched",
    );
    let paths = [
        "file:///etc/passwd",
        "/var/task/bootstrap",
        "s3://bucket/key",
        "HTTPS://EXAMPLE.COM/a.png",
    ];
    assert_refused(
        paths.map(|image| picture(json!(image))),
        422,
        "invalid-input",
        "image",
    );
}

#[test]
fn the_size_of_a_refusal_does_not_grow_with_the_request() {
    let api = Api::new();
    let mut body = sentiment("fine");
    body["x".repeat(100_000)] = json!(1);
    let detail = api.post(&body).problem(422, "invalid-task");
    assert!(detail.len() < 2_000, "{} bytes", detail.len());
    let path = format!("/v1/tasks/{}?wait={}", "0".repeat(36), "9".repeat(4_000));
    let reply = api.get(&path);
    assert!(reply.body.to_string().len() < 3_000, "{reply:?}");
}
