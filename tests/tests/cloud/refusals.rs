//! Requests that Lambda would refuse.

use mesh_tests::Api;
use serde_json::{Value, json};

/// The largest event of a synchronous Lambda invocation, in bytes.
const EVENT_LIMIT: usize = 6 * 1024 * 1024;

fn text(input: Value) -> Value {
    json!({ "type": "sentiment", "input": input })
}

fn picture(image: Value) -> Value {
    json!({ "type": "face_detection", "input": { "image": image } })
}

#[test]
fn a_request_over_lambda_s_limit_is_refused_and_pointed_to_uploads() {
    let api = Api::of_cloud();
    let of_length = |bytes: usize| {
        let frame = picture(json!("")).to_string().len();
        picture(json!("A".repeat(bytes - frame))).to_string()
    };
    for bytes in [EVENT_LIMIT, EVENT_LIMIT + 1, EVENT_LIMIT + EVENT_LIMIT / 3] {
        let detail = api
            .post_raw(of_length(bytes).as_bytes())
            .problem(413, "payload-too-large");
        assert!(detail.contains("/v1/uploads"), "{detail}");
    }
    // The limit applies to the body as it is escaped in the event, where a quote takes two bytes.
    let quotes = text(json!({ "text": "\"".repeat(EVENT_LIMIT / 3) })).to_string();
    assert!(quotes.len() < EVENT_LIMIT);
    api.post_raw(quotes.as_bytes()).problem(413, "payload-too-large");
    // Below the limit the body is read, and its content is not an image.
    api.post_raw(of_length(EVENT_LIMIT - 16_384).as_bytes())
        .problem(422, "invalid-input");
}
