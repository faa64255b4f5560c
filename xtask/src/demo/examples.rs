//! One task of each type, on real input, and how its answer is told in a line.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::paths;

const LOVED: &str = "I loved every minute of it: warm, funny and beautifully played.";
const MATCH: &str = "The goalkeeper saved a penalty in the last minute and sent them to the final.";
const NOTICE: &str = "The museum opens its new wing on Saturday. Visitors will see four hundred paintings, most of them \
    never shown before. The cloakroom has been painted green. Admission is free on the first weekend. Somebody left an \
    umbrella at the desk.";
const INVOICE: &str = "Please pay 480 euros to Anna Weber by Friday.";

/// One row of the demo.
pub(super) struct Example {
    pub(super) task_type: &'static str,
    /// What it is asked of.
    pub(super) of: String,
    pub(super) input: Value,
    /// Tells its result in a few words.
    pub(super) answer: fn(&Value) -> Option<String>,
    /// Whether a language model has to be set up for it.
    pub(super) asks_language_model: bool,
}

/// In the order of the documentation; images and the recording are the test data of `assets`.
pub(super) fn all(assets: &Path) -> Result<Vec<Example>> {
    let text = |task_type, text: &str, more: Value, answer| {
        let mut input = json!({ "text": text });
        if let (Value::Object(input), Value::Object(more)) = (&mut input, more) {
            input.extend(more);
        }
        Example {
            task_type,
            of: format!("\"{text}\""),
            input,
            answer,
            asks_language_model: matches!(task_type, "translate" | "data_extraction"),
        }
    };
    let file = |task_type, field: &str, name: &str, answer| -> Result<Example> {
        let path = assets.join("testdata").join(name);
        let content = fs::read(&path).with_context(|| format!("can't read {}", paths::shown(&path)))?;
        Ok(Example {
            task_type,
            of: format!("{name}, {} kB", content.len() / 1000),
            input: json!({ field: STANDARD.encode(content) }),
            answer,
            asks_language_model: false,
        })
    };
    Ok(vec![
        text("sentiment", LOVED, json!({}), label),
        text(
            "classify",
            MATCH,
            json!({ "labels": ["sports", "cooking", "politics"] }),
            label,
        ),
        text("embed", LOVED, json!({}), embedding),
        text("summarize", NOTICE, json!({ "max_sentences": 1 }), |result| {
            quoted(&result["summary"])
        }),
        text("translate", LOVED, json!({ "target_language": "German" }), words),
        text(
            "data_extraction",
            INVOICE,
            json!({ "schema": { "name": "string", "amount": "integer" } }),
            |result| Some(result.get("fields")?.to_string()),
        ),
        file("face_detection", "image", "astronaut.png", faces)?,
        file("ocr", "image", "page.png", |result| {
            let lines = result["lines"].as_array()?.len();
            Some(format!("{lines} lines: {}", words(result)?))
        })?,
        file("transcribe", "audio", "beckett.wav", words)?,
    ])
}

fn label(result: &Value) -> Option<String> {
    let score = result["score"].as_f64()?;
    Some(format!("{} with score {score:.3}", result["label"].as_str()?))
}

fn embedding(result: &Value) -> Option<String> {
    let embedding = result["embeddings"][0].as_array()?;
    let first = embedding.first()?.as_f64()?;
    Some(format!("{} numbers: {first:.3}, ...", embedding.len()))
}

fn faces(result: &Value) -> Option<String> {
    let face = &result["faces"][0];
    let [x, y, width, height] = ["x", "y", "width", "height"].map(|side| face["box"][side].as_f64());
    Some(format!(
        "{} face: {:.0} x {:.0} pixels at {:.0}, {:.0}, score {:.3}",
        result["count"].as_u64()?,
        width?,
        height?,
        x?,
        y?,
        face["score"].as_f64()?
    ))
}

fn words(result: &Value) -> Option<String> {
    quoted(&result["text"])
}

fn quoted(text: &Value) -> Option<String> {
    Some(format!("\"{}\"", text.as_str()?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_in_a_line_and_a_foreign_shape_is_none() {
        let said = [
            (
                label as fn(&Value) -> _,
                json!({"label": "sports", "score": 0.91}),
                "sports with score 0.910",
            ),
            (
                embedding,
                json!({"embeddings": [[0.25, 0.5]]}),
                "2 numbers: 0.250, ...",
            ),
            (words, json!({"text": " Hello. "}), "\"Hello.\""),
            (
                faces,
                json!({"count": 1, "faces": [{"box": {"x": 1, "y": 2, "width": 3, "height": 4}, "score": 0.5}]}),
                "1 face: 3 x 4 pixels at 1, 2, score 0.500",
            ),
        ];
        for (tell, result, expected) in said {
            assert_eq!(tell(&result).as_deref(), Some(expected));
            assert_eq!(tell(&json!({"other": 1})), None);
        }
    }
}
