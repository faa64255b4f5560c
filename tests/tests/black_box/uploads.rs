//! What is promised of contents that are too large for a request.

use image::{DynamicImage, ImageFormat, imageops::FilterType};
use mesh_tests::{Api, pictures, put};
use serde_json::json;
use sha2::{Digest, Sha256};

#[test]
fn a_picture_too_large_for_a_request_is_uploaded_and_then_named() {
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
    // The link is all that is needed to look at it: no token, no signature of the caller's own.
    let link = &task["input_link"];
    for name in ["bytes", "content_type", "sha256"] {
        assert_eq!(link[name], object[name], "{task}");
    }
    let got = ureq::get(link["url"].as_str().expect("an address")).call();
    let body = got.expect("the link opens").into_body().read_to_vec();
    assert!(
        body.expect("the object has an end") == file,
        "it is what was uploaded"
    );
    let text = api.finished(&api.submit_text("fine", &[]));
    assert!(
        text.get("input_link").is_none(),
        "what is shown needs no link: {text}"
    );
}

#[test]
fn what_was_uploaded_is_answered_as_what_it_is_and_never_as_a_page() {
    let api = Api::new();
    let page = b"<script>document.title = 'mine'</script>";
    let id = api.upload("text/html", page);
    let task = api.finished(&api.submit("sentiment", json!({ "upload": id }), &[]));
    let link = &task["input_link"];
    let url = link["url"].as_str().expect("an address");
    let got = ureq::get(url).call().expect("the link opens");
    let header = |name: &str| got.headers().get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(header("content-type"), link["content_type"].as_str(), "{task}");
    assert_eq!(header("content-disposition"), Some("attachment"));
    let body = got.into_body().read_to_vec().expect("the object has an end");
    assert_eq!(body, page);
}

#[test]
fn a_text_is_uploaded_beside_its_parameters() {
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
fn what_is_no_utf_8_fails_its_task_at_once() {
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
            .is_some_and(|told| told.contains("UTF-8")),
        "{task}"
    );
}

#[test]
fn only_what_was_announced_can_be_uploaded_and_only_once() {
    let api = Api::new();
    let content = b"all as announced";
    let announced = api.announce("text/plain", content);
    assert_eq!(announced.status, 201, "{announced:?}");
    assert_ne!(
        put(&announced.body, b"all as imagined!"),
        200,
        "another content of that length"
    );
    assert_ne!(put(&announced.body, b"longer than announced"), 200);
    let mut unsigned = announced.body.clone();
    unsigned["headers"] = json!({});
    assert_ne!(put(&unsigned, content), 200, "the signed headers are asked for");
    assert_eq!(put(&announced.body, content), 200);
    assert_eq!(put(&announced.body, content), 412, "what is there stays as it is");
}

#[test]
fn an_upload_that_is_not_there_or_of_another_kind_is_refused() {
    let api = Api::new();
    let announced = api.announce("image/png", b"never sent");
    let named =
        |task_type: &str, id: &str| api.post(&json!({ "type": task_type, "input": { "upload": id } }));
    let told = named("ocr", announced.text("id")).problem(422, "upload-not-found");
    assert!(told.contains("PUT"), "{told}");
    named("ocr", "00000000-0000-0000-0000-000000000000").problem(422, "upload-not-found");
    let text = api.upload("text/plain", b"no picture at all");
    let told = named("ocr", &text).problem(422, "invalid-input");
    assert!(told.contains("not an image"), "{told}");
}

#[test]
fn an_upload_is_announced_with_its_type_length_and_digest() {
    let api = Api::new();
    let digest = "ab".repeat(32);
    for (body, told) in [
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
        assert!(detail.contains(told), "{detail}");
    }
    let anonymous = api.send("POST", "/v1/uploads", &[], Some(b"{}"));
    anonymous.problem(401, "unauthorized");
}
