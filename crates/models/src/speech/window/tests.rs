use super::*;
use crate::speech::decode;

const TIME: usize = 109;

fn vocabulary() -> Vocabulary {
    serde_json::from_value(serde_json::json!({
        "text": vec!["Ġa"; 100], "end": 100, "start": 101, "languages": [], "transcribe": 105, "no_speech": 107,
        "no_timestamps": 108, "first_timestamp": TIME, "suppress": [], "suppress_at_start": [],
    }))
    .unwrap()
}

/// The timestamp token of a time in seconds.
fn at(seconds: f32) -> usize {
    TIME + (seconds / 0.02).round() as usize
}

fn split(tokens: Vec<usize>, length: f32) -> (Vec<(f32, f32, usize)>, f32) {
    let vocabulary = vocabulary();
    let (pieces, step) = pieces(&decode::certain(tokens), length, &vocabulary);
    let words = |piece: &Piece| piece.tokens.iter().filter(|&&token| token < 100).count();
    let rounded = |seconds: f32| (seconds * 100.0).round() / 100.0;
    let pieces = pieces
        .iter()
        .map(|piece| (rounded(piece.start), rounded(piece.end), words(piece)));
    (pieces.collect(), rounded(step))
}

#[test]
fn segment_that_the_window_cuts_off_is_left_to_the_next() {
    let tokens = vec![at(0.0), 1, 2, at(4.5), at(5.0), 3, at(28.0), at(28.0), 4];
    assert_eq!(split(tokens, 30.0), (vec![(0.0, 4.5, 2), (5.0, 28.0, 1)], 28.0));
}

#[test]
fn window_whose_last_segment_is_complete_is_consumed() {
    let tokens = vec![at(0.2), 1, at(4.0), at(4.0), 2, 3, at(9.0)];
    assert_eq!(split(tokens, 12.0), (vec![(0.2, 4.0, 1), (4.0, 9.0, 2)], 12.0));
}

#[test]
fn end_of_a_single_segment_may_be_missing() {
    assert_eq!(split(vec![at(1.0), 1, 2, 3], 7.0), (vec![(1.0, 7.0, 3)], 7.0));
    assert_eq!(
        split(vec![at(0.5), 1, 2, at(3.0)], 7.0),
        (vec![(0.5, 3.0, 2)], 7.0)
    );
    assert_eq!(split(vec![], 7.0), (vec![(0.0, 7.0, 0)], 7.0));
}
