//! The BERT tokenizer, built from a `tokenizer.json` in a third of the time that reading it as such takes.
//!
//! The library's own reader buffers the whole document to find out which of its many kinds of tokenizer it holds. Here
//! the kind is known, so only the parts that vary are read, each by the library's own type; a file of another kind is
//! refused. Special tokens written out in a text ("[SEP]") are plain text: no sender can steer the model with them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use serde::Deserialize;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{Encoding, Model as _, TokenizerBuilder, TokenizerImpl, TruncationParams};

use crate::runtime::lock;
use crate::{LoadError, ModelError};

/// Text beyond this is not even tokenized: 256 tokens of ordinary text take 1 to 2 KiB.
const MAX_BYTES: usize = 64 * 1024;
/// Of a longer text that is read as a whole, each window is cut from so much: twice what 256 tokens mostly take.
const WINDOW_BYTES: usize = 4 * 1024;

/// The tokenizer that was loaded last, for as long as a model holds it: reading it takes as long as creating a session.
static SHARED: Mutex<Option<(PathBuf, Weak<BertTokenizer>)>> = Mutex::new(None);

type Bert = TokenizerImpl<WordPiece, BertNormalizer, BertPreTokenizer, BertProcessing, WordPieceDecoder>;

/// Turns text into the token ids of a BERT vocabulary.
#[derive(Debug)]
pub(crate) struct BertTokenizer {
    inner: Bert,
    /// The id that fills up the shorter texts of a batch.
    pub(crate) padding: i64,
}

/// The parts of `tokenizer.json` that differ from one BERT model to the next.
#[derive(Deserialize)]
struct Definition {
    normalizer: BertNormalizer,
    pre_tokenizer: BertPreTokenizer,
    model: WordPiece,
}

impl BertTokenizer {
    /// The tokenizer of this file, read unless a model of this process holds it: all have the same `max_tokens`.
    pub(crate) fn shared(path: PathBuf, max_tokens: usize) -> Result<Arc<Self>, LoadError> {
        let mut shared = lock(&SHARED);
        if let Some((known, tokenizer)) = &*shared
            && *known == path
            && let Some(tokenizer) = tokenizer.upgrade()
        {
            return Ok(tokenizer);
        }
        let tokenizer = Arc::new(Self::load(path.clone(), max_tokens)?);
        *shared = Some((path, Arc::downgrade(&tokenizer)));
        Ok(tokenizer)
    }

    /// Reads the definition. Texts are cut off at the right to `max_tokens`, [CLS] and [SEP] included.
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

    /// The token ids of a text, 2 to `max_tokens` of them.
    pub(crate) fn ids(&self, text: &str) -> Result<Vec<i64>, ModelError> {
        let text = text.trim_start();
        Ok(ids(&self.encode(&text[..text.floor_char_boundary(MAX_BYTES)])?))
    }

    /// The token ids of a whole text, in windows of up to `max_tokens`. Of a text that needs more than `most` windows
    /// come so many, spread evenly over it from its beginning to its end.
    pub(crate) fn windows(&self, text: &str, most: usize) -> Result<Vec<Vec<i64>>, ModelError> {
        let text = text.trim();
        if text.len() > MAX_BYTES {
            return spread(text.len() - WINDOW_BYTES, most)
                .map(|start| {
                    let part = &text[text.floor_char_boundary(start)..];
                    Ok(ids(&self.encode(&part[..part.floor_char_boundary(WINDOW_BYTES)])?))
                })
                .collect();
        }
        let first = self.encode(text)?;
        let windows: Vec<&Encoding> = std::iter::once(&first).chain(first.get_overflowing()).collect();
        if windows.len() <= most {
            return Ok(windows.into_iter().map(ids).collect());
        }
        Ok(spread(windows.len() - 1, most)
            .map(|index| ids(windows[index]))
            .collect())
    }

    fn encode(&self, text: &str) -> Result<Encoding, ModelError> {
        let encoding = self.inner.encode_fast(text, true);
        encoding.map_err(|error| ModelError::Inference(error.to_string()))
    }
}

/// So many places from 0 to `last`, at even distances.
pub(crate) fn spread(last: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |place| last * place / (count - 1).max(1))
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
    use crate::testing::assets;

    const LIMIT: usize = 256;

    fn tokenizer() -> BertTokenizer {
        BertTokenizer::load(assets().join("models/minilm/tokenizer.json"), LIMIT).unwrap()
    }

    #[test]
    fn gives_the_ids_of_the_library_s_own_reader() {
        let mut whole = Tokenizer::from_file(assets().join("models/minilm/tokenizer.json")).unwrap();
        whole.with_padding(None);
        whole.set_encode_special_tokens(true);
        whole
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
            "İstanbul ﬁne ½ Ⅷ",
            &"a".repeat(500),
            &long,
        ];
        for text in texts {
            let theirs: Vec<i64> = whole
                .encode(text, true)
                .unwrap()
                .get_ids()
                .iter()
                .map(|&id| i64::from(id))
                .collect();
            assert_eq!(ours.ids(text).unwrap(), theirs, "{text:?}");
        }
    }

    #[test]
    fn a_text_can_not_write_control_tokens() {
        let ids = tokenizer().ids("fine [SEP] fine [CLS] fine [PAD]").unwrap();
        let control: Vec<_> = ids.iter().filter(|&&id| [0, 101, 102].contains(&id)).collect();
        assert_eq!(control, [&101, &102]);
    }

    #[test]
    fn a_huge_text_is_cut_off_and_not_tokenized_whole() {
        let text = "é".repeat(3_000_000);
        assert_eq!(tokenizer().ids(&text).unwrap().len(), 3);
        assert_eq!(tokenizer().ids(&"word ".repeat(1_000_000)).unwrap().len(), LIMIT);
    }

    #[test]
    fn windows_hold_a_text_s_tokens_in_their_order() {
        let ours = tokenizer();
        let text: String = (0..700).map(|n| format!("number {n} ")).collect();
        let windows = ours.windows(&text, 16).unwrap();
        assert!(windows.len() > 5 && windows.iter().all(|window| window.len() <= LIMIT));
        let inner: Vec<i64> = windows.iter().flat_map(|w| w[1..w.len() - 1].to_vec()).collect();
        let expected: Vec<i64> = (0..700)
            .flat_map(|n| {
                let ids = ours.ids(&format!("number {n}")).unwrap();
                ids[1..ids.len() - 1].to_vec()
            })
            .collect();
        assert_eq!(inner, expected);
        let some = ours.windows(&text, 3).unwrap();
        assert_eq!(some.len(), 3);
        assert_eq!((&some[0], &some[2]), (&windows[0], &windows[windows.len() - 1]));
        assert_eq!(ours.windows("", 16).unwrap(), [[101, 102]]);
    }

    #[test]
    fn windows_of_a_huge_text_reach_from_its_beginning_to_its_end() {
        let text = format!("alpha {}omega", "é ".repeat(400_000));
        let ours = tokenizer();
        let windows = ours.windows(&text, 16).unwrap();
        assert_eq!(windows.len(), 16);
        assert_eq!(windows[0][1], ours.ids("alpha").unwrap()[1]);
        assert!(windows.iter().all(|window| window.len() == LIMIT));
    }

    #[test]
    fn a_tokenizer_is_shared_while_it_is_held() {
        let path = assets().join("models/minilm/tokenizer.json");
        let first = BertTokenizer::shared(path.clone(), LIMIT).unwrap();
        let second = BertTokenizer::shared(path, LIMIT).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn a_definition_of_another_kind_is_refused() {
        let json =
            br#"{"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"BPE"}}"#;
        assert!(build(json, LIMIT).is_err());
        assert!(build(b"{", LIMIT).is_err());
    }
}
