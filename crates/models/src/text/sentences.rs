//! Splits a text into sentences: at Unicode's boundaries (UAX #29), corrected where they are wrong for English prose.
//!
//! Unicode ends a sentence at every line break, and after every full stop before a capital letter. Here:
//!
//! - A line break ends a sentence only at an empty line, before a list item, or after a line too short to be wrapped.
//! - A title ("Dr."), "No." before a number, an initial ("J.") or the number of a list item does not end a sentence. An acronym
//!   ("U.S.") or "Inc." does only before a word that usually begins a sentence.
//! - A sentence of over 1,000 bytes is split between words, so that text without punctuation has parts too.
//!
//! The number of steps is linear in the text's length: each character is collapsed, classified, looked ahead to and copied
//! once, and a decision on a sentence looks at a bounded number of characters on either side.

use super::sentence_break::{Part, parts};
use crate::{ModelError, Steps};

/// The minimum length of a wrapped line, in characters.
const MIN_WRAPPED_CHARS: usize = 50;
/// The maximum length of a sentence, in bytes. The longest sentences that people write have about half.
const MAX_BYTES: usize = 1000;

/// The maximum length of a word that may be an abbreviation, a number of a list item or a word that begins a sentence.
const MAX_WORD_BYTES: usize = 64;

/// Abbreviations that precede a name, and never end a sentence.
const BEFORE_NAMES: &[&str] = &[
    "mr", "mrs", "ms", "mx", "dr", "prof", "rev", "hon", "gen", "col", "lt", "sgt", "capt", "cmdr", "gov",
    "sen", "rep", "pres", "mt", "vs", "cf", "e.g", "i.e",
];
/// Abbreviations that do not end a sentence before a number.
const BEFORE_NUMBERS: &[&str] = &[
    "approx", "ch", "fig", "figs", "no", "nos", "p", "pp", "vol", "jan", "feb", "apr", "aug", "sep", "sept",
    "oct", "nov", "dec",
];
/// Abbreviations that may end a sentence, depending on the next word.
const WITHIN_OR_AT_END: &[&str] = &[
    "inc", "ltd", "co", "corp", "llc", "jr", "sr", "st", "al", "dept", "est", "univ", "bros", "ave",
];
/// Words that rarely follow an acronym unless they begin a sentence.
const SENTENCE_STARTERS: &[&str] = &[
    "a", "after", "all", "an", "and", "as", "at", "because", "before", "but", "by", "during", "each", "even",
    "for", "from", "he", "her", "his", "how", "however", "i", "if", "in", "it", "its", "many", "most", "my",
    "now", "on", "our", "she", "since", "so", "that", "the", "their", "then", "there", "these", "they",
    "this", "we", "when", "you",
];

/// The sentences in order, each on one line, with single spaces. None is empty.
///
/// # Errors
/// [`ModelError::Interrupted`] by the interrupt of `steps`.
pub fn sentences(text: &str, steps: &Steps<'_>) -> Result<Vec<String>, ModelError> {
    let mut found = Vec::new();
    for paragraph in paragraphs(text, steps)? {
        let mut sentence = String::new();
        for part in parts(&paragraph, steps)? {
            let part = Part {
                text: part.text.trim(),
                ..part
            };
            if continues(&sentence, &part) {
                sentence.push(' ');
            } else {
                split(&sentence, &mut found, steps)?;
                sentence.clear();
            }
            sentence.push_str(part.text);
        }
        split(&sentence, &mut found, steps)?;
    }
    Ok(found)
}

/// The text without its wrapping: paragraphs, headings and list items, each on one line, with single spaces.
fn paragraphs(text: &str, steps: &Steps<'_>) -> Result<Vec<String>, ModelError> {
    let mut found: Vec<String> = Vec::new();
    let mut line = Line::default();
    let mut previous_width = 0;
    for c in text.chars().chain(['\n']) {
        steps.take(1)?;
        if c != '\n' {
            line.push(c);
            continue;
        }
        let Line { words, width, .. } = std::mem::take(&mut line);
        match found.last_mut() {
            Some(paragraph) if continues_line(previous_width, &words) => {
                paragraph.push(' ');
                paragraph.push_str(&words);
            }
            _ if words.is_empty() => {}
            _ => found.push(words),
        }
        previous_width = width;
    }
    Ok(found)
}

/// A line of a text without the white space around it.
#[derive(Default)]
struct Line {
    /// The words, with single spaces.
    words: String,
    /// The number of characters, of which the white space between words can have several.
    width: usize,
    /// The number of white space characters since the last word.
    spaces: usize,
}

impl Line {
    fn push(&mut self, c: char) {
        if c.is_whitespace() {
            self.spaces += usize::from(!self.words.is_empty());
            return;
        }
        if self.spaces > 0 {
            self.words.push(' ');
        }
        self.words.push(c);
        self.width += self.spaces + 1;
        self.spaces = 0;
    }
}

/// Whether a line continues the paragraph of the previous line, which has this width.
fn continues_line(previous_width: usize, line: &str) -> bool {
    let mut after_number = line.chars().take(MAX_WORD_BYTES).skip_while(char::is_ascii_digit);
    let is_item =
        line.starts_with(['-', '*', '•', '#', '>']) || matches!(after_number.next(), Some(')' | '.'));
    let is_wrapped = line.starts_with(char::is_lowercase) || previous_width >= MIN_WRAPPED_CHARS;
    previous_width > 0 && !line.is_empty() && !is_item && is_wrapped
}

/// Whether `part` continues the sentence `previous`: its full stop does not end it, or `part` has no word.
fn continues(previous: &str, part: &Part<'_>) -> bool {
    if previous.is_empty() {
        return false;
    }
    let Some(next) = part.word else {
        return !part.text.is_empty();
    };
    let end = &previous[previous.ceil_char_boundary(previous.len().saturating_sub(MAX_WORD_BYTES))..];
    let (is_first, last) = match end.rsplit_once(' ') {
        Some((_, last)) => (false, last),
        None if end.len() == previous.len() => (true, end),
        None => return false,
    };
    let Some(word) = last
        .trim_start_matches(|c: char| !c.is_alphanumeric())
        .strip_suffix('.')
    else {
        return false;
    };
    let lower = word.to_lowercase();
    let is_number = part.text.starts_with(|c: char| c.is_ascii_digit());
    if BEFORE_NAMES.contains(&&*lower)
        || is_number && BEFORE_NUMBERS.contains(&&*lower)
        || is_first && word.chars().all(|c| c.is_ascii_digit())
    {
        return true;
    }
    // "J", "U.S", "Ph.D": one letter, or parts of up to two letters with full stops between them.
    let max_letters = if word.contains('.') { 2 } else { 1 };
    let is_acronym = word.split('.').all(|part| {
        part.chars().all(char::is_alphabetic) && (1..=max_letters).contains(&part.chars().count())
    });
    if !is_acronym && !WITHIN_OR_AT_END.contains(&&*lower) {
        return false;
    }
    let next: String = next
        .chars()
        .take(MAX_WORD_BYTES)
        .take_while(|c| c.is_alphanumeric())
        .collect();
    !SENTENCE_STARTERS.contains(&&*next.to_lowercase())
}

/// Appends a sentence. One that is too long is split, between words if possible.
fn split(sentence: &str, found: &mut Vec<String>, steps: &Steps<'_>) -> Result<(), ModelError> {
    let mut rest = sentence;
    while rest.len() > MAX_BYTES {
        let longest = &rest[..rest.floor_char_boundary(MAX_BYTES)];
        steps.take(longest.len())?;
        let part = longest.rfind(' ').map_or(longest, |space| &longest[..space]);
        found.push(part.to_owned());
        rest = rest[part.len()..].trim_start();
    }
    steps.take(rest.len())?;
    found.extend((!rest.is_empty()).then(|| rest.to_owned()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::uninterrupted;

    fn sentences(text: &str) -> Vec<String> {
        super::sentences(text, &uninterrupted()).unwrap()
    }

    #[test]
    fn full_stop_within_a_sentence_does_not_end_it() {
        for (text, expected) in [
            (
                "Dr. Smith went to the U.S. in 1999. He stayed.",
                &["Dr. Smith went to the U.S. in 1999.", "He stayed."][..],
            ),
            (
                "He moved to the U.S. He liked it.",
                &["He moved to the U.S.", "He liked it."],
            ),
            (
                "The U.S. Army bought 3.5 tons.",
                &["The U.S. Army bought 3.5 tons."],
            ),
            (
                "J. R. Ewing and Prof. Lee (Ph.D. Oxford) met Mrs. Jones vs. St. John.",
                &["J. R. Ewing and Prof. Lee (Ph.D. Oxford) met Mrs. Jones vs. St. John."],
            ),
            (
                "Acme Inc. Chairman Bo Li left Acme Inc. The shares fell.",
                &["Acme Inc. Chairman Bo Li left Acme Inc.", "The shares fell."],
            ),
            (
                "See Fig. 3 and No. 7. It rose at 5 p.m. They cheered!",
                &["See Fig. 3 and No. 7.", "It rose at 5 p.m.", "They cheered!"],
            ),
            (
                "The answer is no. So be it. Nine came.",
                &["The answer is no.", "So be it.", "Nine came."],
            ),
            (
                "Ok... Maybe not. Ha.. Fine.",
                &["Ok...", "Maybe not.", "Ha..", "Fine."],
            ),
            (
                "Really?! \"Yes.\" Well... maybe not. Go to example.com. Done.",
                &[
                    "Really?!",
                    "\"Yes.\"",
                    "Well... maybe not.",
                    "Go to example.com.",
                    "Done.",
                ],
            ),
        ] {
            assert_eq!(sentences(text), expected, "{text}");
        }
    }

    #[test]
    fn wrapped_lines_are_joined_but_not_headings_and_items() {
        let text = "A heading\nThe first sentence of this text is wrapped over two lines,\r\nas one sees. A second one.\n\n\
                    New paragraph\n\n- one item\n- another\n1. First\n2) Second";
        assert_eq!(
            sentences(text),
            [
                "A heading",
                "The first sentence of this text is wrapped over two lines, as one sees.",
                "A second one.",
                "New paragraph",
                "- one item",
                "- another",
                "1. First",
                "2) Second",
            ]
        );
    }

    #[test]
    fn text_without_punctuation_is_split_without_loss() {
        let words = "word ".repeat(5000);
        let parts = sentences(&words);
        assert!(parts.iter().all(|part| part.len() <= MAX_BYTES));
        assert_eq!(parts.join(" "), words.trim());
        let one = "é".repeat(5000);
        assert_eq!(sentences(&one).concat(), one);
    }

    #[test]
    fn megabyte_of_repeated_patterns_is_split() {
        for pattern in ["Mr. ", "A. 1 ", ". ", "a.A", "\n", "x\n", "\"Oh!\" ", "! ", "1. "] {
            let text = pattern.repeat(1_000_000 / pattern.len());
            let longest = sentences(&text).iter().map(String::len).max();
            assert!(longest.unwrap_or(0) <= MAX_BYTES, "{pattern:?}");
        }
    }

    #[test]
    fn text_that_is_not_prose_is_accepted() {
        assert_eq!(sentences(""), [""; 0]);
        assert_eq!(sentences(" \n\t "), [""; 0]);
        assert_eq!(sentences("🙂🙂"), ["🙂🙂"]);
        assert_eq!(sentences("Great! 🙂 !!"), ["Great! 🙂 !!"]);
        assert_eq!(sentences("..."), ["..."]);
    }
}
