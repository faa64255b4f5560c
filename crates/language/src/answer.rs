//! Finds the JSON object in what a model said: bare, in a code fence, or amid its talk.

use serde_json::{Deserializer, Map, Value};

/// So many places are tried at most: each try may read to the text's end.
const MAX_TRIES: usize = 64;

/// The object that the answer holds; the longest, where it holds several.
pub(crate) fn object_in(answer: &str) -> Option<Map<String, Value>> {
    // Some models think aloud first, with drafts of the answer in it.
    let answer = answer
        .rsplit_once("</think>")
        .map_or(answer, |(_, answer)| answer)
        .trim();
    if let Ok(Value::Object(object)) = serde_json::from_str(answer) {
        return Some(object);
    }
    let mut longest: Option<(usize, Map<String, Value>)> = None;
    let mut from = 0;
    for _ in 0..MAX_TRIES {
        let Some(start) = answer[from..].find('{').map(|at| from + at) else {
            break;
        };
        let mut values = Deserializer::from_str(&answer[start..]).into_iter::<Value>();
        let Some(Ok(Value::Object(object))) = values.next() else {
            from = start + 1;
            continue;
        };
        let length = values.byte_offset();
        if longest.as_ref().is_none_or(|(best, _)| length > *best) {
            longest = Some((length, object));
        }
        from = start + length;
    }
    longest.map(|(_, object)| object)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_found_wherever_it_stands() {
        let object = json!({ "name": "Ada }{", "tags": [{ "a": 1 }] });
        let bare = object.to_string();
        for answer in [
            bare.clone(),
            format!("\n {bare}\n"),
            format!("```json\n{bare}\n```"),
            format!("```\n{bare}```\nI hope this helps {{smile}}!"),
            format!("Sure! Here {{is}} the JSON: {bare} Let me know."),
            format!("The draft was {{}}; now: {bare}"),
            format!(
                "<think>maybe {{\"name\": \"a much longer draft than the answer, to be left out\"}}</think>{bare}"
            ),
        ] {
            assert_eq!(
                object_in(&answer).map(Value::Object),
                Some(object.clone()),
                "{answer}"
            );
        }
    }

    #[test]
    fn talk_without_an_object_holds_none() {
        for answer in [
            "",
            "No.",
            "{",
            "{name: Ada}",
            "[1, 2]",
            "\"{}\" is empty?{",
            "{\"name\": \"Ad",
        ] {
            let found = object_in(answer);
            assert!(found.is_none_or(|object| object.is_empty()), "{answer}");
        }
        assert_eq!(object_in(&"{".repeat(100_000)), None);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(answer in "[{}\\[\\]\":,a1é`\\\\ ]{0,60}") {
            object_in(&answer);
        }
    }
}
