//! The messages of the stack's queues.

use std::time::Duration;

use aws_sdk_sqs::types::{Message, QueueAttributeName};
use serde_json::json;

use crate::{BoxError, Cloud, eventually};

/// The visibility timeout of messages that are received only to look at them.
const PEEK_SECONDS: i32 = 1;

impl Cloud {
    /// Sends another message of a task.
    pub fn send_message(&self, queue_url: &str, id: &str, generation: u32) {
        self.send_body(queue_url, &message_body(id, generation));
    }

    /// Sends a message with any body.
    pub fn send_body(&self, queue_url: &str, body: &str) {
        self.try_send_body(queue_url, body)
            .expect("the queue accepts the message");
    }

    /// Sends a message to a queue that may be down.
    ///
    /// # Errors
    /// When the queue did not accept it, or did not answer.
    pub fn try_send_body(&self, queue_url: &str, body: &str) -> Result<(), BoxError> {
        let client = aws_sdk_sqs::Client::new(self.config());
        let send = client.send_message().queue_url(queue_url).message_body(body);
        self.block_on(send.send())?;
        Ok(())
    }

    /// Deletes a task's message, as if it were lost. Nobody else may receive messages of the queue meanwhile.
    pub fn delete_message(&self, queue_url: &str, id: &str) {
        let client = aws_sdk_sqs::Client::new(self.config());
        let receive = || {
            client
                .receive_message()
                .queue_url(queue_url)
                .max_number_of_messages(10)
        };
        eventually("the message is found", || {
            let received = self.block_on(receive().visibility_timeout(PEEK_SECONDS).send());
            let messages = received.expect("the queue can be read").messages?;
            let is_it = |message: &Message| message.body().is_some_and(|body| body.contains(id));
            let found = messages.into_iter().find(is_it)?;
            let delete = client.delete_message().queue_url(queue_url);
            let delete = delete.set_receipt_handle(found.receipt_handle).send();
            self.block_on(delete).expect("the message can be deleted");
            Some(())
        });
    }

    /// Sets the visibility timeout of a queue's messages, in place of the template's.
    pub fn set_visibility_timeout(&self, queue_url: &str, time: Duration) {
        let client = aws_sdk_sqs::Client::new(self.config());
        let set = client
            .set_queue_attributes()
            .queue_url(queue_url)
            .attributes(QueueAttributeName::VisibilityTimeout, time.as_secs().to_string());
        self.block_on(set.send())
            .expect("the queue's attributes can be set");
    }

    /// The number of messages in a queue: visible, in flight, and delayed.
    pub fn message_count(&self, queue_url: &str) -> u32 {
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let client = aws_sdk_sqs::Client::new(self.config());
        let get = client
            .get_queue_attributes()
            .queue_url(queue_url)
            .set_attribute_names(Some(counts.to_vec()));
        let got = self.block_on(get.send()).expect("the queue has its attributes");
        let attributes = got.attributes.unwrap_or_default();
        let count = |name| attributes.get(name).and_then(|value| value.parse::<u32>().ok());
        counts.iter().filter_map(count).sum()
    }
}

/// The body of a task's message.
#[must_use]
pub fn message_body(id: &str, generation: u32) -> String {
    json!({ "tenant": "default", "id": id, "generation": generation }).to_string()
}
