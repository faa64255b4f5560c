//! SQS queues.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use futures_util::StreamExt;
use futures_util::stream::iter;
use mesh_backend::{BackendError, BackendFuture, BoxFuture, Depth, MAX_DELAY, Queues, TaskQueue};
use mesh_task::{Lane, LaneKind, Message};
use mesh_telemetry::{SettingError, Trace, setting};
use tokio::time::{Instant, timeout_at};

use crate::backoff::Backoff;
use crate::error::{from_sdk, setup};

/// The maximum of messages in one SendMessageBatch.
const SEND_BATCH: usize = 10;
/// How many of these calls run at the same time.
const AT_ONCE: usize = 4;

/// The queues of all lanes that the environment names. A lane that the stack leaves out shares the queue of another lane.
///
/// # Errors
/// When a setting is missing.
pub fn queues_from_settings(config: &SdkConfig) -> Result<Queues, SettingError> {
    let client = Client::new(config);
    let queue = |lane: Lane| {
        let kind = lane.worker_kind.as_str().to_uppercase();
        let queue = SqsQueue::new(client.clone(), setting(&lane_setting(&kind, lane.kind))?);
        Ok((lane, Arc::new(queue) as _))
    };
    let lanes: Vec<_> = Lane::all().map(queue).collect::<Result<_, _>>()?;
    let first = SqsQueue::new(client, setting("TEXT_QUEUE_URL")?);
    Ok(Queues::new(Arc::new(first), lanes))
}

/// The queues of one worker function, by name: an SQS record names the queue that it came from.
#[derive(Debug)]
pub struct WorkerQueues {
    queues: Vec<Arc<SqsQueue>>,
    small: Arc<SqsQueue>,
}

impl WorkerQueues {
    /// The queues that the environment names.
    ///
    /// # Errors
    /// When a setting is missing.
    pub fn from_settings(config: &SdkConfig) -> Result<Self, SettingError> {
        let client = Client::new(config);
        let queue = |kind| {
            let url = setting(&lane_setting("", kind))?;
            Ok(Arc::new(SqsQueue::new(client.clone(), url)))
        };
        Ok(Self {
            queues: LaneKind::ALL.into_iter().map(queue).collect::<Result<_, _>>()?,
            small: queue(LaneKind::Small)?,
        })
    }

    /// One queue for all lanes.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn single(config: &SdkConfig, url: String) -> Self {
        Self {
            queues: Vec::new(),
            small: Arc::new(SqsQueue::new(Client::new(config), url)),
        }
    }

    /// The queue of that name; for an unknown name, the queue of the small lane, which every stack has.
    #[must_use]
    pub fn named(&self, name: &str) -> Arc<dyn TaskQueue> {
        let found = self.queues.iter().find(|queue| queue.name() == name);
        Arc::<SqsQueue>::clone(found.unwrap_or(&self.small))
    }

    /// Opens the connection that all queues share.
    pub async fn warm(&self) {
        self.small.warm().await;
    }
}

/// The name of a lane's setting: `TEXT_LARGE_QUEUE_URL`, and `TEXT_QUEUE_URL` for the small lane, which every stack has.
fn lane_setting(worker: &str, kind: LaneKind) -> String {
    let lane = match kind {
        LaneKind::Small => String::new(),
        kind => kind.as_str().to_uppercase(),
    };
    let parts = [worker, &lane, "QUEUE_URL"];
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}

/// An SQS queue.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    const fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// The queue with this URL.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_url(config: &SdkConfig, url: String) -> Arc<dyn TaskQueue> {
        Arc::new(Self::new(Client::new(config), url))
    }

    async fn send_one(
        &self,
        message: &Message,
        delay: Duration,
        trace: Option<&Trace>,
    ) -> Result<(), BackendError> {
        let body = serde_json::to_string(message).map_err(|error| setup("SendMessage", error))?;
        let send = self.client.send_message().queue_url(&self.url).message_body(body);
        // Fair queues: the backlog of one tenant (message group) does not delay the messages of another.
        let send = send.message_group_id(message.tenant.as_str());
        let send = send.set_message_system_attributes(trace_attributes(trace));
        let send = if delay.is_zero() {
            send
        } else {
            send.delay_seconds(whole_seconds(delay))
        };
        send.send().await.map_err(from_sdk("SendMessage"))?;
        Ok(())
    }

    /// Sends up to ten messages, again those that the queue did not accept, and returns the ones that are left.
    async fn send_chunk(&self, mut chunk: Vec<Message>, until: Instant) -> Vec<Message> {
        let mut backoff = Backoff::until(until);
        loop {
            match timeout_at(until, self.try_send_chunk(&chunk)).await {
                Ok(Ok(rejected)) => chunk.retain(|message| rejected.contains(message)),
                Ok(Err(error)) => {
                    tracing::error!(event = "messages_not_sent", %error, messages = chunk.len(), "a batch of messages may not have been accepted");
                    return chunk;
                }
                Err(_) => return chunk,
            }
            if chunk.is_empty() || !backoff.wait_for_retry().await {
                return chunk;
            }
        }
    }

    async fn try_send_chunk(&self, messages: &[Message]) -> Result<Vec<Message>, BackendError> {
        const CALL: &str = "SendMessageBatch";
        let trace = Trace::current();
        let entries = messages.iter().enumerate().map(|(place, message)| {
            let body = serde_json::to_string(message).map_err(|error| setup(CALL, error))?;
            SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(body)
                .message_group_id(message.tenant.as_str())
                .set_message_system_attributes(trace_attributes(trace.as_ref()))
                .build()
                .map_err(|error| setup(CALL, error))
        });
        let entries = entries.collect::<Result<_, _>>()?;
        let send = self.client.send_message_batch().queue_url(&self.url);
        let sent = send
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(from_sdk(CALL))?;
        let rejected = sent.failed.iter().filter_map(|failure| {
            tracing::warn!(
                event = "message_rejected",
                code = failure.code,
                "a message of a batch was not accepted"
            );
            messages.get(failure.id.parse::<usize>().ok()?)
        });
        Ok(rejected.cloned().collect())
    }

    async fn attributes(
        &self,
        names: Vec<QueueAttributeName>,
    ) -> Result<HashMap<QueueAttributeName, String>, BackendError> {
        let attributes = self.client.get_queue_attributes().queue_url(&self.url);
        let got = attributes.set_attribute_names(Some(names)).send().await;
        Ok(got
            .map_err(from_sdk("GetQueueAttributes"))?
            .attributes
            .unwrap_or_default())
    }
}

impl TaskQueue for SqsQueue {
    /// The last part of the queue's URL and of its ARN.
    fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    fn send_traced<'a>(
        &'a self,
        message: &'a Message,
        delay: Duration,
        trace: Option<&'a Trace>,
    ) -> BackendFuture<'a, ()> {
        Box::pin(self.send_one(message, delay, trace))
    }

    fn send_many(&self, messages: Vec<Message>, until: Instant) -> BoxFuture<'_, Vec<Message>> {
        Box::pin(async move {
            let chunks = messages.chunks(SEND_BATCH).map(<[_]>::to_vec);
            let calls: Vec<_> = chunks.map(|chunk| self.send_chunk(chunk, until)).collect();
            let left: Vec<_> = iter(calls).buffer_unordered(AT_ONCE).collect().await;
            left.concat()
        })
    }

    fn change_visibility<'a>(&'a self, receipt_handle: &'a str, delay: Duration) -> BackendFuture<'a, ()> {
        let change = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle);
        let change = change.visibility_timeout(whole_seconds(delay));
        Box::pin(async {
            change.send().await.map_err(from_sdk("ChangeMessageVisibility"))?;
            Ok(())
        })
    }

    /// The counts of SQS are approximate.
    fn depth(&self) -> BackendFuture<'_, Depth> {
        const VISIBLE: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessages;
        const IN_FLIGHT: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        const DELAYED: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessagesDelayed;
        Box::pin(async {
            let attributes = self.attributes(vec![VISIBLE, IN_FLIGHT, DELAYED]).await?;
            let count = |name| attributes.get(&name).and_then(|count| count.parse().ok());
            Ok(Depth {
                visible: count(VISIBLE).unwrap_or(0),
                in_flight: count(IN_FLIGHT).unwrap_or(0),
                delayed: count(DELAYED).unwrap_or(0),
            })
        })
    }

    fn check(&self) -> BackendFuture<'_, ()> {
        Box::pin(async {
            self.attributes(vec![QueueAttributeName::QueueArn])
                .await
                .map(drop)
        })
    }
}

/// A delay in the whole seconds that SQS takes, rounded up so that no message comes early.
fn whole_seconds(delay: Duration) -> i32 {
    let seconds = delay.min(MAX_DELAY).as_millis().div_ceil(1_000);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// The system attribute by which X-Ray links a message to its trace. The AWS SDK for Rust does not set it. It does not count
/// towards the message's size.
fn trace_attributes(
    trace: Option<&Trace>,
) -> Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>> {
    let value = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(trace?.header());
    let attribute = MessageSystemAttributeNameForSends::AwsTraceHeader;
    Some(HashMap::from([(attribute, value.build().ok()?)]))
}

#[cfg(test)]
mod tests;
