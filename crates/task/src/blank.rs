//! Which texts say nothing.

/// Whether a text has no character that a reader sees, so that no model could find anything in it.
///
/// White space, control characters and private use characters are not seen, nor are the characters that Unicode calls default
/// ignorable: zero-width and direction marks, soft hyphens, variation selectors, fillers. A combining mark by itself is seen.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

fn is_invisible(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_private_use(c) || is_ignorable(c)
}

fn is_private_use(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}')
}

/// Unicode's property Default_Ignorable_Code_Point, the marks around ruby text, and the Braille pattern without dots.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex_syntax::hir::{Class, HirKind};

    use super::*;

    #[test]
    fn text_of_invisible_characters_is_blank() {
        for text in [
            "",
            " \r\n\t\u{a0}\u{2028}\u{3000}",
            "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}",
            "\u{ad}",
            "\0\u{1}\u{7f}\u{9f}",
            "\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}",
            "\u{fe00}\u{fe0f}\u{e0100}\u{e0041}",
            "\u{e000}\u{f8ff}\u{f0000}\u{10fffd}",
            " \u{200b}\n\u{ad} ",
        ] {
            assert!(is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn text_with_one_visible_character_is_not_blank() {
        for text in [
            "a",
            ".",
            "0",
            "\u{301}",
            "\u{1f642}",
            "\u{4e2d}",
            "\u{200b}a\u{200b}",
            "\u{202e}\u{5d0}",
            "\u{600}",
            "\u{fffd}",
        ] {
            assert!(!is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn invisible_characters_are_those_of_unicode_s_properties() {
        let pattern = regex_syntax::parse(
            r"[\p{White_Space}\p{Cc}\p{Co}\p{Default_Ignorable_Code_Point}\x{fff9}-\x{fffb}\x{2800}]",
        );
        let HirKind::Class(Class::Unicode(class)) = pattern.unwrap().into_kind() else {
            panic!("it is a class")
        };
        let mut ranges = class.iter();
        let mut range = ranges.next();
        for c in '\0'..=char::MAX {
            while range.is_some_and(|range| range.end() < c) {
                range = ranges.next();
            }
            let is_expected = range.is_some_and(|range| range.start() <= c);
            assert_eq!(is_invisible(c), is_expected, "U+{:04X}", u32::from(c));
        }
    }

    proptest! {
        #[test]
        fn text_is_blank_if_each_of_its_characters_is(text in ".{0,8}") {
            prop_assert_eq!(is_blank(&text), text.chars().all(|c| is_blank(c.encode_utf8(&mut [0; 4]))));
        }
    }
}
