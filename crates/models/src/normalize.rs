//! The form in which the text models read a text: as plain letters, however it was typed or set.

use std::cell::Cell;

use unicode_normalization::UnicodeNormalization;

use crate::unicode::is_ignorable;
use crate::{ModelError, Steps};

/// The text in NFKC, the first `max_bytes` bytes of it, without ignorable characters and white space at its beginning.
///
/// NFKC replaces ligatures, mathematical alphabets and full-width letters by the letters that they stand for, which are what
/// the models were trained on. The number of steps is linear in the text's length: NFKC sorts the marks on a letter, so more
/// than 30 marks are sorted in parts ([UAX #15], stream-safe text format), and no character has more than 18 in NFKC.
///
/// [UAX #15]: https://www.unicode.org/reports/tr15/
///
/// # Errors
/// [`ModelError::Interrupted`] by the interrupt of `steps`.
pub fn normalize(text: &str, max_bytes: usize, steps: &Steps<'_>) -> Result<String, ModelError> {
    let stopped = Cell::new(None);
    let read = text.chars().map_while(|c| match steps.take(1) {
        Ok(()) => Some(c),
        Err(error) => {
            stopped.set(Some(error));
            None
        }
    });
    let mut normalized = String::with_capacity(text.len().min(max_bytes));
    for c in read.filter(|&c| !is_ignorable(c)).stream_safe().nfkc() {
        if normalized.is_empty() && c.is_whitespace() {
            continue;
        }
        if normalized.len() + c.len_utf8() > max_bytes {
            break;
        }
        steps.take(1)?;
        normalized.push(c);
    }
    match stopped.take() {
        Some(error) => Err(error),
        None => Ok(normalized),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::uninterrupted;

    fn normalized(text: &str, max_bytes: usize) -> String {
        normalize(text, max_bytes, &uninterrupted()).unwrap()
    }

    #[test]
    fn letters_in_another_shape_become_plain() {
        for (text, plain) in [
            ("A terri\u{fb01}c \u{fb01}lm", "A terrific film"),
            (
                "\u{1d5ea}\u{1d5fc}\u{1d5ff}\u{1d600}\u{1d601} \u{ff30}\u{ff48}\u{ff4f}\u{ff4e}\u{ff45}",
                "Worst Phone",
            ),
            ("cafe\u{301}", "caf\u{e9}"),
            ("plain, as typed.\r\n", "plain, as typed.\r\n"),
        ] {
            assert_eq!(normalized(text, usize::MAX), plain);
        }
    }

    #[test]
    fn ignorable_characters_are_dropped() {
        let text = "\u{feff}\u{200b} ter\u{ad}ri\u{200d}ble\u{fe0f}\u{202e}";
        assert_eq!(normalized(text, usize::MAX), "terrible");
        // The limit counts what is left.
        let hidden = format!("{} {}word", "\u{200b}".repeat(300_000), " ".repeat(300_000));
        assert_eq!(normalized(&hidden, 4), "word");
    }

    #[test]
    fn result_is_cut_between_characters() {
        assert_eq!(normalized("\u{fdfa}", 5), "\u{635}\u{644}");
        assert_eq!(normalized("caf\u{e9}", 4), "caf");
    }
}
