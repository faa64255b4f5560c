//! The body of a queue's message: it names a task, and then says the same when it is written again, or it is none of
//! ours.

#![no_main]

use aws_lambda_events::event::sqs::SqsEvent;
use libfuzzer_sys::fuzz_target;
use mesh_task::Message;

fuzz_target!(|body: &[u8]| {
    // What arrives is a batch of such bodies as Lambda's poller wraps them.
    let _event = serde_json::from_slice::<SqsEvent>(body);
    let Ok(body) = std::str::from_utf8(body) else {
        return;
    };
    if let Ok(message) = serde_json::from_str::<Message>(body) {
        let written = serde_json::to_string(&message).expect("a message is JSON");
        assert_eq!(serde_json::from_str::<Message>(&written).ok(), Some(message));
    }
});
