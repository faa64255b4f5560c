//! A queue: the bell, never the truth. Any message may be lost, doubled or late.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use mesh_task::{Message, Modality};

use crate::{CloudError, SettingError, setting};

/// The longest time SQS delays a new message or is asked here to hide a received one.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// The most messages that one SendMessageBatch takes.
const SEND_BATCH: usize = 10;

/// The queue of each worker.
#[derive(Debug, Clone)]
pub struct Queues {
    text: Queue,
    image: Queue,
    audio: Queue,
    language: Queue,
}

impl Queues {
    /// Those that the template names.
    ///
    /// # Errors
    /// When one is missing.
    pub fn from_settings(config: &SdkConfig) -> Result<Self, SettingError> {
        let queue = |name| setting(name).map(|url| Queue::new(config, url));
        Ok(Self {
            text: queue("TEXT_QUEUE_URL")?,
            image: queue("IMAGE_QUEUE_URL")?,
            audio: queue("AUDIO_QUEUE_URL")?,
            language: queue("LANGUAGE_QUEUE_URL")?,
        })
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Queue)> {
        Modality::ALL.into_iter().map(|modality| {
            let name = match modality {
                Modality::Text => "text",
                Modality::Image => "image",
                Modality::Audio => "audio",
                Modality::Language => "language",
            };
            (name, self.of(modality))
        })
    }

    /// That of the worker which runs such tasks.
    #[must_use]
    pub const fn of(&self, modality: Modality) -> &Queue {
        match modality {
            Modality::Text => &self.text,
            Modality::Image => &self.image,
            Modality::Audio => &self.audio,
            Modality::Language => &self.language,
        }
    }
}

/// The messages of a queue, by what may be done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// A consumer could receive them now.
    pub visible: u64,
    /// Received, and neither deleted nor shown again.
    pub in_flight: u64,
    /// To be shown after a delay.
    pub delayed: u64,
}

/// One SQS queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The queue at that address.
    #[must_use]
    pub fn new(config: &SdkConfig, url: String) -> Self {
        Self {
            client: Client::new(config),
            url,
        }
    }

    /// Rings for a task, after a delay of at most [`MAX_DELAY`] (longer ones are cut to it).
    ///
    /// # Errors
    /// When the message may not have been taken.
    pub async fn send(&self, message: &Message, delay: Duration) -> Result<(), CloudError> {
        let body = serde_json::to_string(message).map_err(|error| CloudError::setup("SendMessage", error))?;
        let send = self.client.send_message().queue_url(&self.url).message_body(body);
        // Fair queues: one tenant's backlog does not hold up another's.
        let send = send.message_group_id(message.tenant.as_str());
        let send = if delay.is_zero() {
            send
        } else {
            send.delay_seconds(whole_seconds(delay))
        };
        send.send().await.map_err(CloudError::of("SendMessage"))?;
        Ok(())
    }

    /// Rings for many tasks, and answers with the messages that were not taken.
    pub async fn send_all(&self, messages: Vec<(Message, Duration)>) -> Vec<Message> {
        let mut left = Vec::new();
        for chunk in messages.chunks(SEND_BATCH) {
            match self.send_chunk(chunk).await {
                Ok(mut not_taken) => left.append(&mut not_taken),
                Err(error) => {
                    tracing::warn!(%error, messages = chunk.len(), "a batch of messages may not have been taken");
                    left.extend(chunk.iter().map(|(message, _)| message.clone()));
                }
            }
        }
        left
    }

    async fn send_chunk(&self, messages: &[(Message, Duration)]) -> Result<Vec<Message>, CloudError> {
        const CALL: &str = "SendMessageBatch";
        let entries = messages.iter().enumerate().map(|(place, (message, delay))| {
            let body = serde_json::to_string(message).map_err(|error| CloudError::setup(CALL, error))?;
            SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(body)
                .message_group_id(message.tenant.as_str())
                .delay_seconds(whole_seconds(*delay))
                .build()
                .map_err(|error| CloudError::setup(CALL, error))
        });
        let entries = entries.collect::<Result<_, _>>()?;
        let send = self.client.send_message_batch().queue_url(&self.url);
        let sent = send
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(CloudError::of(CALL))?;
        let not_taken = sent.failed.iter().filter_map(|failure| {
            tracing::warn!(code = failure.code, "a message of a batch was not taken");
            messages.get(failure.id.parse::<usize>().ok()?)
        });
        Ok(not_taken.map(|(message, _)| message.clone()).collect())
    }

    /// How many messages a consumer could receive now, more or less.
    ///
    /// # Errors
    /// When the queue did not answer.
    pub async fn visible(&self) -> Result<u64, CloudError> {
        Ok(self.depth().await?.visible)
    }

    /// How many messages it holds, more or less.
    ///
    /// # Errors
    /// When the queue did not answer.
    pub async fn depth(&self) -> Result<Depth, CloudError> {
        const VISIBLE: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessages;
        const IN_FLIGHT: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        const DELAYED: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessagesDelayed;
        let attributes = self.client.get_queue_attributes().queue_url(&self.url);
        let attributes = attributes.set_attribute_names(Some(vec![VISIBLE, IN_FLIGHT, DELAYED]));
        let got = attributes.send().await;
        let attributes = got.map_err(CloudError::of("GetQueueAttributes"))?.attributes;
        let attributes = attributes.unwrap_or_default();
        let count = |name| {
            attributes
                .get(&name)
                .and_then(|count| count.parse().ok())
                .unwrap_or(0)
        };
        Ok(Depth {
            visible: count(VISIBLE),
            in_flight: count(IN_FLIGHT),
            delayed: count(DELAYED),
        })
    }

    /// Hides a received message for a while; zero shows it at once.
    ///
    /// # Errors
    /// When the message may keep its present visibility timeout.
    pub async fn hide(&self, receipt_handle: &str, delay: Duration) -> Result<(), CloudError> {
        let change = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle);
        let change = change.visibility_timeout(whole_seconds(delay));
        change
            .send()
            .await
            .map_err(CloudError::of("ChangeMessageVisibility"))?;
        Ok(())
    }

    /// Makes the connection, so that the first real call does not wait for it. A queue that refuses is left to the
    /// first real call to report.
    pub async fn warm(&self) {
        let attributes = self.client.get_queue_attributes().queue_url(&self.url);
        let attributes = attributes.attribute_names(QueueAttributeName::QueueArn);
        if let Err(error) = attributes.send().await {
            tracing::warn!(error = %CloudError::of("GetQueueAttributes")(error), "the queue is not warm");
        }
    }
}

/// SQS counts in whole seconds: rounded up, so that nothing comes early.
fn whole_seconds(delay: Duration) -> i32 {
    let seconds = delay.min(MAX_DELAY).as_millis().div_ceil(1_000);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_rounded_up_and_bounded() {
        let seconds = |millis| whole_seconds(Duration::from_millis(millis));
        assert_eq!(
            [seconds(0), seconds(1), seconds(1_000), seconds(1_001)],
            [0, 1, 1, 2]
        );
        assert_eq!(seconds(u64::MAX), 900);
    }
}
