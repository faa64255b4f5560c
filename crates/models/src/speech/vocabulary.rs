//! Whisper's tokens, from `vocabulary.json`, which `models/whisper.py` builds.

use std::path::PathBuf;

use serde::Deserialize;

use crate::LoadError;

/// The seconds from one timestamp to the next.
const TIMESTAMP: f32 = 0.02;

#[derive(Debug, Deserialize)]
pub(super) struct Vocabulary {
    /// The text tokens by their number, in the alphabet of byte-level BPE.
    text: Vec<String>,
    pub(super) end: usize,
    pub(super) start: usize,
    /// The language codes, whose tokens follow `start`. Empty for a model of English only.
    pub(super) languages: Vec<String>,
    pub(super) transcribe: usize,
    pub(super) no_speech: usize,
    pub(super) no_timestamps: usize,
    pub(super) first_timestamp: usize,
    /// Tokens that a transcript never contains: brackets, musical notes, task tokens.
    pub(super) suppress: Vec<usize>,
    /// Tokens that a transcript never starts with.
    pub(super) suppress_at_start: Vec<usize>,
}

impl Vocabulary {
    /// The number of timestamps. The last one is 30 seconds.
    const TIMESTAMPS: usize = 1_501;

    pub(super) fn load(path: PathBuf) -> Result<Self, LoadError> {
        let file = std::fs::read(&path).map_err(|source| LoadError::Read {
            path: path.clone(),
            source,
        })?;
        let damaged = |reason: String| LoadError::Tokenizer {
            path: path.clone(),
            reason,
        };
        let vocabulary: Self = serde_json::from_slice(&file).map_err(|error| damaged(error.to_string()))?;
        let ordered = vocabulary.text.len() == vocabulary.end
            && vocabulary.end < vocabulary.start
            && vocabulary.start + vocabulary.languages.len() < vocabulary.transcribe
            && vocabulary.transcribe < vocabulary.no_speech
            && vocabulary.no_speech < vocabulary.no_timestamps
            && vocabulary.no_timestamps < vocabulary.first_timestamp;
        let known = |tokens: &[usize]| tokens.iter().all(|&token| token < vocabulary.first_timestamp);
        if ordered && known(&vocabulary.suppress) && known(&vocabulary.suppress_at_start) {
            Ok(vocabulary)
        } else {
            Err(damaged("its tokens are not in the expected order".into()))
        }
    }

    /// The number of tokens of all kinds.
    pub(super) fn len(&self) -> usize {
        self.first_timestamp + Self::TIMESTAMPS
    }

    pub(super) fn is_text(&self, token: usize) -> bool {
        token < self.end
    }

    pub(super) fn is_timestamp(&self, token: usize) -> bool {
        token >= self.first_timestamp
    }

    /// The time of a timestamp, in seconds from the window's start.
    pub(super) fn seconds(&self, timestamp: usize) -> f32 {
        (timestamp - self.first_timestamp) as f32 * TIMESTAMP
    }

    /// The text of the tokens. Tokens that are not text are skipped, and invalid UTF-8 (a split character) is replaced.
    pub(super) fn text(&self, tokens: &[usize]) -> String {
        let characters = tokens.iter().filter_map(|&token| self.text.get(token));
        let bytes: Vec<u8> = characters
            .flat_map(|text| text.chars())
            .filter_map(byte)
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The inverse of GPT-2's `bytes_to_unicode`. Printable characters of Latin-1 represent themselves, and the characters from
/// 256 on all other bytes.
fn byte(character: char) -> Option<u8> {
    match u32::from(character) {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(code as u8),
        code @ 256..=288 => Some((code - 256) as u8),
        code @ 289..=322 => Some((code - 289 + 0x7f) as u8),
        323 => Some(0xad),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::testing::assets;

    fn load(variant: &str) -> Vocabulary {
        Vocabulary::load(
            assets()
                .join("models/whisper")
                .join(variant)
                .join("vocabulary.json"),
        )
        .unwrap()
    }

    #[test]
    fn every_byte_has_a_character() {
        let bytes: HashSet<u8> = (0..=400).filter_map(char::from_u32).filter_map(byte).collect();
        assert_eq!(bytes.len(), 256);
        assert_eq!(
            ['Ġ', 'Ċ', 'a', 'é'].map(byte),
            [b' ', b'\n', b'a', 0xe9].map(Some)
        );
    }

    #[test]
    fn both_vocabularies_have_the_expected_tokens() {
        let (base, tiny) = (load("base"), load("tiny.en"));
        assert_eq!((base.len(), tiny.len()), (51_865, 51_864));
        assert_eq!(base.languages.len(), 99);
        assert!(tiny.languages.is_empty());
        assert_eq!(base.seconds(base.len() - 1), 30.0);
    }

    #[test]
    fn multibyte_character_is_joined_from_its_tokens() {
        let base = load("base");
        let token = |text: &str| base.text.iter().position(|token| token == text).unwrap();
        let tokens = [token("Ġcaf"), token("Ã©"), base.end, base.first_timestamp];
        assert_eq!(base.text(&tokens), " café");
        assert_eq!(base.text(&[token("Ã")]), "\u{fffd}");
    }
}
