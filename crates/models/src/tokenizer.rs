//! The BERT tokenizer, built from a `tokenizer.json` in a third of the time that reading it as such takes.
//!
//! The library's own reader buffers the whole document to find out which of its many kinds of tokenizer it holds. Here
//! the kind is known, so only the parts that vary are read, each by the library's own type; a file of another kind is
//! refused. Special tokens written out in a text ("[SEP]") are plain text: no sender can steer the model with them.

use std::path::PathBuf;

use serde::Deserialize;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{Model as _, TokenizerBuilder, TokenizerImpl, TruncationParams};

use crate::{LoadError, ModelError};

/// Text beyond this is not even tokenized: 256 tokens of ordinary text take 1 to 2 KiB.
const MAX_BYTES: usize = 64 * 1024;

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
        let text = &text[..text.floor_char_boundary(MAX_BYTES)];
        let encoding = self.inner.encode_fast(text, true);
        let encoding = encoding.map_err(|error| ModelError::Inference(error.to_string()))?;
        Ok(encoding.get_ids().iter().map(|&id| i64::from(id)).collect())
    }
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
        BertTokenizer::load(assets().join("models/sentiment/tokenizer.json"), LIMIT).unwrap()
    }

    #[test]
    fn gives_the_ids_of_the_library_s_own_reader() {
        let mut whole = Tokenizer::from_file(assets().join("models/sentiment/tokenizer.json")).unwrap();
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
    fn a_definition_of_another_kind_is_refused() {
        let json =
            br#"{"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"BPE"}}"#;
        assert!(build(json, LIMIT).is_err());
        assert!(build(b"{", LIMIT).is_err());
    }
}
