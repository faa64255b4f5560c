//! What Whisper's tokens mean: `vocabulary.json`, which `models/whisper.py` makes.

use std::path::PathBuf;

use serde::Deserialize;

use crate::LoadError;

/// Seconds from one timestamp to the next.
const TIMESTAMP: f32 = 0.02;

#[derive(Debug, Deserialize)]
pub(super) struct Vocabulary {
    /// Tokens of text by their number, in the alphabet of byte-level BPE.
    text: Vec<String>,
    pub(super) end: usize,
    pub(super) start: usize,
    /// Codes of the languages; their tokens follow `start`. Empty if the model knows English alone.
    pub(super) languages: Vec<String>,
    pub(super) transcribe: usize,
    pub(super) no_speech: usize,
    pub(super) no_timestamps: usize,
    pub(super) first_timestamp: usize,
    /// Tokens that are never spoken: brackets, notes, what opens a task.
    pub(super) suppress: Vec<usize>,
    /// Tokens that no transcript starts with.
    pub(super) suppress_at_start: Vec<usize>,
}

impl Vocabulary {
    /// The last of the timestamps stands for 30 seconds.
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
            Err(damaged("its tokens are not where they should be".into()))
        }
    }

    /// How many tokens there are in all.
    pub(super) fn len(&self) -> usize {
        self.first_timestamp + Self::TIMESTAMPS
    }

    pub(super) fn is_text(&self, token: usize) -> bool {
        token < self.end
    }

    pub(super) fn is_timestamp(&self, token: usize) -> bool {
        token >= self.first_timestamp
    }

    /// The seconds that a timestamp stands for.
    pub(super) fn seconds(&self, timestamp: usize) -> f32 {
        (timestamp - self.first_timestamp) as f32 * TIMESTAMP
    }

    /// The tokens' text; what is not text is left out, and what is no UTF-8 (a character cut in two) replaced.
    pub(super) fn text(&self, tokens: &[usize]) -> String {
        let characters = tokens.iter().filter_map(|&token| self.text.get(token));
        let bytes: Vec<u8> = characters
            .flat_map(|text| text.chars())
            .filter_map(byte)
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// GPT-2's `bytes_to_unicode` read backwards: printable characters of Latin-1 stand for themselves, all other bytes for
/// the characters from 256 on.
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
    fn every_byte_has_its_character() {
        let bytes: HashSet<u8> = (0..=400).filter_map(char::from_u32).filter_map(byte).collect();
        assert_eq!(bytes.len(), 256);
        assert_eq!(
            ['Ġ', 'Ċ', 'a', 'é'].map(byte),
            [b' ', b'\n', b'a', 0xe9].map(Some)
        );
    }

    #[test]
    fn both_vocabularies_are_what_they_should_be() {
        let (base, tiny) = (load("base"), load("tiny.en"));
        assert_eq!((base.len(), tiny.len()), (51_865, 51_864));
        assert_eq!(base.languages.len(), 99);
        assert!(tiny.languages.is_empty());
        assert_eq!(base.seconds(base.len() - 1), 30.0);
    }

    #[test]
    fn text_of_several_bytes_a_character_is_joined_from_its_tokens() {
        let base = load("base");
        let token = |text: &str| base.text.iter().position(|token| token == text).unwrap();
        let tokens = [token("Ġcaf"), token("Ã©"), base.end, base.first_timestamp];
        assert_eq!(base.text(&tokens), " café");
        assert_eq!(base.text(&[token("Ã")]), "\u{fffd}");
    }
}
