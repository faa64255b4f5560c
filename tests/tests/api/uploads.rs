//! Uploads: content that is too large for a request.

use image::{DynamicImage, ImageFormat, imageops::FilterType};
use mesh_tests::{Api, pictures, put};
use serde_json::json;
use sha2::{Digest, Sha256};

#[test]
fn a_picture_too_large_for_a_request_is_uploaded_and_referenced() {
    let api = Api::new();
    let photograph = pictures::astronaut().resize_exact(1_600, 1_600, FilterType::Triangle);
    let file = pictures::encode(&DynamicImage::ImageRgb8(photograph.to_rgb8()), ImageFormat::Bmp);
    assert!(file.len() > 6 * 1024 * 1024);
    let refused =
        api.post(&json!({ "type": "face_detection", "input": { "image": pictures::base64(&file) } }));
    assert!(
        refused.status == 413 || refused.status == 500,
        "{}",
        refused.status
    );

    let id = api.upload("image/bmp", &file);
    let task = api.finished(&api.submit("face_detection", json!({ "upload": id }), &[]));
    assert_eq!(task["result"]["count"], 1, "{task}");
    assert_eq!(task["size"], "large", "over 1,000 pixels a side: {task}");
    let object = &task["input"]["object"];
    assert_eq!(object["content_type"], "image/bmp", "{task}");
    assert_eq!(object["sha256"], hex::encode(Sha256::digest(&file)), "{task}");
    // The link works without a token and without a signature of the caller's own.
    let link = &task["input_link"];
    for name in ["bytes", "content_type", "sha256"] {
        assert_eq!(link[name], object[name], "{task}");
    }
    let got = ureq::get(link["url"].as_str().expect("a URL")).call();
    let body = got.expect("the link works").into_body().read_to_vec();
    assert!(
        body.expect("the object can be read") == file,
        "the object is what was uploaded"
    );
    let text = api.finished(&api.submit_text("fine", &[]));
    assert!(
        text.get("input_link").is_none(),
        "an input that the task shows has no link: {text}"
    );
}

#[test]
fn an_upload_is_served_as_its_own_type_and_never_as_a_page() {
    let api = Api::new();
    let page = b"<script>document.title = 'mine'</script>";
    let id = api.upload("text/html", page);
    let task = api.finished(&api.submit("sentiment", json!({ "upload": id }), &[]));
    let link = &task["input_link"];
    let url = link["url"].as_str().expect("a URL");
    let got = ureq::get(url).call().expect("the link works");
    let header = |name: &str| got.headers().get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(header("content-type"), link["content_type"].as_str(), "{task}");
    assert_eq!(header("content-disposition"), Some("attachment"));
    let body = got.into_body().read_to_vec().expect("the object can be read");
    assert_eq!(body, page);
}

#[test]
fn an_uploaded_text_has_parameters_beside_it() {
    let api = Api::new();
    let text = "The striker scored twice and the goalkeeper was sent off. ".repeat(300);
    let id = api.upload("text/plain", text.as_bytes());
    let input = json!({ "upload": id, "labels": ["football", "cooking"] });
    let task = api.finished(&api.submit("classify", input, &[]));
    assert_eq!(task["result"]["label"], "football", "{task}");
    assert_eq!(task["input"]["labels"], json!(["football", "cooking"]), "{task}");
    assert_eq!(task["size"], "large", "over 200 words: {task}");
}

#[test]
fn a_text_that_is_not_utf_8_fails_its_task_at_once() {
    let api = Api::new();
    let id = api.upload("text/plain", b"caf\xe9 au lait");
    let task = api.failed(
        &api.submit("sentiment", json!({ "upload": id }), &[]),
        "permanent",
        "invalid_input",
    );
    assert!(
        task["error"]["message"]
            .as_str()
            .is_some_and(|message| message.contains("UTF-8")),
        "{task}"
    );
}

#[test]
fn only_the_announced_content_can_be_uploaded_and_only_once() {
    let api = Api::new();
    let content = b"the same content";
    let announced = api.announce("text/plain", content);
    assert_eq!(announced.status, 201, "{announced:?}");
    assert_ne!(
        put(&announced.body, b"another content!"),
        200,
        "another content of the same length is refused"
    );
    assert_ne!(put(&announced.body, b"longer than announced"), 200);
    assert_eq!(put(&announced.body, content), 200);
    assert_ne!(
        put(&announced.body, content),
        200,
        "an upload can't be overwritten"
    );
}

#[test]
fn a_missing_upload_or_one_of_another_kind_is_refused() {
    let api = Api::new();
    let announced = api.announce("image/png", b"never sent");
    let submit =
        |task_type: &str, id: &str| api.post(&json!({ "type": task_type, "input": { "upload": id } }));
    let detail = submit("ocr", announced.text("id")).problem(422, "upload-not-found");
    assert!(detail.contains("PUT"), "{detail}");
    submit("ocr", "00000000-0000-0000-0000-000000000000").problem(422, "upload-not-found");
    let text = api.upload("text/plain", b"not an image");
    let detail = submit("ocr", &text).problem(422, "invalid-input");
    assert!(detail.contains("not an image"), "{detail}");
}

#[test]
fn an_upload_is_announced_with_its_type_length_and_digest() {
    let api = Api::new();
    let digest = "ab".repeat(32);
    for (body, message) in [
        (json!({}), "content_type"),
        (
            json!({ "content_type": "video/mp4", "length": 1, "sha256": digest }),
            "video",
        ),
        (
            json!({ "content_type": "image/png", "length": 50_000_001, "sha256": digest }),
            "50000000",
        ),
        (
            json!({ "content_type": "image/png", "length": 1, "sha256": "ab" }),
            "64 hex digits",
        ),
    ] {
        let detail = api
            .post_to("/v1/uploads", Some(&body))
            .problem(422, "invalid-upload");
        assert!(detail.contains(message), "{detail}");
    }
    let anonymous = api.send("POST", "/v1/uploads", &[], Some(b"{}"));
    anonymous.problem(401, "unauthorized");
}
