use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::Tenant;

/// The screen and a frame of 1 x 1, up to the frame's pixels.
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02";
const WAV: &[u8] = b"RIFF\x24\x00\x00\x00WAVEfmt ";

fn refusal(task_type: TaskType, input: Value) -> String {
    Submitted::parse(task_type, input).unwrap_err().to_string()
}

fn whole(task_type: TaskType, input: Value) -> Input {
    match Submitted::parse(task_type, input) {
        Ok(Submitted::Whole(input)) => input,
        other => panic!("{other:?}"),
    }
}

fn read_back(task_type: TaskType, stored: StoredInput) -> Input {
    match stored {
        StoredInput::Inline(input) => Input::from_inline(task_type, input).unwrap(),
        StoredInput::Object {
            body,
            content_type,
            parameters,
        } => Input::from_object(task_type, parameters, content_type, body).unwrap(),
    }
}

#[test]
fn the_refusal_of_a_text_says_what_to_send() {
    for input in [json!({ "text": "" }), json!({ "text": " \n" })] {
        assert!(refusal(TaskType::Sentiment, input).contains("at least one word"));
    }
    for input in [
        json!(null),
        json!({}),
        json!({ "text": 7 }),
        json!({ "text": null }),
        json!({ "text": "a", "txt": "b" }),
        json!("a"),
        json!(["a"]),
    ] {
        assert!(refusal(TaskType::Sentiment, input).contains(r#"send {"text": "..."}"#));
    }
    let huge = json!({ "text": "x".repeat(MAX_TEXT_BYTES + 1) });
    assert!(refusal(TaskType::Sentiment, huge).contains("split it"));
}

#[test]
fn a_text_that_no_reader_sees_is_refused_in_every_field_like_a_blank_one() {
    for hidden in [
        "\u{200b}\u{feff}",
        "\u{ad}",
        "\0\u{7}",
        "\u{202e}\u{2069}",
        "\u{fe0f}",
        "\u{e000}",
        // A letter to Unicode, which no font draws.
        "\u{3164}",
        " \u{2060}\n",
    ] {
        let text_alone = [
            TaskType::Sentiment,
            TaskType::Classify,
            TaskType::Embed,
            TaskType::Summarize,
            TaskType::Translate,
            TaskType::DataExtraction,
        ];
        for task_type in text_alone {
            let refused = refusal(task_type, json!({ "text": hidden }));
            assert!(refused.contains("at least one word"), "{refused}");
            let uploaded =
                Input::from_object(task_type, Map::new(), "text/plain", hidden.as_bytes().to_vec());
            assert!(uploaded.is_err());
        }
        for (task_type, input, word) in [
            (
                TaskType::Embed,
                json!({ "texts": ["a", hidden] }),
                "input.texts[1] is empty",
            ),
            (
                TaskType::Classify,
                json!({ "text": "a", "labels": ["a", hidden] }),
                "labels[1] is empty",
            ),
            (
                TaskType::Translate,
                json!({ "text": "a", "target_language": hidden }),
                "target_language is not",
            ),
        ] {
            let refused = refusal(task_type, input);
            assert!(refused.contains(word), "{refused}");
        }
    }
    let kept = whole(TaskType::Sentiment, json!({ "text": "\u{feff}go\u{ad}od\0" }));
    assert_eq!(kept.content, Content::Text("\u{feff}go\u{ad}od\0".to_owned()));
}

#[test]
fn several_texts_are_bounded_in_number_and_in_size() {
    let refused = |texts: Value| refusal(TaskType::Embed, json!({ "texts": texts }));
    assert!(refused(json!([])).contains("send 1 to 64"));
    assert!(refused(json!(vec!["a"; MAX_TEXTS + 1])).contains("send 1 to 64"));
    assert!(refused(json!(["a", " "])).contains("input.texts[1] is empty"));
    assert!(refused(json!(["a", 1])).contains("wrong type"));
    assert!(refused(json!(vec!["x".repeat(20_000); MAX_TEXTS])).contains("together"));
    assert!(refusal(TaskType::Embed, json!({ "text": "a", "texts": ["a"] })).contains("exclude each other"));
}

#[test]
fn the_refusal_of_an_image_says_what_to_send() {
    let refusal = |image: &str| refusal(TaskType::FaceDetection, json!({ "image": image }));
    assert!(refusal("").contains("is empty"));
    assert!(refusal("data:image/png;base64,").contains("is empty"));
    assert!(refusal(" \n").contains("is empty"));
    assert!(refusal("data:image/png;base64,%20").contains("is empty"));
    assert!(refusal("data:image/png;base64").contains("without base64"));
    assert!(refusal("data:image/png;base64;a=b,R0lG").contains("without base64"));
    for broken in [
        "data:image/gif;base64,R0lG%3",
        "data:image/gif;base64,R0lG%zz",
        "R0lG%3D",
        "R0=lG",
    ] {
        assert!(refusal(broken).contains("not base64"), "{broken}");
    }
    assert!(refusal("HTTPS://example.com/cat.png").contains("URLs are not fetched"));
    assert!(refusal("data:image/png,abc").contains("without base64"));
    assert!(refusal("not base64!").contains("not base64"));
    assert!(refusal("aGVsbG8gd29ybGQ=").contains("JPEG, PNG, WebP, GIF or BMP"));
    assert!(refusal("https://example.com/cat.png").contains("URLs are not fetched"));
    assert!(refusal("file:///etc/passwd").contains("not base64"));
    assert!(refusal(&STANDARD.encode(WAV)).contains("JPEG, PNG, WebP, GIF or BMP"));
}

#[test]
fn base64_is_accepted_bare_or_in_a_data_url_with_or_without_padding() {
    for (task_type, field, bytes, media_type) in [
        (TaskType::Ocr, "image", GIF, "image/gif"),
        (TaskType::Transcribe, "audio", WAV, "audio/wav"),
    ] {
        // Bytes behind the head of a file, so that its base64 has every character that encoders write differently.
        let bytes = &[bytes, &(0..=255).collect::<Vec<u8>>()].concat()[..];
        let padded = STANDARD.encode(bytes);
        assert!(
            ["+", "/", "="].iter().all(|special| padded.contains(special)),
            "{padded}"
        );
        let escaped =
            |plus, slash, equals| padded.replace('+', plus).replace('/', slash).replace('=', equals);
        for given in [
            padded.clone(),
            padded.replace('=', ""),
            format!("data:image/jpeg;base64,{padded}"),
            format!("data:image/jpeg;base64,{}", padded.replace('=', "")),
            format!("DATA:image/jpeg;BASE64,{padded}"),
            format!("data:;base64,{padded}"),
            format!("data:image/jpeg;name=\"a.jpg\";charset=utf-8; Base64 ,{padded}"),
            format!(" data:image/jpeg;base64,\n {padded} \n"),
            format!("data:image/jpeg;base64,{}", escaped("%2B", "%2F", "%3D")),
            format!("data:image/jpeg;base64,{}%0A%20", escaped("%2b", "%2f", "%3d")),
            escaped("-", "_", "="),
            escaped("-", "_", ""),
            escaped("\n+", " /", "=\r\n"),
        ] {
            let input = whole(task_type, json!({ field: given }));
            let StoredInput::Object {
                body, content_type, ..
            } = input.into_stored()
            else {
                panic!("an image or a recording is an object")
            };
            assert_eq!((&body[..], content_type), (bytes, media_type));
        }
    }
}

#[test]
fn a_recording_is_recognized_by_its_first_bytes() {
    let sniff = |bytes: &[u8]| content::Kind::Audio.sniff(bytes);
    assert_eq!(sniff(b"fLaC\0\0\0\x22"), Some("audio/flac"));
    assert_eq!(sniff(b"OggS\0\x02"), Some("audio/ogg"));
    assert_eq!(sniff(b"ID3\x04"), Some("audio/mpeg"));
    assert_eq!(sniff(&[0xff, 0xfb, 0x90]), Some("audio/mpeg"));
    // A JPEG begins with 0xff too; an AAC stream has no layer.
    assert_eq!(sniff(&[0xff, 0xd8, 0xff]), None);
    assert_eq!(sniff(&[0xff, 0xf1, 0x50]), None);
    assert_eq!(sniff(b""), None);
}

#[test]
fn a_small_text_is_stored_in_the_item_and_a_large_one_as_an_object() {
    let small = whole(TaskType::Sentiment, json!({ "text": "good" }));
    assert_eq!(
        small.into_stored(),
        StoredInput::Inline(json!({ "text": "good" }))
    );
    let labels = json!(["a", "b"]);
    let large = whole(
        TaskType::Classify,
        json!({ "text": "good ".repeat(1_000), "labels": labels }),
    );
    let stored = large.clone().into_stored();
    let StoredInput::Object { parameters, .. } = &stored else {
        panic!("5 KB are too large for the item")
    };
    assert_eq!(json!(parameters), json!({ "labels": labels }));
    assert_eq!(read_back(TaskType::Classify, stored), large);
}

#[test]
fn every_input_is_read_back_as_it_was_submitted() {
    let long = "word ".repeat(2_000);
    for (task_type, input) in [
        (TaskType::Embed, json!({ "text": "one" })),
        (TaskType::Embed, json!({ "texts": ["one", "two"] })),
        (TaskType::Embed, json!({ "texts": [long, "two"] })),
        (TaskType::Summarize, json!({ "text": long, "ratio": 0.2 })),
        (
            TaskType::Translate,
            json!({ "text": "a", "target_language": "de" }),
        ),
        (
            TaskType::DataExtraction,
            json!({ "text": "a", "schema": { "name": "string" } }),
        ),
        (TaskType::Ocr, json!({ "image": STANDARD.encode(GIF) })),
        (TaskType::Transcribe, json!({ "audio": STANDARD.encode(WAV) })),
    ] {
        let input = whole(task_type, input);
        assert_eq!(read_back(task_type, input.clone().into_stored()), input);
    }
}

#[test]
fn content_that_takes_long_is_large() {
    let size = |task_type, input| whole(task_type, input).content.size();
    let text = |words: usize| json!({ "text": "word ".repeat(words) });
    assert_eq!(size(TaskType::Sentiment, text(200)), Size::Small);
    assert_eq!(size(TaskType::Sentiment, text(201)), Size::Large);
    // Chinese has no blanks between words.
    let chinese =
        |bytes: usize| json!({ "text": format!("{}{}", "文".repeat(bytes / 3), "a".repeat(bytes % 3)) });
    assert_eq!(size(TaskType::Summarize, chinese(10_000)), Size::Small);
    assert_eq!(size(TaskType::Summarize, chinese(10_001)), Size::Large);
    let two = |bytes: usize| json!({ "texts": ["文".repeat(1_000), "a".repeat(bytes - 3_000)] });
    assert_eq!(size(TaskType::Embed, two(10_000)), Size::Small);
    assert_eq!(size(TaskType::Embed, two(10_001)), Size::Large);
    assert_eq!(
        size(
            TaskType::Embed,
            json!({ "texts": vec!["one two three four"; 60] })
        ),
        Size::Large
    );
    let gif = |side: u16| {
        let mut bytes = GIF.to_vec();
        bytes[6..8].copy_from_slice(&side.to_le_bytes());
        json!({ "image": STANDARD.encode(bytes) })
    };
    assert_eq!(size(TaskType::Ocr, gif(1_000)), Size::Small);
    assert_eq!(size(TaskType::Ocr, gif(1_001)), Size::Large);
}

#[test]
fn a_file_of_over_a_megabyte_is_large_whatever_its_sides() {
    let padded = |head: &[u8], bytes: usize| {
        let mut file = head.to_vec();
        file.resize(bytes, 0);
        file
    };
    for (task_type, head) in [
        (TaskType::FaceDetection, GIF),
        (TaskType::Ocr, GIF),
        (TaskType::Transcribe, WAV),
    ] {
        let size = |bytes| {
            let input = Input::from_object(task_type, Map::new(), "", padded(head, bytes));
            input.unwrap().content.size()
        };
        assert_eq!(size(1_000_000), Size::Small, "{task_type}");
        assert_eq!(size(1_000_001), Size::Large, "{task_type}");
    }
}

/// The decoder may find long sides where the first bytes show none.
#[test]
fn an_image_whose_sides_are_not_found_is_large() {
    let hidden = [&b"\xff\xd8\xff\xe2\xff\xff"[..], &[0; 1_000]].concat();
    let input = Input::from_object(TaskType::Ocr, Map::new(), "", hidden);
    assert_eq!(input.unwrap().content.size(), Size::Large);
}

#[test]
fn an_upload_can_replace_any_content() {
    let id = UploadId::generate();
    for (task_type, input) in [
        (TaskType::Sentiment, json!({ "upload": id })),
        (TaskType::Embed, json!({ "upload": id })),
        (
            TaskType::Translate,
            json!({ "upload": id, "target_language": "de" }),
        ),
        (TaskType::Ocr, json!({ "upload": id })),
        (TaskType::Transcribe, json!({ "upload": id })),
    ] {
        let Ok(Submitted::Uploaded(uploaded)) = Submitted::parse(task_type, input) else {
            panic!("{task_type}")
        };
        assert_eq!(uploaded.id, id);
    }
    assert!(refusal(TaskType::Ocr, json!({ "upload": "../secret" })).contains("POST /v1/uploads"));
    assert!(refusal(TaskType::Ocr, json!({ "upload": id, "image": "" })).contains("exclude"));
    assert_eq!(id.key(&Tenant::first()), format!("default/uploads/{id}"));
}

#[test]
fn the_type_of_an_upload_is_detected_from_its_first_bytes() {
    let object = |bytes| ObjectRef {
        key: "k".to_owned(),
        etag: "e".to_owned(),
        sha256: "s".to_owned(),
        bytes,
        content_type: "image/jpeg".to_owned(),
    };
    let uploaded = |task_type| match Submitted::parse(task_type, json!({ "upload": UploadId::generate() })) {
        Ok(Submitted::Uploaded(uploaded)) => uploaded,
        other => panic!("{other:?}"),
    };
    let (payload, size) = uploaded(TaskType::Ocr).accept(object(13), GIF).unwrap();
    let Payload::Object { object: accepted, .. } = payload else {
        panic!("an upload is an object")
    };
    assert_eq!((&*accepted.content_type, size), ("image/gif", Size::Small));
    let refusal = uploaded(TaskType::Ocr).accept(object(13), WAV).unwrap_err();
    assert!(refusal.0.contains("not an image"));
    let refusal = uploaded(TaskType::Sentiment)
        .accept(object(2_000_000), b"text")
        .unwrap_err();
    assert!(refusal.0.contains("at most 1000000"));
}

#[test]
fn the_announcement_of_an_upload_is_checked() {
    let announce = |content_type: &str, length: u64, sha256: &str| {
        NewUpload::parse(json!({ "content_type": content_type, "length": length, "sha256": sha256 }))
    };
    let sha256 = "ab".repeat(32);
    let upload = announce("Image/JPEG", 50_000_000, &sha256).unwrap();
    assert_eq!((&*upload.content_type, upload.sha256), ("image/jpeg", [0xab; 32]));
    for (refused, reason) in [
        (announce("image/jpeg", 50_000_001, &sha256), "1 to 50000000"),
        (announce("text/plain", 1_000_001, &sha256), "1 to 1000000"),
        (announce("image/png", 0, &sha256), "1 to"),
        (announce("video/mp4", 1, &sha256), "video"),
        (announce("image/p\nng", 1, &sha256), "media type"),
        (announce("image/png", 1, "abc"), "64 hex digits"),
        (
            NewUpload::parse(json!({ "content_type": "image/png", "length": 1.5, "sha256": sha256 })),
            "length is 1.5: send the whole number",
        ),
        (NewUpload::parse(json!([])), "does not announce an upload"),
    ] {
        let refusal = refused.unwrap_err().to_string();
        assert!(refusal.contains(reason), "{refusal}");
    }
}
