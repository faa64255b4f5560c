//! Splits a text into sentences: at Unicode's boundaries (UAX #29), corrected where they are wrong for English prose.
//!
//! Unicode ends a sentence at every line break, and after every full stop before a capital letter. Here:
//!
//! - A line break ends a sentence only at an empty line, before a list item, or after a line too short to be wrapped.
//! - A title ("Dr."), "No." before a number, an initial ("J.") or the number of a list item does not end a sentence. An acronym
//!   ("U.S.") or "Inc." does only before a word that usually begins a sentence.
//! - A sentence of over 1,000 bytes is split between words, so that text without punctuation has parts too.

use unicode_segmentation::UnicodeSegmentation;

/// The minimum length of a wrapped line, in characters.
const MIN_WRAPPED_CHARS: usize = 50;
/// The maximum length of a sentence, in bytes. The longest sentences that people write have about half.
const MAX_BYTES: usize = 1000;

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
pub(super) fn sentences(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for paragraph in paragraphs(text) {
        let start = found.len();
        for piece in paragraph.split_sentence_bounds().map(str::trim) {
            match found[start..].last_mut() {
                Some(previous) if continues(previous, piece) => {
                    previous.push(' ');
                    previous.push_str(piece);
                }
                _ if piece.is_empty() => {}
                _ => found.push(piece.to_owned()),
            }
        }
    }
    found.into_iter().flat_map(split).collect()
}

/// The text without its wrapping: paragraphs, headings and list items, each on one line, with single spaces.
fn paragraphs(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut previous = "";
    for line in text.lines().map(str::trim) {
        let words = line.split_whitespace();
        match found.last_mut() {
            Some(paragraph) if continues_line(previous, line) => {
                for word in words {
                    paragraph.push(' ');
                    paragraph.push_str(word);
                }
            }
            _ if line.is_empty() => {}
            _ => found.push(words.collect::<Vec<_>>().join(" ")),
        }
        previous = line;
    }
    found
}

/// Whether a line continues the paragraph of the previous line.
fn continues_line(previous: &str, line: &str) -> bool {
    let is_item = line.starts_with(['-', '*', '•', '#', '>'])
        || line
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .starts_with([')', '.']);
    let is_wrapped = line.starts_with(char::is_lowercase)
        || previous
            .chars()
            .nth(MIN_WRAPPED_CHARS.saturating_sub(1))
            .is_some();
    !previous.is_empty() && !line.is_empty() && !is_item && is_wrapped
}

/// Whether `piece` continues the sentence `previous`: its full stop does not end it, or `piece` has no word.
fn continues(previous: &str, piece: &str) -> bool {
    if !piece.contains(char::is_alphanumeric) {
        return !piece.is_empty();
    }
    let is_first = !previous.contains(' ');
    let last = previous.rsplit(' ').next().unwrap_or(previous);
    let Some(word) = last
        .trim_start_matches(|c: char| !c.is_alphanumeric())
        .strip_suffix('.')
    else {
        return false;
    };
    let lower = word.to_lowercase();
    let is_number = piece.starts_with(|c: char| c.is_ascii_digit());
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
    let next: String = piece
        .chars()
        .skip_while(|c| !c.is_alphanumeric())
        .take_while(|c| c.is_alphanumeric())
        .collect();
    !SENTENCE_STARTERS.contains(&&*next.to_lowercase())
}

/// Splits a sentence that is too long, between words if possible.
fn split(sentence: String) -> Vec<String> {
    if sentence.len() <= MAX_BYTES {
        return vec![sentence];
    }
    let mut parts = Vec::new();
    let mut rest = &*sentence;
    while rest.len() > MAX_BYTES {
        let longest = &rest[..rest.floor_char_boundary(MAX_BYTES)];
        let part = longest.rfind(' ').map_or(longest, |space| &longest[..space]);
        parts.push(part.to_owned());
        rest = rest[part.len()..].trim_start();
    }
    parts.extend((!rest.is_empty()).then(|| rest.to_owned()));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

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
