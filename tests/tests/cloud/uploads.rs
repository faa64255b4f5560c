//! What the bucket requires of an upload.

use mesh_tests::{Api, put};
use serde_json::json;

#[test]
fn the_bucket_requires_the_signed_headers_and_overwrites_nothing() {
    let api = Api::of_cloud();
    let content = b"the same content";
    let announced = api.announce("text/plain", content);
    assert_eq!(announced.status, 201, "{announced:?}");
    let mut unsigned = announced.body.clone();
    unsigned["headers"] = json!({});
    assert_ne!(put(&unsigned, content), 200);
    assert_eq!(put(&announced.body, content), 200);
    assert_eq!(put(&announced.body, content), 412);
}
