use serde_json::{Value, json};
use wiremock::MockServer;

use super::*;
use crate::testing::{answer, config, requests, task};

/// A response that accepts all messages but those at these positions.
fn refused(places: &[&str]) -> Value {
    let failed = places
        .iter()
        .map(|place| json!({ "Id": place, "SenderFault": false, "Code": "InternalError" }));
    json!({ "Successful": [], "Failed": failed.collect::<Vec<_>>() })
}

async fn send(server: &MockServer, within: Duration) -> (Vec<Message>, Vec<Message>) {
    let messages: Vec<_> = (0..4).map(|_| task().message()).collect();
    let queue = SqsQueue::new(Client::new(&config(server)), format!("{}/queue", server.uri()));
    let left = queue.send_many(messages.clone(), Instant::now() + within).await;
    (messages, left)
}

#[tokio::test]
async fn a_message_that_was_rejected_is_sent_again_alone() {
    let server = MockServer::start().await;
    answer(&server, "SendMessageBatch", refused(&["1", "3"])).await;
    answer(&server, "SendMessageBatch", refused(&["0"])).await;
    answer(&server, "SendMessageBatch", refused(&[])).await;
    let (messages, left) = send(&server, Duration::from_mins(1)).await;
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
async fn a_message_that_is_never_accepted_is_returned() {
    let server = MockServer::start().await;
    answer(&server, "SendMessageBatch", refused(&["2"])).await;
    for _ in 0..20 {
        answer(&server, "SendMessageBatch", refused(&["0"])).await;
    }
    let (messages, left) = send(&server, Duration::from_millis(300)).await;
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
