//! Streams of events.

use futures_util::StreamExt;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_ends_when_the_server_ends() {
    let server = Server::start(&[]);
    let response = server
        .send(get("/v1/events", &[("x-service-token", TOKEN)]))
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut stream = response.into_body().into_data_stream();
    let first = stream.next().await.unwrap().unwrap();
    assert!(first.starts_with(b": following"), "{first:?}");
    server.stop.send_replace(true);
    assert!(stream.next().await.is_none());
}
