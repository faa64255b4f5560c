//! A queue: the bell, never the truth. Any message may be lost, doubled or late.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use futures_util::StreamExt;
use futures_util::stream::iter;
use mesh_task::{Message, Modality, TaskId};
use tokio::time::{Instant, timeout_at};

use crate::backoff::Backoff;
use crate::{CloudError, SettingError, setting};

/// The longest time SQS delays a new message or is asked here to hide a received one.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// The most messages that one SendMessageBatch takes.
const SEND_BATCH: usize = 10;
/// How many of them are under way at once.
const AT_ONCE: usize = 4;

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

    /// Rings for many tasks at once, and answers with those whose message may not have been taken by then.
    pub async fn ring_all(
        &self,
        messages: impl IntoIterator<Item = (Modality, Message)>,
        until: Instant,
    ) -> HashSet<TaskId> {
        let mut lanes: HashMap<_, Vec<_>> = HashMap::new();
        for (modality, message) in messages {
            lanes.entry(modality).or_default().push((message, Duration::ZERO));
        }
        let mut calls = Vec::new();
        for (modality, messages) in lanes {
            let queue = self.of(modality);
            let chunks = messages.chunks(SEND_BATCH).map(<[_]>::to_vec);
            calls.extend(chunks.map(|chunk| queue.ring_chunk(chunk, until)));
        }
        let left: Vec<_> = iter(calls).buffer_unordered(AT_ONCE).collect().await;
        left.concat().into_iter().map(|(message, _)| message.id).collect()
    }
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

    /// Sends up to ten messages, again where the queue did not take one, and answers with those left.
    async fn ring_chunk(
        &self,
        mut chunk: Vec<(Message, Duration)>,
        until: Instant,
    ) -> Vec<(Message, Duration)> {
        let mut backoff = Backoff::until(until);
        loop {
            match timeout_at(until, self.send_chunk(&chunk)).await {
                Ok(Ok(not_taken)) => chunk.retain(|(message, _)| not_taken.contains(message)),
                Ok(Err(error)) => {
                    tracing::error!(%error, messages = chunk.len(), "a batch of messages may not have been taken");
                    return chunk;
                }
                Err(_) => return chunk,
            }
            if chunk.is_empty() || !backoff.another().await {
                return chunk;
            }
        }
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
        const VISIBLE: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessages;
        let attributes = self.client.get_queue_attributes().queue_url(&self.url);
        let got = attributes.attribute_names(VISIBLE).send().await;
        let attributes = got.map_err(CloudError::of("GetQueueAttributes"))?.attributes;
        let visible = attributes.and_then(|attributes| attributes.get(&VISIBLE)?.parse().ok());
        Ok(visible.unwrap_or(0))
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
        if let Err(error) = self.check().await {
            tracing::warn!(%error, "the queue is not warm");
        }
    }

    /// Asks the queue for its name.
    ///
    /// # Errors
    /// When it did not answer.
    pub async fn check(&self) -> Result<(), CloudError> {
        let attributes = self.client.get_queue_attributes().queue_url(&self.url);
        let attributes = attributes.attribute_names(QueueAttributeName::QueueArn);
        let got = attributes.send().await;
        got.map(drop).map_err(CloudError::of("GetQueueAttributes"))
    }
}

/// SQS counts in whole seconds: rounded up, so that nothing comes early.
fn whole_seconds(delay: Duration) -> i32 {
    let seconds = delay.min(MAX_DELAY).as_millis().div_ceil(1_000);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wiremock::MockServer;

    use super::*;
    use crate::testing::{answer, config, requests, task};

    /// An answer that takes all messages but those at these places.
    fn refused(places: &[&str]) -> Value {
        let failed = places
            .iter()
            .map(|place| json!({ "Id": place, "SenderFault": false, "Code": "InternalError" }));
        json!({ "Successful": [], "Failed": failed.collect::<Vec<_>>() })
    }

    async fn ring(server: &MockServer, within: Duration) -> (Vec<Message>, Vec<Message>) {
        let messages: Vec<_> = (0..4).map(|_| (task().message(), Duration::ZERO)).collect();
        let queue = Queue::new(&config(server), format!("{}/queue", server.uri()));
        let left = queue.ring_chunk(messages.clone(), Instant::now() + within).await;
        let only = |messages: Vec<(Message, Duration)>| messages.into_iter().map(|(message, _)| message);
        (only(messages).collect(), only(left).collect())
    }

    #[tokio::test]
    async fn a_message_that_was_not_taken_is_sent_again_alone() {
        let server = MockServer::start().await;
        answer(&server, "SendMessageBatch", refused(&["1", "3"])).await;
        answer(&server, "SendMessageBatch", refused(&["0"])).await;
        answer(&server, "SendMessageBatch", refused(&[])).await;
        let (messages, left) = ring(&server, Duration::from_mins(1)).await;
        assert!(left.is_empty(), "{left:?}");
        let sent: Vec<Vec<Message>> = requests(&server)
            .await
            .iter()
            .map(|request| {
                let entries = request["Entries"].as_array().unwrap().iter();
                let body = |entry: &Value| serde_json::from_str(entry["MessageBody"].as_str().unwrap());
                entries.map(|entry| body(entry).unwrap()).collect()
            })
            .collect();
        let [one, three] = [&messages[1], &messages[3]].map(Clone::clone);
        assert_eq!(sent, [messages, vec![one.clone(), three], vec![one]]);
    }

    #[tokio::test]
    async fn a_message_that_is_never_taken_is_named() {
        let server = MockServer::start().await;
        answer(&server, "SendMessageBatch", refused(&["2"])).await;
        for _ in 0..20 {
            answer(&server, "SendMessageBatch", refused(&["0"])).await;
        }
        let (messages, left) = ring(&server, Duration::from_millis(300)).await;
        assert_eq!(left, messages[2..=2]);
    }

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
