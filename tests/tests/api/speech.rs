//! Transcription of recordings.

use image::ImageFormat;
use mesh_tests::{Api, pictures, sounds};
use serde_json::json;

fn transcribe(api: &Api, file: &[u8]) -> String {
    let audio = pictures::base64(file);
    api.submit("transcribe", json!({ "audio": audio }), &[])
}

#[test]
fn speech_is_transcribed_with_its_times() {
    let api = Api::new();
    let task = api.finished(&transcribe(&api, &sounds::beckett()));
    assert_eq!(task["status"], "completed", "{task}");
    let result = &task["result"];
    let text = result["text"].as_str().expect("the text is text").to_lowercase();
    for words in ["ever tried", "ever failed", "fail better"] {
        assert!(text.contains(words), "{words:?} is not in {text:?}");
    }
    assert_eq!(result["language"], "en", "{task}");
    let segments = result["segments"].as_array().expect("segments are a list");
    let mut last = 0.0;
    for segment in segments {
        let time = |name: &str| segment[name].as_f64().unwrap_or(f64::NAN);
        assert!(
            last <= time("start") && time("start") < time("end") && time("end") <= 11.0,
            "{segment}"
        );
        last = time("start");
    }
    assert!(!segments.is_empty(), "{task}");
    assert_eq!(task["model"]["name"], "whisper-base", "{task}");
}

#[test]
fn silence_is_transcribed_as_no_words() {
    let api = Api::new();
    let result = api.result(&transcribe(&api, &sounds::silence(3)));
    assert_eq!(result, json!({ "text": "", "language": null, "segments": [] }));
}

#[test]
fn a_broken_recording_fails_its_task_at_once() {
    let api = Api::new();
    let cut = &sounds::beckett()[..20];
    let task = api.failed(&transcribe(&api, cut), "permanent", "invalid_audio");
    assert_eq!(task["attempt"], 1, "{task}");
    let image = pictures::base64(&pictures::encode(&pictures::astronaut(), ImageFormat::Png));
    let refused = api.post(&json!({ "type": "transcribe", "input": { "audio": image } }));
    assert!(
        refused
            .problem(422, "invalid-input")
            .contains("WAV, FLAC, MP3 or OGG")
    );
}
