//! The body of `POST /v1/tasks`: whatever it is, it is refused in words or becomes a task that can be stored and read
//! back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_task::{Input, NewTask, StoredInput};
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    match NewTask::parse(body) {
        Err(refusal) => assert!(!refusal.message.is_empty()),
        Ok(new) => {
            let task_type = new.task_type;
            let input = new.input.clone();
            let read = match new.input.into_stored() {
                StoredInput::Inline(value) => Input::parse(task_type, value),
                StoredInput::Object { body, .. } => Input::from_object(task_type, body),
            };
            assert_eq!(read.ok(), Some(input));
        }
    }
});
