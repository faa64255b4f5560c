use super::*;

/// A vocabulary of 100 text tokens, two languages, and all timestamps.
fn vocabulary() -> Vocabulary {
    let text: Vec<String> = (0..100).map(|i| format!("Ġword{i}")).collect();
    serde_json::from_value(serde_json::json!({
        "text": text,
        "end": 100,
        "start": 101,
        "languages": ["en", "de"],
        "transcribe": 105,
        "no_speech": 107,
        "no_timestamps": 108,
        "first_timestamp": 109,
        "suppress": [7, 101, 105],
        "suppress_at_start": [3, 100],
    }))
    .unwrap()
}

const TIME: usize = 109;

/// The tokens that may follow `tokens`. All have the same probability, except a text token that outweighs all timestamps.
fn allowed(tokens: &[usize]) -> Vec<usize> {
    let vocabulary = vocabulary();
    let mut logits = vec![0.0; vocabulary.len()];
    logits[50] = 20.0;
    suppress_invalid(&mut logits, tokens, &vocabulary);
    let is_allowed = |token: &usize| logits[*token] > f32::NEG_INFINITY;
    (0..logits.len()).filter(is_allowed).collect()
}

#[test]
fn transcript_starts_with_a_timestamp_within_the_first_second() {
    assert_eq!(allowed(&[]), (TIME..=TIME + 50).collect::<Vec<_>>());
}

#[test]
fn only_text_follows_the_start_of_a_segment() {
    let text: Vec<_> = (0..=100).filter(|&token| token != 7).collect();
    assert_eq!(allowed(&[TIME]), text);
    assert_eq!(allowed(&[TIME, 1, TIME + 9, TIME + 9]), text);
}

#[test]
fn end_of_a_segment_is_followed_by_the_next_start_or_the_end() {
    let end = TIME + 9;
    let expected: Vec<_> = std::iter::once(100).chain(end..TIME + 1_501).collect();
    // The most probable text is suppressed, and the timestamps together outweigh the end.
    assert_eq!(allowed(&[TIME, 1, end]), expected[1..]);
    let vocabulary = vocabulary();
    let mut logits = vec![0.0; vocabulary.len()];
    logits[100] = 20.0;
    suppress_invalid(&mut logits, &[TIME, 1, end], &vocabulary);
    assert_eq!(argmax(&logits), 100);
}

#[test]
fn timestamps_increase_within_a_segment() {
    let after = allowed(&[TIME + 30, 1, 2]);
    let first = after.iter().find(|&&token| token >= TIME);
    assert_eq!(first, Some(&(TIME + 31)));
}

#[test]
fn timestamp_follows_when_all_together_outweigh_any_word() {
    let vocabulary = vocabulary();
    let mut logits = vec![0.0; vocabulary.len()];
    logits[50] = 5.0;
    suppress_invalid(&mut logits, &[TIME, 1], &vocabulary);
    assert_eq!(argmax(&logits), TIME + 1);
}

#[test]
fn loop_is_truncated_after_its_first_repetition() {
    let vocabulary = vocabulary();
    let period = [1, 2, 3, TIME + 20, TIME + 20, 4, 5];
    let mut tokens = vec![TIME, 9, 8];
    let mut found = None;
    for &token in period.iter().cycle().take(70) {
        tokens.push(token);
        if found.is_none() {
            found = length_before_loop(&tokens, &vocabulary);
        }
    }
    // The words before the loop remain, and its five words once.
    let length = found.unwrap();
    let words: Vec<_> = tokens[..length].iter().filter(|&&token| token < 100).collect();
    assert_eq!(words, [&9, &8, &1, &2, &3, &4, &5]);
}

#[test]
fn ordinary_repetition_is_not_a_loop() {
    let vocabulary = vocabulary();
    let varied: Vec<usize> = (0..200).map(|i| i * i % 97).collect();
    let three_times = [10, 11, 12, 13, 14, 15, 16, 17].repeat(3);
    for tokens in [varied, three_times, vec![5; 19]] {
        assert!(
            (0..=tokens.len()).all(|length| length_before_loop(&tokens[..length], &vocabulary).is_none())
        );
    }
}

#[test]
fn repetitive_text_is_detected_by_its_compression() {
    let said = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of \
                foolishness, it was the epoch of belief, it was the epoch of incredulity.";
    assert!(
        compression_ratio(said) < MAX_COMPRESSION,
        "{}",
        compression_ratio(said)
    );
    assert!(compression_ratio(&"Thank you for watching. ".repeat(8)) > MAX_COMPRESSION);
    assert!(compression_ratio("") < 1.0);
}

#[test]
fn sampling_follows_the_softmax() {
    let logits = [1.0, 3.0, f32::NEG_INFINITY];
    let (a, b) = (1.0_f32.exp(), 3.0_f32.exp());
    assert!((log_softmax_at(&logits, 1).exp() - b / (a + b)).abs() < 1e-6);
    let mut rng = fastrand::Rng::with_seed(1);
    let draws = 4_000;
    let hits = (0..draws).filter(|_| sample(&logits, 2.0, &mut rng) == 1).count();
    // Temperature 2 halves the difference of 2 between the logits.
    let expected = 1.0_f32.exp() / (1.0 + 1.0_f32.exp());
    assert!((hits as f32 / draws as f32 - expected).abs() < 0.03, "{hits}");
}
