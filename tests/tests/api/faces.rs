//! Face detection.

use image::{DynamicImage, ImageFormat};
use mesh_tests::Api;
use mesh_tests::pictures::{
    self, ASTRONAUT_FACE, ASTRONAUT_LANDMARKS, Rect, astronaut, encode, group_photo, testdata,
    with_orientation,
};
use serde_json::{Value, json};

/// The smallest intersection over union of two boxes of one face. The exact edges of a face are a matter of judgement.
const SAME_FACE: f64 = 0.5;

fn faces(result: &Value) -> &[Value] {
    let faces = result["faces"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(result["count"], faces.len(), "{result}");
    faces
}

/// Asserts that the result has one face, which is the astronaut's on her upright picture.
fn assert_is_the_astronaut(result: &Value) {
    let [face] = faces(result) else {
        panic!("not one face: {result}")
    };
    let found = Rect::from_face(face);
    assert!(found.overlap(&ASTRONAUT_FACE) > SAME_FACE, "{face}");
    let score = face["score"].as_f64().expect("a score is a number");
    assert!((0.5..=1.0).contains(&score), "{face}");
    let landmarks = face["landmarks"].as_array().expect("landmarks are a list");
    assert_eq!(landmarks.len(), 5, "{face}");
    for (landmark, (x, y)) in landmarks.iter().zip(ASTRONAUT_LANDMARKS) {
        let (found_x, found_y) = (landmark["x"].as_f64(), landmark["y"].as_f64());
        let (found_x, found_y) = (found_x.expect("a number"), found_y.expect("a number"));
        assert!(
            (found_x - x).hypot(found_y - y) < 15.0,
            "({found_x}, {found_y}) is far from ({x}, {y}): {face}"
        );
    }
}

#[test]
fn the_astronaut_has_one_face_where_it_is_and_five_landmarks_on_it() {
    let api = Api::new();
    let file = encode(&astronaut(), ImageFormat::Png);
    let task = api.finished(&api.submit_image(&file, &[]));
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(task["input"]["object"]["bytes"], file.len(), "{task}");
    assert_eq!(task["input"]["object"]["content_type"], "image/png", "{task}");
    assert_is_the_astronaut(&task["result"]);
}

#[test]
fn a_cat_and_a_page_of_text_have_no_face() {
    let api = Api::new();
    let ids = ["chelsea.png", "page.png"].map(|name| {
        let file = encode(&testdata(name), ImageFormat::Png);
        api.submit_image(&file, &[])
    });
    for id in ids {
        assert_eq!(api.result(&id), json!({ "count": 0, "faces": [] }));
    }
}

#[test]
fn every_face_of_a_group_photo_is_found_where_it_is() {
    let api = Api::new();
    let heads = [
        (40, 40, 1.0),
        (300, 20, 2.0),
        (720, 60, 1.5),
        (1060, 110, 0.75),
        (90, 480, 1.5),
        (700, 520, 1.0),
        (960, 480, 1.25),
    ];
    let (photo, expected) = group_photo(1280, 800, &heads);
    let result = api.result(&api.submit_image(&encode(&photo, ImageFormat::Jpeg), &[]));
    let found: Vec<_> = faces(&result).iter().map(Rect::from_face).collect();
    assert_eq!(found.len(), expected.len(), "{result}");
    for face in &expected {
        assert!(
            found.iter().any(|found| found.overlap(face) > SAME_FACE),
            "{face:?} is not among {found:#?}"
        );
    }
}

#[test]
fn every_supported_format_is_accepted_whatever_type_it_declares() {
    let api = Api::new();
    let formats = [
        (ImageFormat::Jpeg, "image/jpeg"),
        (ImageFormat::Png, "image/png"),
        (ImageFormat::WebP, "image/webp"),
        (ImageFormat::Gif, "image/gif"),
        (ImageFormat::Bmp, "image/bmp"),
    ];
    let submitted = formats.map(|(format, media_type)| {
        let image = pictures::base64(&encode(&astronaut(), format));
        // Always declared as PNG: the content decides.
        let input = json!({ "image": format!("data:image/png;base64,{image}") });
        (api.submit("face_detection", input, &[]), media_type)
    });
    for (id, media_type) in submitted {
        let task = api.finished(&id);
        assert_eq!(task["input"]["object"]["content_type"], media_type, "{task}");
        assert_is_the_astronaut(&task["result"]);
    }
}

#[test]
fn base64_is_accepted_with_and_without_padding_and_as_a_data_url() {
    let api = Api::new();
    let small = testdata("astronaut.png").resize(256, 256, image::imageops::FilterType::Triangle);
    let mut file = encode(&small, ImageFormat::Jpeg);
    // Bytes after a JPEG's end are ignored. They give the file a length that base64 has to pad.
    while file.len() % 3 != 1 {
        file.push(0);
    }
    let padded = pictures::base64(&file);
    assert!(padded.ends_with("=="));
    let variants = [
        padded.clone(),
        padded.trim_end_matches('=').to_owned(),
        format!("data:image/jpeg;base64,{padded}"),
        format!("data:;base64,{padded}"),
        format!("DATA:image/jpeg;BASE64,{}", padded.replace('=', "%3D")),
    ];
    for id in variants.map(|image| api.submit("face_detection", json!({ "image": image }), &[])) {
        assert_eq!(api.result(&id)["count"], 1);
    }
}

#[test]
fn boxes_are_in_pixels_of_the_upright_picture() {
    let api = Api::new();
    let upright = astronaut();
    // For each orientation, the stored picture that a viewer turns upright.
    let stored: [(u8, DynamicImage); 4] = [
        (2, upright.fliph()),
        (3, upright.rotate180()),
        (6, upright.rotate270()),
        (8, upright.rotate90()),
    ];
    let ids = stored.map(|(orientation, picture)| {
        let file = with_orientation(&encode(&picture, ImageFormat::Jpeg), orientation);
        api.submit_image(&file, &[])
    });
    for id in ids {
        assert_is_the_astronaut(&api.result(&id));
    }
}

#[test]
fn faces_on_a_rotated_picture_are_found_where_they_are() {
    let api = Api::new();
    let (photo, expected) = group_photo(320, 720, &[(60, 60, 1.0), (40, 400, 1.25)]);
    let file = with_orientation(&encode(&photo.rotate270(), ImageFormat::Jpeg), 6);
    let result = api.result(&api.submit_image(&file, &[]));
    let found: Vec<_> = faces(&result).iter().map(Rect::from_face).collect();
    assert_eq!(found.len(), 2, "{result}");
    for face in &expected {
        assert!(
            found.iter().any(|found| found.overlap(face) > SAME_FACE),
            "{face:?} is not among {found:#?}"
        );
    }
}

#[test]
fn only_the_first_frame_of_an_animation_is_used() {
    let api = Api::new();
    let mut file = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut file);
    let cat = testdata("chelsea.png").resize_exact(512, 512, image::imageops::FilterType::Triangle);
    for frame in [astronaut(), cat] {
        encoder
            .encode_frame(image::Frame::new(frame.to_rgba8()))
            .expect("a frame can be encoded");
    }
    drop(encoder);
    assert_is_the_astronaut(&api.result(&api.submit_image(&file, &[])));
}

#[test]
fn an_image_just_under_the_limit_of_a_request_is_accepted() {
    let api = Api::new();
    // 4.6 MB, which base64 encodes in 6.2 MB. Lambda's limit is 6.29 MB.
    let file = encode(&pictures::noise(1_240, 1_240), ImageFormat::Bmp);
    let event = pictures::base64(&file).len();
    assert!(
        (6_100_000..6_280_000).contains(&event),
        "the request is close to the limit: {event}"
    );
    let task = api.finished(&api.submit_image(&file, &[]));
    assert_eq!(
        (&task["status"], &task["result"]["count"]),
        (&json!("completed"), &json!(0)),
        "{task}"
    );
    assert_eq!(task["input"]["object"]["bytes"], file.len(), "{task}");
}
