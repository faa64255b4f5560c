//! A text's sentences: Unicode's sentence boundaries (UAX #29), mended where they are wrong in ordinary English prose.
//!
//! Unicode ends a sentence at every line break and after every full stop that a capital follows. Here instead
//! - a line break ends one only at an empty line, before a list item, or after a line too short to have been wrapped;
//! - a title ("Dr."), "No." before a number, an initial ("J.") or a list's number does not end one; an acronym ("U.S.") or "Inc." does only
//!   before a word that mostly begins a sentence;
//! - what goes on for 1,000 bytes without an end is cut between words, so that text without punctuation has parts too.

use unicode_segmentation::UnicodeSegmentation;

/// Lines this long, in characters, are taken for wrapped prose.
const WRAPPED_FROM: usize = 50;
/// Most bytes of a sentence; the longest that people write have about half.
const MAX_BYTES: usize = 1000;

/// Before a name, never at a sentence's end.
const BEFORE_NAMES: &[&str] = &[
    "mr", "mrs", "ms", "mx", "dr", "prof", "rev", "hon", "gen", "col", "lt", "sgt", "capt", "cmdr", "gov",
    "sen", "rep", "pres", "mt", "vs", "cf", "e.g", "i.e",
];
/// Before a number.
const BEFORE_NUMBERS: &[&str] = &[
    "approx", "ch", "fig", "figs", "no", "nos", "p", "pp", "vol", "jan", "feb", "apr", "aug", "sep", "sept",
    "oct", "nov", "dec",
];
/// Within a sentence or at its end: the next word tells.
const WITHIN_OR_LAST: &[&str] = &[
    "inc", "ltd", "co", "corp", "llc", "jr", "sr", "st", "al", "dept", "est", "univ", "bros", "ave",
];
/// Words that seldom follow an acronym unless they begin a sentence.
const BEGINNERS: &[&str] = &[
    "a", "after", "all", "an", "and", "as", "at", "because", "before", "but", "by", "during", "each", "even",
    "for", "from", "he", "her", "his", "how", "however", "i", "if", "in", "it", "its", "many", "most", "my",
    "now", "on", "our", "she", "since", "so", "that", "the", "their", "then", "there", "these", "they",
    "this", "we", "when", "you",
];

/// The sentences in their order, each on one line, with single spaces. None is empty.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for paragraph in paragraphs(text) {
        let start = found.len();
        for piece in paragraph.split_sentence_bounds().map(str::trim) {
            match found[start..].last_mut() {
                Some(before) if goes_on(before, piece) => {
                    before.push(' ');
                    before.push_str(piece);
                }
                _ if piece.is_empty() => {}
                _ => found.push(piece.to_owned()),
            }
        }
    }
    found.into_iter().flat_map(cut).collect()
}

/// The text without its wrapping: paragraphs, headings and list items, each on one line, with single spaces.
fn paragraphs(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut before = "";
    for line in text.lines().map(str::trim) {
        let words = line.split_whitespace();
        match found.last_mut() {
            Some(paragraph) if is_wrapped(before, line) => {
                for word in words {
                    paragraph.push(' ');
                    paragraph.push_str(word);
                }
            }
            _ if line.is_empty() => {}
            _ => found.push(words.collect::<Vec<_>>().join(" ")),
        }
        before = line;
    }
    found
}

/// Whether a line goes on with the sentence of the line before it.
fn is_wrapped(before: &str, line: &str) -> bool {
    let is_item = line.starts_with(['-', '*', '•', '#', '>'])
        || line
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .starts_with([')', '.']);
    let goes_on =
        line.starts_with(char::is_lowercase) || before.chars().nth(WRAPPED_FROM.saturating_sub(1)).is_some();
    !before.is_empty() && !line.is_empty() && !is_item && goes_on
}

/// Whether the full stop at the end of `before` does not end its sentence, or `piece` has nothing to say of its own.
fn goes_on(before: &str, piece: &str) -> bool {
    if !piece.contains(char::is_alphanumeric) {
        return !piece.is_empty();
    }
    let is_first = !before.contains(' ');
    let last = before.rsplit(' ').next().unwrap_or(before);
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
    // "J", "U.S", "Ph.D": letters in ones and twos with full stops between them.
    let most = if word.contains('.') { 2 } else { 1 };
    let is_acronym = word
        .split('.')
        .all(|part| part.chars().all(char::is_alphabetic) && (1..=most).contains(&part.chars().count()));
    if !is_acronym && !WITHIN_OR_LAST.contains(&&*lower) {
        return false;
    }
    let next: String = piece
        .chars()
        .skip_while(|c| !c.is_alphanumeric())
        .take_while(|c| c.is_alphanumeric())
        .collect();
    !BEGINNERS.contains(&&*next.to_lowercase())
}

/// Cuts a sentence that is too long to be one, between words if there are any.
fn cut(sentence: String) -> Vec<String> {
    if sentence.len() <= MAX_BYTES {
        return vec![sentence];
    }
    let mut parts = Vec::new();
    let mut rest = &*sentence;
    while rest.len() > MAX_BYTES {
        let most = &rest[..rest.floor_char_boundary(MAX_BYTES)];
        let part = most.rfind(' ').map_or(most, |space| &most[..space]);
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
    fn a_full_stop_within_a_sentence_does_not_end_it() {
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
    fn wrapped_lines_are_joined_and_headings_and_items_stand_alone() {
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
    fn text_without_an_end_is_cut_and_nothing_is_lost() {
        let words = "word ".repeat(5000);
        let parts = sentences(&words);
        assert!(parts.iter().all(|part| part.len() <= MAX_BYTES));
        assert_eq!(parts.join(" "), words.trim());
        let one = "é".repeat(5000);
        assert_eq!(sentences(&one).concat(), one);
    }

    #[test]
    fn a_megabyte_without_sense_is_split_all_the_same() {
        for pattern in ["Mr. ", "A. 1 ", ". ", "a.A", "\n", "x\n", "\"Oh!\" ", "! ", "1. "] {
            let text = pattern.repeat(1_000_000 / pattern.len());
            let longest = sentences(&text).iter().map(String::len).max();
            assert!(longest.unwrap_or(0) <= MAX_BYTES, "{pattern:?}");
        }
    }

    #[test]
    fn what_is_no_prose_is_still_taken() {
        assert_eq!(sentences(""), [""; 0]);
        assert_eq!(sentences(" \n\t "), [""; 0]);
        assert_eq!(sentences("🙂🙂"), ["🙂🙂"]);
        assert_eq!(sentences("Great! 🙂 !!"), ["Great! 🙂 !!"]);
        assert_eq!(sentences("..."), ["..."]);
    }
}
