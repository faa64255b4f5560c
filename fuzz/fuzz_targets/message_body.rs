//! The body of a queue message names a task, and then is equal after serialization, or it is refused.

#![no_main]

use aws_lambda_events::event::sqs::SqsEvent;
use libfuzzer_sys::fuzz_target;
use mesh_task::Message;

fuzz_target!(|body: &[u8]| {
    // Lambda's poller delivers a batch of such bodies as an event.
    let _event = serde_json::from_slice::<SqsEvent>(body);
    let Ok(body) = std::str::from_utf8(body) else {
        return;
    };
    if let Ok(message) = serde_json::from_str::<Message>(body) {
        let serialized = serde_json::to_string(&message).expect("a message is JSON");
        assert_eq!(serde_json::from_str::<Message>(&serialized).ok(), Some(message));
    }
});
