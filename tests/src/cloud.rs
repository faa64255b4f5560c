//! The stack's queues, table and bucket, as its operator sees them.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::{eventually, setting};

/// What a read of the dead-letter queue hides from the next one, in seconds. Tests read it side by side and delete nothing.
const GLANCE: i32 = 1;

/// The AWS clients, for tests that wait for each call.
#[derive(Debug)]
pub struct Cloud {
    runtime: Runtime,
    config: SdkConfig,
}

/// A message of the dead-letter queue.
#[derive(Debug)]
pub struct DeadLetter {
    /// As it was sent.
    pub body: String,
    /// When it was first sent, in milliseconds since the epoch: a move to another queue does not change it.
    pub sent_at: i64,
    /// How often it was received, here and where it came from.
    pub receives: i64,
}

impl DeadLetter {
    fn of(message: Message) -> Self {
        let number = |name: MessageSystemAttributeName| -> i64 {
            let value = message
                .attributes
                .as_ref()
                .and_then(|attributes| attributes.get(&name));
            let value = value.and_then(|value| value.parse().ok());
            value.unwrap_or_else(|| panic!("no {name:?} in {message:?}"))
        };
        Self {
            sent_at: number(MessageSystemAttributeName::SentTimestamp),
            receives: number(MessageSystemAttributeName::ApproximateReceiveCount),
            body: message.body.unwrap_or_default(),
        }
    }
}

impl Cloud {
    /// The clients of the stack under test.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it reads the environment")]
    pub fn new() -> Self {
        // The SDK would fall back on the account of whoever runs the tests.
        let _ = setting("AWS_ENDPOINT_URL");
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime needs nothing but a file descriptor");
        let config = runtime.block_on(mesh_cloud::sdk_config());
        let config = config.unwrap_or_else(|error| panic!("the AWS clients can't be made: {error}"));
        Self { runtime, config }
    }

    /// Rings for a task once more.
    pub fn ring(&self, queue_url: &str, id: &str, generation: u32) {
        let message = json!({ "tenant": "default", "id": id, "generation": generation });
        self.send(queue_url, &message.to_string());
    }

    /// Sends a message, whatever it says.
    pub fn send(&self, queue_url: &str, body: &str) {
        let client = aws_sdk_sqs::Client::new(&self.config);
        let send = client.send_message().queue_url(queue_url).message_body(body);
        self.runtime
            .block_on(send.send())
            .expect("the queue takes a message");
    }

    /// Waits for a message in the dead-letter queue that is as `is_it` says, and leaves it there.
    pub fn dead_letter(&self, is_it: impl Fn(&str) -> bool) -> DeadLetter {
        eventually("the message lies in the dead-letter queue", || {
            self.look_for_dead_letter(&is_it)
        })
    }

    /// Whether the dead-letter queue shows such a message now.
    pub fn has_dead_letter(&self, is_it: impl Fn(&str) -> bool) -> bool {
        self.look_for_dead_letter(is_it).is_some()
    }

    /// Reads the queue to its end, since what was read hides for a glance.
    fn look_for_dead_letter(&self, is_it: impl Fn(&str) -> bool) -> Option<DeadLetter> {
        let client = aws_sdk_sqs::Client::new(&self.config);
        loop {
            let receive = client
                .receive_message()
                .queue_url(setting("DEAD_LETTER_QUEUE_URL"))
                .max_number_of_messages(10)
                .visibility_timeout(GLANCE)
                .wait_time_seconds(0)
                .message_system_attribute_names(MessageSystemAttributeName::All);
            let received = self.runtime.block_on(receive.send());
            let messages = received.expect("the dead-letter queue can be read").messages?;
            let is_it = |message: &Message| message.body.as_deref().is_some_and(&is_it);
            if let Some(message) = messages.into_iter().find(is_it) {
                return Some(DeadLetter::of(message));
            }
        }
    }

    /// A task's item in the table, as it stands.
    pub fn item(&self, id: &str) -> HashMap<String, AttributeValue> {
        let shard = id.chars().last().expect("an id has characters");
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        let get = client
            .get_item()
            .table_name(setting("TASKS_TABLE"))
            .key("tenant_shard", AttributeValue::S(format!("default#{shard}")))
            .key("id", AttributeValue::S(id.to_owned()))
            .consistent_read(true);
        let got = self.runtime.block_on(get.send()).expect("the table can be read");
        got.item.unwrap_or_else(|| panic!("the table holds task {id}"))
    }

    /// Removes an object from the payload bucket.
    pub fn delete_payload(&self, key: &str) {
        let delete = self
            .s3()
            .delete_object()
            .bucket(setting("PAYLOAD_BUCKET"))
            .key(key);
        self.runtime
            .block_on(delete.send())
            .expect("the object can be deleted");
    }

    /// Puts another body in an object's place.
    pub fn overwrite_payload(&self, key: &str, body: &str) {
        let put = self
            .s3()
            .put_object()
            .bucket(setting("PAYLOAD_BUCKET"))
            .key(key)
            .body(body.as_bytes().to_vec().into());
        self.runtime
            .block_on(put.send())
            .expect("the object can be overwritten");
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }
}
