//! SQS queues. A message is a hint that a task may be ready: it may be lost, duplicated or late. The task table is
//! authoritative.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use futures_util::StreamExt;
use futures_util::stream::iter;
use mesh_backend::BackendError;
use mesh_task::{Lane, LaneKind, Message, TaskId};
use tokio::time::{Instant, timeout_at};

use crate::backoff::Backoff;
use mesh_telemetry::{SettingError, Trace, setting};

use crate::error::{from_sdk, setup};

/// The longest delay of a new message (SQS's limit), and the longest visibility timeout that is set here.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// The maximum of messages in one SendMessageBatch.
const SEND_BATCH: usize = 10;
/// How many of these calls run at the same time.
const AT_ONCE: usize = 4;

/// The queue of each lane.
#[derive(Debug, Clone)]
pub struct Queues {
    lanes: HashMap<Lane, Queue>,
    first: Queue,
}

impl Queues {
    /// The queues that the environment names. A lane that the stack leaves out shares the queue of another lane.
    ///
    /// # Errors
    /// When a setting is missing.
    pub fn from_settings(config: &SdkConfig) -> Result<Self, SettingError> {
        let client = Client::new(config);
        let queue = |lane: Lane| {
            let url = setting(&lane_setting(
                &lane.worker_kind.as_str().to_uppercase(),
                lane.kind,
            ))?;
            Ok((lane, Queue::new(client.clone(), url)))
        };
        let lanes: HashMap<_, _> = Lane::all().map(queue).collect::<Result<_, _>>()?;
        let first = setting("TEXT_QUEUE_URL").map(|url| Queue::new(client, url))?;
        Ok(Self { lanes, first })
    }

    /// One queue for all lanes.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn single(config: &SdkConfig, url: String) -> Self {
        Self {
            lanes: HashMap::new(),
            first: Queue::new(Client::new(config), url),
        }
    }

    /// The queue of a lane.
    #[must_use]
    pub fn for_lane(&self, lane: Lane) -> &Queue {
        // `lanes` contains every lane.
        self.lanes.get(&lane).unwrap_or(&self.first)
    }

    /// Each distinct queue, with the first of its lanes.
    pub fn each(&self) -> impl Iterator<Item = (Lane, &Queue)> {
        let mut seen = HashSet::new();
        Lane::all()
            .map(|lane| (lane, self.for_lane(lane)))
            .filter(move |(_, queue)| seen.insert(&queue.url))
    }

    /// Opens the connection that all queues share, since they are at one host.
    pub async fn warm(&self) {
        self.first.warm().await;
    }

    /// Sends many messages, each to the queue of its lane, and returns the ids of the tasks whose message may not have been
    /// accepted by then.
    pub async fn send_batch(
        &self,
        messages: impl IntoIterator<Item = (Lane, Message)>,
        until: Instant,
    ) -> HashSet<TaskId> {
        let mut lanes: HashMap<_, Vec<_>> = HashMap::new();
        for (lane, message) in messages {
            lanes.entry(lane).or_default().push(message);
        }
        let mut calls = Vec::new();
        for (lane, messages) in lanes {
            let queue = self.for_lane(lane);
            let chunks = messages.chunks(SEND_BATCH).map(<[_]>::to_vec);
            calls.extend(chunks.map(|chunk| queue.send_chunk(chunk, until)));
        }
        let left: Vec<_> = iter(calls).buffer_unordered(AT_ONCE).collect().await;
        left.concat().into_iter().map(|message| message.id).collect()
    }
}

/// The queues of one worker function, by name: an SQS record names the queue that it came from.
#[derive(Debug)]
pub struct WorkerQueues {
    queues: Vec<Queue>,
    small: Queue,
}

impl WorkerQueues {
    /// The queues that the environment names.
    ///
    /// # Errors
    /// When a setting is missing.
    pub fn from_settings(config: &SdkConfig) -> Result<Self, SettingError> {
        let client = Client::new(config);
        let queue = |kind| setting(&lane_setting("", kind)).map(|url| Queue::new(client.clone(), url));
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
            small: Queue::new(Client::new(config), url),
        }
    }

    /// The queue of that name; for an unknown name, the queue of the small lane, which every stack has.
    #[must_use]
    pub fn named(&self, name: &str) -> &Queue {
        let found = self.queues.iter().find(|queue| queue.name() == name);
        found.unwrap_or(&self.small)
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

/// How many messages a queue contains, by state. The counts are approximate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Available to consumers.
    pub visible: u64,
    /// Received, and neither deleted nor visible again.
    pub in_flight: u64,
    /// Not visible until their delay ends.
    pub delayed: u64,
}

#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    const fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// The queue's name: the last part of its URL and of its ARN.
    #[must_use]
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Sends a task's message as a part of the current trace. It becomes visible after `delay`, at most [`MAX_DELAY`]: longer
    /// delays are cut to it.
    ///
    /// # Errors
    /// When the message may not have been accepted.
    pub async fn send(&self, message: &Message, delay: Duration) -> Result<(), BackendError> {
        self.send_traced(message, delay, Trace::current().as_ref()).await
    }

    /// Sends a task's message like [`Self::send`], as a part of `trace`: that of the message that it replaces.
    ///
    /// # Errors
    /// When the message may not have been accepted.
    pub async fn send_traced(
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

    /// About how many messages are available to consumers.
    ///
    /// # Errors
    /// When the queue did not answer.
    pub async fn visible(&self) -> Result<u64, BackendError> {
        Ok(self.depth().await?.visible)
    }

    /// About how many messages the queue contains, by state.
    ///
    /// # Errors
    /// When the queue did not answer.
    pub async fn depth(&self) -> Result<Depth, BackendError> {
        const VISIBLE: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessages;
        const IN_FLIGHT: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        const DELAYED: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessagesDelayed;
        let attributes = self.client.get_queue_attributes().queue_url(&self.url);
        let attributes = attributes.set_attribute_names(Some(vec![VISIBLE, IN_FLIGHT, DELAYED]));
        let got = attributes.send().await;
        let attributes = got.map_err(from_sdk("GetQueueAttributes"))?.attributes;
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

    /// Changes the visibility timeout of a received message: it is delivered again after `delay`, at once if that is zero.
    ///
    /// # Errors
    /// When the message may have its former visibility timeout still.
    pub async fn change_visibility(&self, receipt_handle: &str, delay: Duration) -> Result<(), BackendError> {
        let change = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle);
        let change = change.visibility_timeout(whole_seconds(delay));
        change.send().await.map_err(from_sdk("ChangeMessageVisibility"))?;
        Ok(())
    }

    /// Opens the connection, so that the first real call does not wait for it. An error is only logged: the first real call
    /// reports it.
    pub async fn warm(&self) {
        if let Err(error) = self.check().await {
            tracing::warn!(event = "connection_not_opened", %error, "the connection to the queue could not be opened in advance");
        }
    }

    /// Reads the queue's ARN, to show that it answers.
    ///
    /// # Errors
    /// When the queue did not answer.
    pub async fn check(&self) -> Result<(), BackendError> {
        let attributes = self.client.get_queue_attributes().queue_url(&self.url);
        let attributes = attributes.attribute_names(QueueAttributeName::QueueArn);
        let got = attributes.send().await;
        got.map(drop).map_err(from_sdk("GetQueueAttributes"))
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
