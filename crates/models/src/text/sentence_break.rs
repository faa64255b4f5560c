//! Unicode's sentence boundaries (UAX #29) within a paragraph, in a number of steps that is linear in its length.
//!
//! The crate unicode-segmentation looks ahead at each closing character behind a full stop, so a full stop before many of them
//! takes quadratic time. Here the rules that need no look-ahead come first: it happens once for a full stop at most, and ends
//! at the next one. A test compares the boundaries of both.

use std::sync::LazyLock;

use crate::unicode::{compare, ranges};
use crate::{ModelError, Steps};

/// The part of a paragraph between two boundaries.
pub(super) struct Part<'a> {
    pub(super) text: &'a str,
    /// `text` from its first letter or digit.
    pub(super) word: Option<&'a str>,
}

/// Splits a paragraph, in which all white space is single spaces, at its sentence boundaries.
pub(super) fn parts<'a>(paragraph: &'a str, steps: &Steps<'_>) -> Result<Vec<Part<'a>>, ModelError> {
    let mut parts = Vec::new();
    let mut scanner = Scanner {
        paragraph,
        steps,
        after_letter: false,
        end: None,
    };
    let (mut start, mut word) = (0, None);
    let mut push = |range: std::ops::Range<usize>, word: Option<usize>| {
        parts.push(Part {
            text: &paragraph[range.clone()],
            word: word.map(|word| &paragraph[word..range.end]),
        });
    };
    for (place, c) in paragraph.char_indices() {
        steps.take(1)?;
        if scanner.is_boundary(place, class(c))? {
            push(start..place, word.take());
            start = place;
        }
        if word.is_none() && c.is_alphanumeric() {
            word = Some(place);
        }
    }
    push(start..paragraph.len(), word);
    Ok(parts)
}

/// The values of the property Sentence_Break that matter within a line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    Upper,
    Lower,
    OtherLetter,
    Numeric,
    FullStop,
    Terminator,
    Continuation,
    Close,
    Space,
    /// Combining marks and format characters, which belong to the character before them.
    Ignored,
    Other,
}

static CLASSES: LazyLock<Vec<((char, char), Class)>> = LazyLock::new(|| {
    let mut all: Vec<_> = [
        ("Upper", Class::Upper),
        ("Lower", Class::Lower),
        ("OLetter", Class::OtherLetter),
        ("Numeric", Class::Numeric),
        ("ATerm", Class::FullStop),
        ("STerm", Class::Terminator),
        ("SContinue", Class::Continuation),
        ("Close", Class::Close),
        ("Sp", Class::Space),
        ("Extend", Class::Ignored),
        ("Format", Class::Ignored),
    ]
    .into_iter()
    .flat_map(|(name, class)| {
        let ranges = ranges(&format!("Sentence_Break={name}"));
        ranges.into_iter().map(move |range| (range, class))
    })
    .collect();
    all.sort_unstable_by_key(|&(range, _)| range);
    all
});

fn class(c: char) -> Class {
    let place = CLASSES.binary_search_by(|&(range, _)| compare(range, c));
    place.map_or(Class::Other, |place| CLASSES[place].1)
}

/// The end of a sentence so far: a full stop or terminator, then closing characters, then a space.
struct End {
    is_full_stop: bool,
    /// Whether a letter with a case precedes it.
    after_letter: bool,
    last: Last,
}

#[derive(Clone, Copy, PartialEq)]
enum Last {
    Stop,
    Close,
    Space,
}

struct Scanner<'a> {
    paragraph: &'a str,
    steps: &'a Steps<'a>,
    /// Whether the last character that is not ignored is a letter with a case.
    after_letter: bool,
    end: Option<End>,
}

impl Scanner<'_> {
    /// Whether a sentence ends before the character of this class at `place`, which follows the last one given.
    fn is_boundary(&mut self, place: usize, class: Class) -> Result<bool, ModelError> {
        // SB5.
        if class == Class::Ignored {
            return Ok(false);
        }
        let is_boundary = match &self.end {
            None => false,
            Some(end) => {
                let (is_full_stop, last) = (end.is_full_stop, end.last);
                let joins = match class {
                    // SB6 and SB7.
                    Class::Numeric => is_full_stop && last == Last::Stop,
                    Class::Upper => is_full_stop && last == Last::Stop && end.after_letter,
                    // SB8a.
                    Class::Continuation | Class::Terminator | Class::FullStop => true,
                    // SB9.
                    Class::Close => last != Last::Space,
                    // SB10.
                    Class::Space => true,
                    _ => false,
                };
                // SB8 and SB11. Whatever follows, the end is over after this character, so nothing looks ahead again.
                let continues = joins || is_full_stop && self.is_lower_next(place)?;
                !continues
            }
        };
        self.end = match class {
            Class::FullStop | Class::Terminator => Some(End {
                is_full_stop: class == Class::FullStop,
                after_letter: self.after_letter,
                last: Last::Stop,
            }),
            Class::Close => self
                .end
                .take()
                .filter(|end| end.last != Last::Space)
                .map(|end| End {
                    last: Last::Close,
                    ..end
                }),
            Class::Space => self.end.take().map(|end| End {
                last: Last::Space,
                ..end
            }),
            _ => None,
        };
        self.after_letter = matches!(class, Class::Upper | Class::Lower);
        Ok(is_boundary)
    }

    /// Whether the next letter or stop from `place` on is a lowercase letter.
    fn is_lower_next(&self, place: usize) -> Result<bool, ModelError> {
        for c in self.paragraph[place..].chars() {
            self.steps.take(1)?;
            match class(c) {
                Class::Lower => return Ok(true),
                Class::Upper | Class::OtherLetter | Class::Terminator | Class::FullStop => return Ok(false),
                _ => {}
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    use super::*;
    use crate::steps::uninterrupted;

    /// Characters of every class, and of none.
    const CHARS: &[char] = &[
        'a',
        'z',
        'A',
        'Z',
        '\u{df}',
        '\u{5d0}',
        '\u{4e2d}',
        '1',
        '\u{661}',
        '.',
        '\u{2024}',
        '!',
        '?',
        '\u{3002}',
        ',',
        '-',
        ';',
        ')',
        '(',
        '"',
        '\'',
        '\u{ab}',
        '\u{bb}',
        '\u{201d}',
        ' ',
        '\u{301}',
        '\u{93e}',
        '\u{ff9e}',
        '\u{ad}',
        '\u{200b}',
        '\u{200d}',
        '\u{feff}',
        '\u{202e}',
        '\u{fe0f}',
        '\0',
        '\u{e000}',
        '\u{1f642}',
        '\u{1f3fd}',
        '\u{2ea}',
        '\u{1c5}',
        '$',
        '\u{2160}',
    ];

    fn boundaries(paragraph: &str) -> Vec<&str> {
        let parts = parts(paragraph, &uninterrupted()).unwrap();
        parts.into_iter().map(|part| part.text).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn boundaries_are_those_of_the_reference(chars in prop::collection::vec(prop::sample::select(CHARS), 1..40)) {
            let text: String = chars.into_iter().collect();
            let reference: Vec<&str> = text.split_sentence_bounds().collect();
            prop_assert_eq!(boundaries(&text), reference);
        }
    }

    #[test]
    fn every_character_has_the_class_of_the_reference() {
        // Each class differs from each other one in at least one of these.
        let contexts = ["1.{}", "a. {}", "a. {}b", "?{}A", "? {}A", "{} b", "{}.A"];
        // The property's table is of Unicode 16, the reference's of Unicode 17, which changed U+0295 and added characters.
        let assigned = ranges("Age=16.0")
            .into_iter()
            .flat_map(|(start, end)| start..=end);
        for c in assigned.filter(|&c| !c.is_whitespace() && c != '\u{295}') {
            for context in contexts {
                let text = context.replace("{}", c.encode_utf8(&mut [0; 4]));
                let reference: Vec<&str> = text.split_sentence_bounds().collect();
                assert_eq!(boundaries(&text), reference, "U+{:04X}", u32::from(c));
            }
        }
    }

    #[test]
    fn a_part_has_its_first_word() {
        let parts = parts("(One!) \u{1f642}", &uninterrupted()).unwrap();
        let words: Vec<_> = parts.into_iter().map(|part| part.word).collect();
        assert_eq!(words, [Some("One!) "), None]);
    }
}
