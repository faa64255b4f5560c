//! The body of `POST /v1/tasks` is refused with a message, or becomes a task that can be stored and read back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_http::json;
use mesh_task::{Input, NewTask, StoredInput, Submitted};

fuzz_target!(|body: &[u8]| {
    let Ok(body) = json::parse(body) else {
        return;
    };
    match NewTask::parse(body) {
        Err(refusal) => assert!(!refusal.message.is_empty()),
        Ok(new) => {
            let task_type = new.task_type;
            let Submitted::Whole(input) = new.input else {
                return;
            };
            let read = match input.clone().into_stored() {
                StoredInput::Inline(value) => Input::from_inline(task_type, value),
                StoredInput::Object {
                    body,
                    content_type,
                    parameters,
                } => Input::from_object(task_type, parameters, content_type, body),
            };
            assert_eq!(read.ok(), Some(input));
        }
    }
});
