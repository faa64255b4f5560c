//! A queue.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mesh_task::{Message, TaskId};
use tokio::time::{Instant, timeout};

use super::{Case, cases, new_task, new_tenant};
use crate::TaskQueue;

/// A message that was received.
#[derive(Debug)]
pub struct ReceivedMessage {
    pub message: Message,
    pub receipt: String,
    /// How often it was received, this time included.
    pub receives: u32,
}

/// How the backend's workers consume a queue.
pub trait Consumer: Debug + Send + Sync {
    /// Receives up to `most` messages and hides each for `visibility`. Waits a while where there is none; it may return none.
    fn receive(&self, most: usize, visibility: Duration) -> BoxFuture<'_, Vec<ReceivedMessage>>;

    /// Deletes a received message.
    fn delete(&self, receipt: String) -> BoxFuture<'_, ()>;
}

/// A queue that nobody else uses, which moves a message to its dead-letter queue after three receives.
#[derive(Debug)]
pub struct QueueUnderTest {
    pub queue: Arc<dyn TaskQueue>,
    pub consumer: Arc<dyn Consumer>,
    pub dead_letters: Arc<dyn Consumer>,
}

/// The cases of a queue. They run one after the other.
pub const QUEUE_CASES: &[Case<QueueUnderTest>] = cases! { QueueUnderTest:
    a_message_is_received_until_it_is_deleted,
    a_released_message_is_received_again,
    a_delayed_message_comes_later,
    every_message_of_many_arrives,
    after_three_receives_a_message_is_a_dead_letter,
    the_backlog_of_one_tenant_does_not_delay_another,
};

/// How long a message may take.
const WITHIN: Duration = Duration::from_secs(30);
const HIDDEN: Duration = Duration::from_secs(60);
const MAX_RECEIVES: u32 = 3;

fn message() -> Message {
    new_task(&new_tenant()).message()
}

async fn send(under_test: &QueueUnderTest, message: &Message, delay: Duration) {
    under_test
        .queue
        .send(message, delay)
        .await
        .expect("the message is accepted");
}

/// The next messages, which come within the time.
async fn receive(consumer: &dyn Consumer, most: usize, visibility: Duration) -> Vec<ReceivedMessage> {
    let receiving = async {
        loop {
            let received = consumer.receive(most, visibility).await;
            if !received.is_empty() {
                return received;
            }
        }
    };
    timeout(WITHIN, receiving).await.expect("a message comes")
}

async fn receive_one(under_test: &QueueUnderTest, visibility: Duration) -> ReceivedMessage {
    let received = receive(&*under_test.consumer, 1, visibility).await;
    received.into_iter().next().expect("one message")
}

async fn a_message_is_received_until_it_is_deleted(under_test: &QueueUnderTest) {
    let message = message();
    send(under_test, &message, Duration::ZERO).await;
    let first = receive_one(under_test, Duration::from_secs(1)).await;
    assert_eq!((&first.message, first.receives), (&message, 1));
    let second = receive_one(under_test, HIDDEN).await;
    assert_eq!((&second.message, second.receives), (&message, 2));
    under_test.consumer.delete(second.receipt).await;
    let depth = under_test.queue.depth().await.expect("the queue answers");
    assert_eq!((depth.visible, depth.in_flight, depth.delayed), (0, 0, 0));
}

async fn a_released_message_is_received_again(under_test: &QueueUnderTest) {
    let message = message();
    send(under_test, &message, Duration::ZERO).await;
    let first = receive_one(under_test, HIDDEN).await;
    let depth = under_test.queue.depth().await.expect("the queue answers");
    assert_eq!((depth.visible, depth.in_flight), (0, 1));
    under_test
        .queue
        .change_visibility(&first.receipt, Duration::ZERO)
        .await
        .expect("the queue answers");
    let second = receive_one(under_test, HIDDEN).await;
    assert_eq!((&second.message, second.receives), (&message, 2));
    under_test.consumer.delete(second.receipt).await;
}

async fn a_delayed_message_comes_later(under_test: &QueueUnderTest) {
    let delay = Duration::from_secs(1);
    let sent = Instant::now();
    let message = message();
    send(under_test, &message, delay).await;
    let received = receive_one(under_test, HIDDEN).await;
    assert!(received.message == message && sent.elapsed() >= delay.mul_f64(0.9));
    under_test.consumer.delete(received.receipt).await;
}

async fn every_message_of_many_arrives(under_test: &QueueUnderTest) {
    let tenant = new_tenant();
    let messages: Vec<_> = (0..25).map(|_| new_task(&tenant).message()).collect();
    let left = under_test
        .queue
        .send_many(messages.clone(), Instant::now() + WITHIN)
        .await;
    assert_eq!(left, []);
    let mut arrived: BTreeSet<TaskId> = BTreeSet::new();
    while arrived.len() < messages.len() {
        for received in receive(&*under_test.consumer, 10, HIDDEN).await {
            arrived.insert(received.message.id);
            under_test.consumer.delete(received.receipt).await;
        }
    }
    assert_eq!(arrived, messages.into_iter().map(|message| message.id).collect());
}

async fn after_three_receives_a_message_is_a_dead_letter(under_test: &QueueUnderTest) {
    let message = message();
    send(under_test, &message, Duration::ZERO).await;
    for receives in 1..=MAX_RECEIVES {
        let received = receive_one(under_test, HIDDEN).await;
        assert_eq!(received.receives, receives);
        under_test
            .queue
            .change_visibility(&received.receipt, Duration::ZERO)
            .await
            .expect("the queue answers");
    }
    // The move happens when the message would be received again.
    let moved = async {
        loop {
            let received = under_test.consumer.receive(1, HIDDEN);
            tokio::select! {
                received = received => assert!(received.is_empty(), "{received:?}"),
                dead = receive(&*under_test.dead_letters, 1, HIDDEN) => return dead,
            }
        }
    };
    let dead = timeout(WITHIN, moved).await.expect("the message is moved");
    let [dead] = <[_; 1]>::try_from(dead).expect("one message");
    assert_eq!(dead.message, message);
    under_test.dead_letters.delete(dead.receipt).await;
}

async fn the_backlog_of_one_tenant_does_not_delay_another(under_test: &QueueUnderTest) {
    let (busy, quiet) = (new_tenant(), new_tenant());
    let backlog: Vec<_> = (0..30).map(|_| new_task(&busy).message()).collect();
    let left = under_test.queue.send_many(backlog, Instant::now() + WITHIN).await;
    assert_eq!(left, []);
    send(under_test, &new_task(&quiet).message(), Duration::ZERO).await;
    let (mut before, mut all, mut found) = (0, 0, false);
    while all < 31 {
        for received in receive(&*under_test.consumer, 10, HIDDEN).await {
            all += 1;
            found |= received.message.tenant == quiet;
            before += usize::from(!found);
            under_test.consumer.delete(received.receipt).await;
        }
    }
    assert!(
        before < 20,
        "{before} messages of the busy tenant came before the one of the quiet tenant"
    );
}
