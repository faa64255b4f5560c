//! Finds the JSON object in a completion: bare, in a code fence, or surrounded by prose.

use serde_json::{Deserializer, Map, Value};

/// The maximum number of `{` to parse from. Each attempt may read to the end of the text.
const MAX_CANDIDATES: usize = 64;

/// The JSON object in the completion: the longest if there are several.
pub(crate) fn find_object(completion: &str) -> Option<Map<String, Value>> {
    // Reasoning models may put drafts of the answer before `</think>`.
    let answer = completion
        .rsplit_once("</think>")
        .map_or(completion, |(_, answer)| answer)
        .trim();
    if let Ok(Value::Object(object)) = serde_json::from_str(answer) {
        return Some(object);
    }
    let mut longest: Option<(usize, Map<String, Value>)> = None;
    let mut from = 0;
    for _ in 0..MAX_CANDIDATES {
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
    fn object_is_found_bare_fenced_or_within_prose() {
        let object = json!({ "name": "Ada }{", "tags": [{ "a": 1 }] });
        let bare = object.to_string();
        for completion in [
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
                find_object(&completion).map(Value::Object),
                Some(object.clone()),
                "{completion}"
            );
        }
    }

    #[test]
    fn completion_without_an_object_gives_none() {
        for completion in [
            "",
            "No.",
            "{",
            "{name: Ada}",
            "[1, 2]",
            "\"{}\" is empty?{",
            "{\"name\": \"Ad",
        ] {
            let found = find_object(completion);
            assert!(found.is_none_or(|object| object.is_empty()), "{completion}");
        }
        assert_eq!(find_object(&"{".repeat(100_000)), None);
    }

    proptest! {
        #[test]
        fn no_completion_makes_it_panic(completion in "[{}\\[\\]\":,a1é`\\\\ ]{0,60}") {
            find_object(&completion);
        }
    }
}
