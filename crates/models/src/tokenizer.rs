//! The BERT tokenizer, built from a `tokenizer.json` in a third of the time that the library's own reader takes.
//!
//! That reader buffers the whole document to detect which kind of tokenizer it defines. Here the kind is known, so only the
//! parts that vary are parsed, each as the library's own type. A file of another kind is refused. Special tokens in a text
//! ("[SEP]") are plain text, so a sender can't control the model with them.
//!
//! Every text is normalized here, so that no caller can forget it, and cut before the library reads it. For each character
//! of a word of up to 100, the library looks up to 100 substrings in its vocabulary; a longer word is one unknown token.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use serde::Deserialize;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{Encoding, Model as _, TokenizerBuilder, TokenizerImpl, TruncationParams};

use crate::normalize::normalize;
use crate::runtime::lock;
use crate::{LoadError, ModelError, Steps};

/// The maximum length of a normalized text to tokenize, in bytes: 256 tokens of ordinary text have 1 to 2 KiB.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
/// The bytes from which each window of a longer text is cut: twice what 256 tokens usually have.
const WINDOW_BYTES: usize = 4 * 1024;

/// The last tokenizer, while a model uses it. Loading it takes as long as creating a session.
static SHARED: Mutex<Option<(PathBuf, Weak<BertTokenizer>)>> = Mutex::new(None);

type Bert = TokenizerImpl<WordPiece, BertNormalizer, BertPreTokenizer, BertProcessing, WordPieceDecoder>;

/// Turns text into the token ids of a BERT vocabulary.
#[derive(Debug)]
pub(crate) struct BertTokenizer {
    inner: Bert,
    /// The id that pads the shorter texts of a batch.
    pub(crate) padding: i64,
}

/// The parts of `tokenizer.json` that differ between BERT models.
#[derive(Deserialize)]
struct Definition {
    normalizer: BertNormalizer,
    pre_tokenizer: BertPreTokenizer,
    model: WordPiece,
}

impl BertTokenizer {
    /// The tokenizer of this file, loaded unless a model of this process uses it. All callers pass the same `max_tokens`.
    pub(crate) fn shared(path: PathBuf, max_tokens: usize) -> Result<Arc<Self>, LoadError> {
        let mut shared = lock(&SHARED);
        if let Some((shared_path, tokenizer)) = &*shared
            && *shared_path == path
            && let Some(tokenizer) = tokenizer.upgrade()
        {
            return Ok(tokenizer);
        }
        let tokenizer = Arc::new(Self::load(path.clone(), max_tokens)?);
        *shared = Some((path, Arc::downgrade(&tokenizer)));
        Ok(tokenizer)
    }

    /// Parses the definition. Texts are truncated at the end to `max_tokens`, [CLS] and [SEP] included.
    pub(crate) fn load(path: PathBuf, max_tokens: usize) -> Result<Self, LoadError> {
        let json = std::fs::read(&path).map_err(|source| LoadError::Read {
            path: path.clone(),
            source,
        })?;
        build(&json, max_tokens).map_err(|error| LoadError::Tokenizer {
            path,
            reason: error.to_string(),
        })
    }

    /// The token ids of a text: 2 to `max_tokens` of them.
    pub(crate) fn ids(&self, text: &str, steps: &Steps<'_>) -> Result<Vec<i64>, ModelError> {
        Ok(ids(&self.encode(&normalize(text, MAX_BYTES, steps)?, steps)?))
    }

    /// The token ids of a whole text, in windows of up to `max_tokens`. A text that needs more than `max_windows` gives that
    /// many, spread evenly from its beginning to its end.
    pub(crate) fn windows(
        &self,
        text: &str,
        max_windows: usize,
        steps: &Steps<'_>,
    ) -> Result<Vec<Vec<i64>>, ModelError> {
        let text = normalize(text, usize::MAX, steps)?;
        let text = text.trim_end();
        if text.len() > MAX_BYTES {
            return spread(text.len() - WINDOW_BYTES, max_windows)
                .map(|start| {
                    let part = &text[text.floor_char_boundary(start)..];
                    Ok(ids(&self.encode(
                        &part[..part.floor_char_boundary(WINDOW_BYTES)],
                        steps,
                    )?))
                })
                .collect();
        }
        let first = self.encode(text, steps)?;
        let windows: Vec<&Encoding> = std::iter::once(&first).chain(first.get_overflowing()).collect();
        if windows.len() <= max_windows {
            return Ok(windows.into_iter().map(ids).collect());
        }
        Ok(spread(windows.len() - 1, max_windows)
            .map(|index| ids(windows[index]))
            .collect())
    }

    /// Tokenizes a normalized text of up to [`MAX_BYTES`].
    fn encode(&self, normalized: &str, steps: &Steps<'_>) -> Result<Encoding, ModelError> {
        debug_assert!(normalized.len() <= MAX_BYTES);
        steps.take(normalized.len())?;
        let encoding = self.inner.encode_fast(normalized, true);
        encoding.map_err(|error| ModelError::Inference(error.to_string()))
    }
}

/// `count` indices from 0 to `last`, evenly spaced.
pub(crate) fn spread(last: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| last * index / (count - 1).max(1))
}

fn ids(encoding: &Encoding) -> Vec<i64> {
    encoding.get_ids().iter().map(|&id| i64::from(id)).collect()
}

fn build(json: &[u8], max_tokens: usize) -> tokenizers::Result<BertTokenizer> {
    let Definition {
        normalizer,
        pre_tokenizer,
        model,
    } = serde_json::from_slice(json)?;
    let special = |token: &str| match model.token_to_id(token) {
        Some(id) => Ok((token.to_owned(), id)),
        None => Err(format!("its vocabulary lacks {token}")),
    };
    let (_, padding) = special("[PAD]")?;
    let processing = BertProcessing::new(special("[SEP]")?, special("[CLS]")?);
    let mut inner = TokenizerBuilder::new()
        .with_normalizer(Some(normalizer))
        .with_pre_tokenizer(Some(pre_tokenizer))
        .with_model(model)
        .with_post_processor(Some(processing))
        .with_decoder(Some(WordPieceDecoder::default()))
        .build()?;
    inner.with_truncation(Some(TruncationParams {
        max_length: max_tokens,
        ..Default::default()
    }))?;
    Ok(BertTokenizer {
        inner,
        padding: i64::from(padding),
    })
}

#[cfg(test)]
mod tests {
    use tokenizers::Tokenizer;

    use super::*;
    use crate::steps::uninterrupted;
    use crate::testing::assets;

    const LIMIT: usize = 256;

    struct TestTokenizer(BertTokenizer);

    impl TestTokenizer {
        fn ids(&self, text: &str) -> Vec<i64> {
            self.0.ids(text, &uninterrupted()).unwrap()
        }

        fn windows(&self, text: &str, max_windows: usize) -> Vec<Vec<i64>> {
            self.0.windows(text, max_windows, &uninterrupted()).unwrap()
        }
    }

    fn tokenizer() -> TestTokenizer {
        let path = assets().join("models/minilm/tokenizer.json");
        TestTokenizer(BertTokenizer::load(path, LIMIT).unwrap())
    }

    #[test]
    fn ids_match_the_library_s_own_reader() {
        let mut reference = Tokenizer::from_file(assets().join("models/minilm/tokenizer.json")).unwrap();
        reference.with_padding(None);
        reference.set_encode_special_tokens(true);
        reference
            .with_truncation(Some(TruncationParams {
                max_length: LIMIT,
                ..Default::default()
            }))
            .unwrap();
        let ours = tokenizer();
        let long = "An unbelievably long-winded sentence, again. ".repeat(200);
        let texts = [
            "I love this, really!",
            "",
            "   \t\n ",
            "Café naïve ÅNGSTRÖM \u{301}",
            "中文字符 mixed with English",
            "🙂🙃 ok???...",
            "null\0byte \u{fffd} \u{200b} control\u{7}",
            "[CLS] and [SEP] [MASK] typed by hand",
            "supercalifragilisticexpialidocious",
            "İstanbul",
            &"a".repeat(500),
            &long,
        ];
        for text in texts {
            let theirs: Vec<i64> = reference
                .encode(text, true)
                .unwrap()
                .get_ids()
                .iter()
                .map(|&id| i64::from(id))
                .collect();
            assert_eq!(ours.ids(text), theirs, "{text:?}");
        }
    }

    #[test]
    fn letters_in_another_shape_have_the_tokens_of_plain_ones() {
        let ours = tokenizer();
        for (text, plain) in [
            ("a terri\u{fb01}c \u{fb01}lm", "a terrific film"),
            ("\u{1d5ea}\u{1d5fc}\u{1d5ff}\u{1d600}\u{1d601}", "worst"),
            ("\u{ff30}hone", "phone"),
            ("ter\u{ad}ri\u{200b}b\u{2060}le\u{fe0f}", "terrible"),
            ("\u{2167} \u{bd}", "viii 1\u{2044}2"),
        ] {
            assert_eq!(ours.ids(text), ours.ids(plain), "{text}");
            assert_eq!(ours.windows(text, 8), ours.windows(plain, 8), "{text}");
        }
    }

    #[test]
    fn text_can_not_contain_control_tokens() {
        let ids = tokenizer().ids("fine [SEP] fine [CLS] fine [PAD]");
        let control: Vec<_> = ids.iter().filter(|&&id| [0, 101, 102].contains(&id)).collect();
        assert_eq!(control, [&101, &102]);
    }

    #[test]
    fn huge_text_is_truncated_before_tokenization() {
        let text = "é".repeat(3_000_000);
        assert_eq!(tokenizer().ids(&text).len(), 3);
        assert_eq!(tokenizer().ids(&"word ".repeat(1_000_000)).len(), LIMIT);
    }

    #[test]
    fn windows_have_the_text_s_tokens_in_order() {
        let ours = tokenizer();
        let text: String = (0..700).map(|n| format!("number {n} ")).collect();
        let windows = ours.windows(&text, 16);
        assert!(windows.len() > 5 && windows.iter().all(|window| window.len() <= LIMIT));
        let inner: Vec<i64> = windows.iter().flat_map(|w| w[1..w.len() - 1].to_vec()).collect();
        let expected: Vec<i64> = (0..700)
            .flat_map(|n| {
                let ids = ours.ids(&format!("number {n}"));
                ids[1..ids.len() - 1].to_vec()
            })
            .collect();
        assert_eq!(inner, expected);
        let some = ours.windows(&text, 3);
        assert_eq!(some.len(), 3);
        assert_eq!((&some[0], &some[2]), (&windows[0], &windows[windows.len() - 1]));
        assert_eq!(ours.windows("", 16), [[101, 102]]);
    }

    #[test]
    fn windows_of_a_huge_text_span_it() {
        let text = format!("alpha {}omega", "é ".repeat(400_000));
        let ours = tokenizer();
        let windows = ours.windows(&text, 16);
        assert_eq!(windows.len(), 16);
        assert_eq!(windows[0][1], ours.ids("alpha")[1]);
        assert!(windows.iter().all(|window| window.len() == LIMIT));
    }

    #[test]
    fn tokenizer_is_shared_while_it_is_in_use() {
        let path = assets().join("models/minilm/tokenizer.json");
        let first = BertTokenizer::shared(path.clone(), LIMIT).unwrap();
        let second = BertTokenizer::shared(path, LIMIT).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn definition_of_another_kind_is_refused() {
        let json =
            br#"{"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"BPE"}}"#;
        assert!(build(json, LIMIT).is_err());
        assert!(build(b"{", LIMIT).is_err());
    }
}
