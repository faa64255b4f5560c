//! Any text is split into sentences and normalized in linear steps, without loss, and is refused exactly if it is blank.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_models::{Interrupt, Steps, normalize, sentences};
use mesh_task::{MAX_TEXT_BYTES, NewTask, is_blank};
use serde_json::json;

fuzz_target!(|text: &str| {
    let interrupt = Interrupt::new();
    let max_steps = 8 * text.len() + 16;

    let steps = Steps::new(&interrupt);
    let sentences = sentences(text, &steps).unwrap();
    assert!(steps.taken() <= max_steps);
    let sent = text.chars().filter(|c| !c.is_whitespace());
    let found = sentences.iter().flat_map(|sentence| sentence.chars());
    assert!(sent.eq(found.filter(|&c| c != ' ')));

    let steps = Steps::new(&interrupt);
    let normalized = normalize(text, usize::MAX, &steps).unwrap();
    assert!(steps.taken() <= max_steps);
    assert!(!normalized.starts_with(char::is_whitespace));
    assert!(!is_blank(text) || !normalized.contains(char::is_alphanumeric));

    let submission = NewTask::parse(json!({ "type": "sentiment", "input": { "text": text } }));
    assert_eq!(submission.is_err(), is_blank(text) || text.len() > MAX_TEXT_BYTES);
});
