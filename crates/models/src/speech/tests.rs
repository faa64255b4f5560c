use std::f32::consts::TAU;
use std::sync::LazyLock;

use super::*;
use crate::InputError;
use crate::testing::{assets, clip, wav};

static BASE: LazyLock<SpeechModel> =
    LazyLock::new(|| SpeechModel::load(&assets(), SpeechVariant::Base).unwrap());
static TINY: LazyLock<SpeechModel> =
    LazyLock::new(|| SpeechModel::load(&assets(), SpeechVariant::TinyEn).unwrap());

fn recording(name: &str) -> Vec<u8> {
    crate::testing::test_file(name)
}

fn transcribe(model: &SpeechModel, file: &[u8]) -> Transcript {
    model.transcribe(file, &Interrupt::new()).unwrap()
}

fn words(text: &str) -> Vec<String> {
    let letters = |c: char| c.is_alphabetic() || c == '\'';
    text.to_lowercase()
        .split(|c| !letters(c))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn both_variants_transcribe_a_person() {
    let expected = words("Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.");
    for model in [&BASE, &TINY] {
        let transcript = transcribe(model, &recording("beckett.wav"));
        let found = words(&transcript.text);
        // One word may be wrong, such as "never" for "ever".
        let wrong = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert!(found.len() == expected.len() && wrong <= 1, "{transcript:?}");
        assert_eq!(transcript.language.as_deref(), Some("en"));
        assert!(
            (transcript.duration - 9.96).abs() < 0.01,
            "{}",
            transcript.duration
        );
    }
}

#[test]
fn every_type_of_file_is_transcribed() {
    for name in ["tried.flac", "tried.mp3", "tried.ogg"] {
        let found = words(&transcribe(&TINY, &clip(name)).text);
        assert!(
            found.contains(&"tried".into()) && found.contains(&"failed".into()),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn windows_are_joined_without_loss_or_repetition() {
    let transcript = transcribe(&TINY, &recording("two_cities.wav"));
    let found = words(&transcript.text);
    // The text has 119 words, but "we were" and "we're" sound alike.
    assert!((118..=119).contains(&found.len()), "{found:?}");
    for part in [
        "best of times",
        "winter of despair",
        "direct the other way",
        "in short the period",
        "comparison only",
    ] {
        let times = found
            .windows(words(part).len())
            .filter(|window| *window == words(part))
            .count();
        assert_eq!(times, 1, "{part}: {found:?}");
    }
    let segments = &transcript.segments;
    assert!(
        segments[0].start < 1.0 && segments[segments.len() - 1].end > 40.0,
        "{segments:?}"
    );
    assert!(
        segments.iter().all(|segment| segment.start < segment.end),
        "{segments:?}"
    );
    assert!(
        segments
            .windows(2)
            .all(|pair| pair[0].end <= pair[1].start + 0.05),
        "{segments:?}"
    );
    let joined = segments
        .iter()
        .map(|segment| segment.text.as_str())
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(joined, transcript.text);
}

#[test]
fn speech_after_a_long_silence_has_its_time() {
    let speech = audio::decode(&clip("tried.flac"), &Interrupt::new()).unwrap();
    let samples = [vec![0.0; 70 * 16_000], speech, vec![0.0; 20 * 16_000]].concat();
    let transcript = transcribe(&TINY, &wav(16_000, &samples));
    let found = words(&transcript.text);
    assert_eq!(found, ["ever", "tried", "ever", "failed"], "{transcript:?}");
    let (first, last) = (
        &transcript.segments[0],
        &transcript.segments[transcript.segments.len() - 1],
    );
    assert!(first.start > 69.5 && last.end < 74.0, "{transcript:?}");
}

/// White noise from a fixed seed.
fn noise(seconds: usize, volume: f32) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(7);
    (0..seconds * 16_000)
        .map(|_| volume * (2.0 * rng.f32() - 1.0))
        .collect()
}

fn tone(seconds: f32, hertz: f32, volume: f32) -> Vec<f32> {
    (0..(seconds * 16_000.0) as usize)
        .map(|i| volume * (TAU * hertz * i as f32 / 16_000.0).sin())
        .collect()
}

#[test]
fn recording_without_speech_has_an_empty_transcript() {
    let mut hum = tone(12.0, 50.0, 0.3);
    for (sample, overtone) in hum.iter_mut().zip(tone(12.0, 150.0, 0.1)) {
        *sample += overtone;
    }
    let beeps = [tone(0.3, 1_000.0, 0.5), vec![0.0; 8_000]].concat().repeat(6);
    let chime = [tone(0.4, 660.0, 0.3), tone(0.6, 880.0, 0.3), vec![0.0; 8_000]].concat();
    let bursts = [noise(1, 0.1), vec![0.0; 16_000]].concat().repeat(3);
    let click = [vec![0.0; 16_000], vec![0.9; 40], vec![0.0; 16_000]].concat();
    let recordings = [
        ("silence", vec![0.0; 40 * 16_000]),
        ("a single sample", vec![0.4]),
        ("faint noise", noise(10, 0.002)),
        ("loud noise", noise(10, 0.3)),
        ("hum", hum),
        ("a tone", tone(10.0, 440.0, 0.5)),
        ("beeps", beeps),
        ("a chime", chime),
        ("bursts of noise", bursts),
        ("a click", click),
    ];
    for model in [&BASE, &TINY] {
        for (name, samples) in &recordings {
            let transcript = transcribe(model, &wav(16_000, samples));
            assert_eq!(transcript.text, "", "{name}, {}: {transcript:?}", model.id());
            assert_eq!(
                (&transcript.language, transcript.segments.len()),
                (&None, 0),
                "{name}"
            );
        }
    }
}

#[test]
fn transcription_is_deterministic() {
    let file = clip("tried.mp3");
    assert_eq!(transcribe(&BASE, &file), transcribe(&BASE, &file));
}

#[test]
fn interrupt_ends_transcription_before_and_during_a_run() {
    let interrupt = Interrupt::new();
    interrupt.trigger();
    let result = TINY.transcribe(&clip("tried.flac"), &interrupt);
    assert!(matches!(result, Err(ModelError::Interrupted)));

    let interrupt = Interrupt::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| TINY.transcribe(&recording("two_cities.wav"), &interrupt));
        // The transcription takes seconds, most of them within ONNX Runtime, so the trigger comes in time.
        while !interrupt.is_running() {
            std::thread::yield_now();
        }
        interrupt.trigger();
        assert!(matches!(running.join().unwrap(), Err(ModelError::Interrupted)));
    });
    assert_ne!(transcribe(&TINY, &clip("tried.flac")).text, "");
}

#[test]
fn file_that_is_not_audio_is_an_input_error() {
    let error = TINY.transcribe(b"hello", &Interrupt::new()).unwrap_err();
    assert!(
        matches!(
            &error,
            ModelError::Input(InputError::Audio(AudioError::Unsupported { .. }))
        ),
        "{error}"
    );
}

#[test]
fn error_names_a_missing_folder() {
    let error = SpeechModel::load(std::path::Path::new("/nowhere"), SpeechVariant::Base).unwrap_err();
    assert!(error.to_string().contains("/nowhere"), "{error}");
}
