//! The work on hostile texts: its number of steps is linear in the text's length, and an interrupt ends it soon.

use std::cell::Cell;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::normalize;
use crate::steps::uninterrupted;
use crate::testing::assets;
use crate::tokenizer::MAX_BYTES;

/// The longest text of a task, in bytes.
const MAX_TEXT: usize = 1_000_000;
/// A byte is part of a character that is collapsed, classified, looked ahead to and copied, or of one that becomes up to 18
/// in NFKC, at three bytes.
const MAX_STEPS_PER_BYTE: usize = 8;

static MODEL: LazyLock<TextModel> = LazyLock::new(|| TextModel::load(&assets()).unwrap());

/// What hostile texts repeat. Each is special to a rule of sentences, to NFKC or to the tokenizer.
const FRAGMENTS: &[&str] = &[
    "a",
    "A",
    "z.",
    "a.",
    ".A",
    ".",
    "!",
    "?",
    "...",
    ")",
    "\"",
    "]",
    "'",
    "\u{bb}",
    "\u{201d}",
    "(",
    ",",
    " ",
    "  ",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\t",
    "\u{2028}",
    "\u{a0}",
    "\u{301}",
    "\u{327}",
    "\u{93e}",
    "\u{ff9e}",
    "\u{200b}",
    "\u{200d}",
    "\u{ad}",
    "\u{feff}",
    "\u{202e}",
    "\u{fe0f}",
    "\u{fdfa}",
    "\u{fb01}",
    "\u{1d5ea}",
    "\u{ac01}",
    "\u{1100}",
    "\u{1161}",
    "\u{4e2d}",
    "\u{1f642}",
    "\0",
    "1",
    "1.",
    "Mr.",
    " U.S.",
    "No. 1",
    "- ",
    "x\n",
    "[SEP]",
    "#",
    "word ",
    "\u{344}",
    "\u{e000}",
];

/// A few fragments, then others that are repeated up to a length, then a few again.
fn hostile_text() -> impl Strategy<Value = String> {
    let some = |count| prop::collection::vec(prop::sample::select(FRAGMENTS), count);
    (some(0..4), some(1..4), some(0..4), 1..MAX_TEXT).prop_map(|(before, pattern, after, length)| {
        repeated(&before.concat(), &pattern.concat(), length) + &after.concat()
    })
}

fn repeated(before: &str, pattern: &str, length: usize) -> String {
    before.to_owned() + &pattern.repeat(length / pattern.len())
}

/// The texts of `length` that are known to be hard, one for each kind of fault.
fn known_texts(length: usize) -> Vec<String> {
    let mut known: Vec<_> = FRAGMENTS
        .iter()
        .map(|fragment| repeated("", fragment, length))
        .collect();
    for pattern in [
        ")",
        "\"",
        "]",
        "'",
        "\u{bb}",
        "\u{301}",
        ")\u{ff9e}",
        ")\u{93e}",
        ")\u{ad}",
        ") ",
        "1",
    ] {
        known.push(repeated("a.", pattern, length));
    }
    // Every piece continues a sentence whose first word is long.
    known.push(repeated(&"x".repeat(length / 2), " Mr. A", length / 2));
    known
}

/// Steps that an interrupt ends at the step `at`.
fn steps_until(at: usize) -> Steps<'static> {
    Steps::with_check(move |taken| {
        if taken < at {
            Ok(())
        } else {
            Err(ModelError::Interrupted)
        }
    })
}

/// Runs `work` without an interrupt, and then with one at several steps. The steps are at most `max`, and at most `overshoot`
/// after the interrupt.
fn assert_bounded(max: usize, overshoot: usize, work: impl Fn(&Steps<'_>) -> Result<(), ModelError>) {
    let steps = Steps::with_check(|taken| {
        assert!(taken <= max, "{taken} steps so far, over {max}");
        Ok(())
    });
    work(&steps).unwrap();
    let total = steps.taken();
    assert!(total <= max, "{total} steps, over {max}");
    for at in [0, total / 5, total / 2, total * 4 / 5]
        .into_iter()
        .filter(|at| at + overshoot < total)
    {
        let steps = steps_until(at);
        assert!(
            matches!(work(&steps), Err(ModelError::Interrupted)),
            "{at} of {total}"
        );
        assert!(
            steps.taken() <= at + overshoot,
            "{} steps, interrupted at {at}",
            steps.taken()
        );
    }
}

fn assert_linear(text: &str) {
    let max = MAX_STEPS_PER_BYTE * text.len() + 16;
    // A sentence is split in one go, up to its maximum length.
    let overshoot = Steps::INTERVAL + 1000;
    assert_bounded(max, overshoot, |steps| sentences(text, steps).map(drop));
    assert_bounded(max, overshoot, |steps| {
        normalize(text, usize::MAX, steps).map(drop)
    });
}

#[test]
fn known_hostile_texts_take_linear_steps_and_end_soon_after_an_interrupt() {
    for text in known_texts(60_000) {
        assert_linear(&text);
    }
    assert_linear(&repeated("a.", ")", MAX_TEXT));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_text_takes_linear_steps_and_ends_soon_after_an_interrupt(text in hostile_text()) {
        assert_linear(&text);
    }

    #[test]
    fn sentences_have_every_character_of_the_text_but_white_space(text in hostile_text()) {
        let found = sentences(&text, &uninterrupted()).unwrap();
        let visible = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        prop_assert!(visible(&text) == visible(&found.concat()));
        prop_assert!(found.iter().all(|sentence| (1..=1000).contains(&sentence.len())));
    }
}

/// The tokenizer reads at most this much of a text, in one call after another.
const MAX_TOKENIZED: usize = MAX_BYTES + MAX_SENTENCES * 2 * 1000;

#[test]
fn requests_for_hostile_texts_take_linear_steps_and_end_soon_after_an_interrupt() {
    for pattern in [
        ")", "a.A", "word ", "Mr. ", "! ", "x\n", "\u{301}", "\u{200b}", "\u{fdfa}",
    ] {
        let text = &*repeated("a.", pattern, 100_000);
        let requests = [
            TextRequest::Embed { texts: vec![text; 3] },
            TextRequest::Classify {
                text,
                labels: vec!["\u{fdfa}", text],
                multi_label: true,
            },
            TextRequest::Summarize {
                text,
                max_sentences: Some(1),
                ratio: None,
            },
        ];
        for request in requests {
            let max = 3 * MAX_STEPS_PER_BYTE * text.len() + 3 * MAX_TOKENIZED;
            assert_bounded(max, Steps::INTERVAL + MAX_BYTES, |steps| {
                MODEL.plan(&request, &mut Texts::default(), steps).map(drop)
            });
        }
    }
}

#[test]
fn steps_of_a_summary_include_each_repeated_sentence() {
    let text = "Yes. ".repeat(100_000);
    let request = TextRequest::Summarize {
        text: &text,
        max_sentences: None,
        ratio: None,
    };
    let last = Cell::new(0);
    let steps = Steps::with_check(|taken| {
        assert!(taken - last.replace(taken) <= Steps::INTERVAL + 1000);
        Ok(())
    });
    MODEL.plan(&request, &mut Texts::default(), &steps).unwrap();
    assert!(steps.taken() > 3 * text.len());
}
