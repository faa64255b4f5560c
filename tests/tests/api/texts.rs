//! Classification, embeddings and summaries.

use mesh_tests::Api;
use serde_json::{Value, json};

const STORY: &str = "The harbour froze over in the first week of January. Ferries stayed at their berths, and the fish \
                     market closed for want of fish. Engineers flew in an icebreaker's crew from the north. My cousin \
                     collects stamps from every country that begins with a vowel. By Sunday a channel was open, and \
                     the first ferry left the frozen harbour behind the icebreaker.";

fn embeddings(result: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(result["embeddings"].clone()).unwrap_or_else(|error| panic!("{error}: {result}"))
}

fn cosine(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[test]
fn a_text_gets_the_label_that_fits_it() {
    let api = Api::new();
    let text = "The goalkeeper saved a penalty in the last minute of the final.";
    let given = json!({ "text": text, "labels": ["cooking", "sports", "banking"] });
    let ids = [given, json!({ "text": text })].map(|input| api.submit("classify", input, &[]));
    for (id, count) in ids.iter().zip([3, 12]) {
        let result = api.result(id);
        assert_eq!(result["label"], "sports", "{result}");
        let scores = result["scores"].as_array().expect("scores are a list");
        assert_eq!(scores.len(), count, "{result}");
        assert_eq!(
            (&scores[0]["label"], &scores[0]["score"]),
            (&json!("sports"), &result["score"])
        );
        let sum: f64 = scores.iter().filter_map(|one| one["score"].as_f64()).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{result}");
    }
}

#[test]
fn with_several_labels_each_has_a_score_of_its_own() {
    let api = Api::new();
    let input = json!({
        "text": "The bank lent the football club the money for a new stadium.",
        "labels": ["football", "banking", "gardening"],
        "multi_label": true,
    });
    let result = api.result(&api.submit("classify", input, &[]));
    let score = |label: &str| {
        let scores = result["scores"].as_array().expect("scores are a list");
        scores
            .iter()
            .find(|one| one["label"] == label)
            .and_then(|one| one["score"].as_f64())
    };
    assert!(score("football") > Some(0.5), "{result}");
    assert!(score("gardening") < Some(0.5), "{result}");
}

#[test]
fn texts_with_the_same_meaning_have_similar_embeddings() {
    let api = Api::new();
    let texts = [
        "The cat sleeps on the sofa.",
        "A kitten is dozing on the couch.",
        "Interest rates rose again.",
    ];
    let found = embeddings(&api.result(&api.submit("embed", json!({ "texts": texts }), &[])));
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [384; 3]);
    assert!(cosine(&found[0], &found[1]) > cosine(&found[0], &found[2]) + 0.3);
    assert!(
        (cosine(&found[0], &found[0]) - 1.0).abs() < 1e-3,
        "the length is 1"
    );
    let alone = embeddings(&api.result(&api.submit("embed", json!({ "text": texts[0] }), &[])));
    assert!(
        cosine(&alone[0], &found[0]) > 0.999,
        "the other texts of a request do not matter"
    );
}

#[test]
fn embeddings_too_large_for_the_item_come_as_a_link() {
    let api = Api::new();
    let id = api.submit("embed", json!({ "texts": vec!["word"; 64] }), &[]);
    let task = api.finished(&id);
    assert_eq!(task["status"], "completed", "{task}");
    assert!(task.get("result").is_none(), "{task}");
    let url = task["result_link"]["url"].as_str().expect("there is a link");
    let mut response = ureq::get(url).call().expect("the link works");
    let body = response.body_mut().read_to_string().expect("the result is text");
    let result: Value = serde_json::from_str(&body).expect("the result is JSON");
    assert_eq!(embeddings(&result).len(), 64);
    assert_eq!(task["model"]["name"], "all-MiniLM-L6-v2", "{task}");
}

#[test]
fn a_summary_consists_of_the_important_sentences() {
    let api = Api::new();
    let input = json!({ "text": STORY, "max_sentences": 2 });
    let result = api.result(&api.submit("summarize", input, &[]));
    let sentences = result["sentences"].as_array().expect("sentences are a list");
    assert_eq!(sentences.len(), 2, "{result}");
    for sentence in sentences {
        let sentence = sentence.as_str().expect("a sentence is text");
        assert!(STORY.contains(sentence), "{sentence}");
        assert!(
            !sentence.contains("stamps"),
            "the unimportant sentence is left out: {result}"
        );
    }
    let summary = result["summary"].as_str().expect("the summary is text");
    assert_eq!(
        summary,
        sentences
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    );
}
