//! One task of each type with a real input, and a summary of its result in one line.

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

/// A task, which is one row of the demo.
pub(super) struct Example {
    pub(super) task_type: &'static str,
    /// The input, for people.
    pub(super) description: String,
    pub(super) input: Value,
    /// Summarizes the result. Absent if the result has an unexpected shape.
    pub(super) summarize: fn(&Value) -> Option<String>,
    /// Whether the stack needs a language model to complete the task.
    pub(super) needs_language_model: bool,
}

/// All examples, in the order of the documentation. The images and the recording are test data of the assets.
pub(super) fn all(assets: &Path) -> Result<Vec<Example>> {
    let text = |task_type, text: &str, more: Value, summarize| {
        let mut input = json!({ "text": text });
        if let (Value::Object(input), Value::Object(more)) = (&mut input, more) {
            input.extend(more);
        }
        Example {
            task_type,
            description: format!("\"{text}\""),
            input,
            summarize,
            needs_language_model: matches!(task_type, "translate" | "data_extraction"),
        }
    };
    let file = |task_type, field: &str, name: &str, summarize| -> Result<Example> {
        let path = assets.join("testdata").join(name);
        let content = fs::read(&path).with_context(|| format!("can't read {}", paths::display(&path)))?;
        Ok(Example {
            task_type,
            description: format!("{name}, {} kB", content.len() / 1000),
            input: json!({ field: STANDARD.encode(content) }),
            summarize,
            needs_language_model: false,
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
        text(
            "translate",
            LOVED,
            json!({ "target_language": "German" }),
            quoted_text,
        ),
        text(
            "data_extraction",
            INVOICE,
            json!({ "schema": { "name": "string", "amount": "integer" } }),
            |result| Some(result.get("fields")?.to_string()),
        ),
        file("face_detection", "image", "astronaut.png", faces)?,
        file("ocr", "image", "page.png", |result| {
            let lines = result["lines"].as_array()?.len();
            Some(format!("{lines} lines: {}", quoted_text(result)?))
        })?,
        file("transcribe", "audio", "beckett.wav", quoted_text)?,
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

fn quoted_text(result: &Value) -> Option<String> {
    quoted(&result["text"])
}

fn quoted(text: &Value) -> Option<String> {
    Some(format!("\"{}\"", text.as_str()?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summarized_and_unexpected_shapes_are_not() {
        let cases = [
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
            (quoted_text, json!({"text": " Hello. "}), "\"Hello.\""),
            (
                faces,
                json!({"count": 1, "faces": [{"box": {"x": 1, "y": 2, "width": 3, "height": 4}, "score": 0.5}]}),
                "1 face: 3 x 4 pixels at 1, 2, score 0.500",
            ),
        ];
        for (summarize, result, expected) in cases {
            assert_eq!(summarize(&result).as_deref(), Some(expected));
            assert_eq!(summarize(&json!({"other": 1})), None);
        }
    }
}
