use super::*;

/// 100 tokens of text, two languages, and all timestamps.
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

/// What may follow these tokens, all being equally likely but for a text token that outweighs all timestamps.
fn allowed(tokens: &[usize]) -> Vec<usize> {
    let vocabulary = vocabulary();
    let mut logits = vec![0.0; vocabulary.len()];
    logits[50] = 20.0;
    forbid(&mut logits, tokens, &vocabulary);
    let is_allowed = |token: &usize| logits[*token] > f32::NEG_INFINITY;
    (0..logits.len()).filter(is_allowed).collect()
}

#[test]
fn a_transcript_starts_with_a_time_within_the_first_second() {
    assert_eq!(allowed(&[]), (TIME..=TIME + 50).collect::<Vec<_>>());
}

#[test]
fn text_follows_a_start_and_never_a_token_that_is_not_spoken() {
    let text: Vec<_> = (0..=100).filter(|&token| token != 7).collect();
    assert_eq!(allowed(&[TIME]), text);
    assert_eq!(allowed(&[TIME, 1, TIME + 9, TIME + 9]), text);
}

#[test]
fn an_end_is_followed_by_the_next_start_or_by_nothing() {
    let end = TIME + 9;
    let expected: Vec<_> = std::iter::once(100).chain(end..TIME + 1_501).collect();
    // The likeliest text is ruled out, and the timestamps together outweigh the end.
    assert_eq!(allowed(&[TIME, 1, end]), expected[1..]);
    let vocabulary = vocabulary();
    let mut logits = vec![0.0; vocabulary.len()];
    logits[100] = 20.0;
    forbid(&mut logits, &[TIME, 1, end], &vocabulary);
    assert_eq!(likeliest(&logits), 100);
}

#[test]
fn time_never_goes_back_nor_stands_still_within_a_segment() {
    let after = allowed(&[TIME + 30, 1, 2]);
    let first = after.iter().find(|&&token| token >= TIME);
    assert_eq!(first, Some(&(TIME + 31)));
}

#[test]
fn a_time_comes_when_all_times_together_are_likelier_than_any_word() {
    let vocabulary = vocabulary();
    let mut logits = vec![0.0; vocabulary.len()];
    logits[50] = 5.0;
    forbid(&mut logits, &[TIME, 1], &vocabulary);
    assert_eq!(likeliest(&logits), TIME + 1);
}

#[test]
fn a_loop_is_cut_after_its_first_time_round() {
    let vocabulary = vocabulary();
    let circle = [1, 2, 3, TIME + 20, TIME + 20, 4, 5];
    let mut tokens = vec![TIME, 9, 8];
    let mut found = None;
    for &token in circle.iter().cycle().take(70) {
        tokens.push(token);
        if found.is_none() {
            found = end_of_loop(&tokens, &vocabulary);
        }
    }
    // The four words that start it stay, and the one more that closes the circle.
    let kept = found.unwrap();
    let words: Vec<_> = tokens[..kept].iter().filter(|&&token| token < 100).collect();
    assert_eq!(words, [&9, &8, &1, &2, &3, &4, &5]);
}

#[test]
fn what_people_repeat_is_no_loop() {
    let vocabulary = vocabulary();
    let varied: Vec<usize> = (0..200).map(|i| i * i % 97).collect();
    let three_times = [10, 11, 12, 13, 14, 15, 16, 17].repeat(3);
    for tokens in [varied, three_times, vec![5; 19]] {
        assert!((0..=tokens.len()).all(|length| end_of_loop(&tokens[..length], &vocabulary).is_none()));
    }
}

#[test]
fn text_that_repeats_itself_is_told_by_its_compression() {
    let said = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of \
                foolishness, it was the epoch of belief, it was the epoch of incredulity.";
    assert!(compression(said) < MOST_COMPRESSION, "{}", compression(said));
    assert!(compression(&"Thank you for watching. ".repeat(8)) > MOST_COMPRESSION);
    assert!(compression("") < 1.0);
}

#[test]
fn probabilities_are_those_of_a_softmax() {
    let logits = [1.0, 3.0, f32::NEG_INFINITY];
    let (a, b) = (1.0_f32.exp(), 3.0_f32.exp());
    assert!((log_softmax_at(&logits, 1).exp() - b / (a + b)).abs() < 1e-6);
    let mut chance = fastrand::Rng::with_seed(1);
    let draws = 4_000;
    let hits = (0..draws)
        .filter(|_| sampled(&logits, 2.0, &mut chance) == 1)
        .count();
    // At temperature 2 the difference of 2 is one of 1.
    let expected = 1.0_f32.exp() / (1.0 + 1.0_f32.exp());
    assert!((hits as f32 / draws as f32 - expected).abs() < 0.03, "{hits}");
}
