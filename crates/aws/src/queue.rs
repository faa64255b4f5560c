//! A queue: the bell, never the truth. Any message may be lost, doubled or late.

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
use mesh_task::{Lane, LaneKind, Message, TaskId};
use tokio::time::{Instant, timeout_at};

use crate::backoff::Backoff;
use mesh_telemetry::{SettingError, Trace, setting};

use crate::AwsError;

/// The longest time SQS delays a new message or is asked here to hide a received one.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// The most messages that one SendMessageBatch takes.
const SEND_BATCH: usize = 10;
/// How many of them are under way at once.
const AT_ONCE: usize = 4;

/// The queue of each lane.
#[derive(Debug, Clone)]
pub struct Queues {
    lanes: HashMap<Lane, Queue>,
    first: Queue,
}

impl Queues {
    /// Those that the template names. Lanes that the stack leaves out have the queue of another's.
    ///
    /// # Errors
    /// When one is missing.
    pub fn from_settings(config: &SdkConfig) -> Result<Self, SettingError> {
        let client = Client::new(config);
        let queue = |lane: Lane| {
            let url = setting(&lane_setting(
                &lane.worker_kind.as_str().to_uppercase(),
                lane.kind,
            ))?;
            Ok((lane, Queue::at(client.clone(), url)))
        };
        let lanes: HashMap<_, _> = Lane::all().map(queue).collect::<Result<_, _>>()?;
        let first = setting("TEXT_QUEUE_URL").map(|url| Queue::at(client, url))?;
        Ok(Self { lanes, first })
    }

    /// That of the lane.
    #[must_use]
    pub fn of(&self, lane: Lane) -> &Queue {
        // Every lane is there.
        self.lanes.get(&lane).unwrap_or(&self.first)
    }

    /// Each queue, with the first of the lanes that it carries.
    pub fn each(&self) -> impl Iterator<Item = (Lane, &Queue)> {
        let mut seen = HashSet::new();
        Lane::all()
            .map(|lane| (lane, self.of(lane)))
            .filter(move |(_, queue)| seen.insert(&queue.url))
    }

    /// Makes the connection that all of them share, being at one host.
    pub async fn warm(&self) {
        self.first.warm().await;
    }

    /// Rings for many tasks at once, each in its lane, and answers with those whose message may not have been taken by
    /// then.
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
            let queue = self.of(lane);
            let chunks = messages.chunks(SEND_BATCH).map(<[_]>::to_vec);
            calls.extend(chunks.map(|chunk| queue.send_chunk(chunk, until)));
        }
        let left: Vec<_> = iter(calls).buffer_unordered(AT_ONCE).collect().await;
        left.concat().into_iter().map(|message| message.id).collect()
    }
}

/// The queues of one worker, known by their names: a batch says which it came from.
#[derive(Debug)]
pub struct WorkerQueues {
    queues: Vec<Queue>,
    small: Queue,
}

impl WorkerQueues {
    /// Those that the template names.
    ///
    /// # Errors
    /// When one is missing.
    pub fn from_settings(config: &SdkConfig) -> Result<Self, SettingError> {
        let client = Client::new(config);
        let queue = |kind| setting(&lane_setting("", kind)).map(|url| Queue::at(client.clone(), url));
        Ok(Self {
            queues: LaneKind::ALL.into_iter().map(queue).collect::<Result<_, _>>()?,
            small: queue(LaneKind::Small)?,
        })
    }

    /// The queue of that name; of one that is not known, the lane that every stack has.
    #[must_use]
    pub fn named(&self, name: &str) -> &Queue {
        let found = self.queues.iter().find(|queue| queue.name() == name);
        found.unwrap_or(&self.small)
    }

    /// Makes the connection that all of them share.
    pub async fn warm(&self) {
        self.small.warm().await;
    }
}

/// The name of a lane's setting: `TEXT_QUEUE_URL` for the small one, which every stack has, `TEXT_LARGE_QUEUE_URL`.
fn lane_setting(worker: &str, kind: LaneKind) -> String {
    let lane = match kind {
        LaneKind::Small => String::new(),
        kind => kind.as_str().to_uppercase(),
    };
    let words = [worker, &lane, "QUEUE_URL"];
    words
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_")
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
    const fn at(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Its name: the last part of its address, and of its ARN.
    #[must_use]
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Rings for a task, after a delay of at most [`MAX_DELAY`] (longer ones are cut to it), as a part of the trace that
    /// runs.
    ///
    /// # Errors
    /// When the message may not have been taken.
    pub async fn send(&self, message: &Message, delay: Duration) -> Result<(), AwsError> {
        self.send_in(message, delay, Trace::current().as_ref()).await
    }

    /// The same, as a part of another trace: that of the message whose place it takes.
    ///
    /// # Errors
    /// When the message may not have been taken.
    pub async fn send_in(
        &self,
        message: &Message,
        delay: Duration,
        trace: Option<&Trace>,
    ) -> Result<(), AwsError> {
        let body = serde_json::to_string(message).map_err(|error| AwsError::setup("SendMessage", error))?;
        let send = self.client.send_message().queue_url(&self.url).message_body(body);
        // Fair queues: one tenant's backlog does not hold up another's.
        let send = send.message_group_id(message.tenant.as_str());
        let send = send.set_message_system_attributes(trace_attributes(trace));
        let send = if delay.is_zero() {
            send
        } else {
            send.delay_seconds(whole_seconds(delay))
        };
        send.send().await.map_err(AwsError::of("SendMessage"))?;
        Ok(())
    }

    /// Sends up to ten messages, again where the queue did not take one, and answers with those left.
    async fn send_chunk(&self, mut chunk: Vec<Message>, until: Instant) -> Vec<Message> {
        let mut backoff = Backoff::until(until);
        loop {
            match timeout_at(until, self.try_send_chunk(&chunk)).await {
                Ok(Ok(not_taken)) => chunk.retain(|message| not_taken.contains(message)),
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

    async fn try_send_chunk(&self, messages: &[Message]) -> Result<Vec<Message>, AwsError> {
        const CALL: &str = "SendMessageBatch";
        let trace = Trace::current();
        let entries = messages.iter().enumerate().map(|(place, message)| {
            let body = serde_json::to_string(message).map_err(|error| AwsError::setup(CALL, error))?;
            SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(body)
                .message_group_id(message.tenant.as_str())
                .set_message_system_attributes(trace_attributes(trace.as_ref()))
                .build()
                .map_err(|error| AwsError::setup(CALL, error))
        });
        let entries = entries.collect::<Result<_, _>>()?;
        let send = self.client.send_message_batch().queue_url(&self.url);
        let sent = send
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(AwsError::of(CALL))?;
        let not_taken = sent.failed.iter().filter_map(|failure| {
            tracing::warn!(code = failure.code, "a message of a batch was not taken");
            messages.get(failure.id.parse::<usize>().ok()?)
        });
        Ok(not_taken.cloned().collect())
    }

    /// How many messages a consumer could receive now, more or less.
    ///
    /// # Errors
    /// When the queue did not answer.
    pub async fn visible(&self) -> Result<u64, AwsError> {
        Ok(self.depth().await?.visible)
    }

    /// How many messages it holds, more or less.
    ///
    /// # Errors
    /// When the queue did not answer.
    pub async fn depth(&self) -> Result<Depth, AwsError> {
        const VISIBLE: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessages;
        const IN_FLIGHT: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        const DELAYED: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessagesDelayed;
        let attributes = self.client.get_queue_attributes().queue_url(&self.url);
        let attributes = attributes.set_attribute_names(Some(vec![VISIBLE, IN_FLIGHT, DELAYED]));
        let got = attributes.send().await;
        let attributes = got.map_err(AwsError::of("GetQueueAttributes"))?.attributes;
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
    pub async fn change_visibility(&self, receipt_handle: &str, delay: Duration) -> Result<(), AwsError> {
        let change = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle);
        let change = change.visibility_timeout(whole_seconds(delay));
        change
            .send()
            .await
            .map_err(AwsError::of("ChangeMessageVisibility"))?;
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
    pub async fn check(&self) -> Result<(), AwsError> {
        let attributes = self.client.get_queue_attributes().queue_url(&self.url);
        let attributes = attributes.attribute_names(QueueAttributeName::QueueArn);
        let got = attributes.send().await;
        got.map(drop).map_err(AwsError::of("GetQueueAttributes"))
    }
}

/// SQS counts in whole seconds: rounded up, so that nothing comes early.
fn whole_seconds(delay: Duration) -> i32 {
    let seconds = delay.min(MAX_DELAY).as_millis().div_ceil(1_000);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// By which X-Ray knows what a message is a part of. It counts nothing towards a message's size.
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
        let messages: Vec<_> = (0..4).map(|_| task().message()).collect();
        let queue = Queue::at(Client::new(&config(server)), format!("{}/queue", server.uri()));
        let left = queue.send_chunk(messages.clone(), Instant::now() + within).await;
        (messages, left)
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
    fn the_small_lane_has_the_worker_s_own_name() {
        assert_eq!(lane_setting("TEXT", LaneKind::Small), "TEXT_QUEUE_URL");
        assert_eq!(lane_setting("TEXT", LaneKind::High), "TEXT_HIGH_QUEUE_URL");
        assert_eq!(lane_setting("", LaneKind::Small), "QUEUE_URL");
        assert_eq!(lane_setting("", LaneKind::Large), "LARGE_QUEUE_URL");
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
