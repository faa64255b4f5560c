//! How far a page is read where few tasks pass its filter, or the table answers slowly.

use std::time::Duration;

use mesh_backend::ListPage;
use serde_json::{Value, json};
use wiremock::matchers::{any, header_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::testing::{config, requests};

/// A query finds these tasks in each shard. `ends` says that the shard contains no more.
async fn table(per_shard: usize, ends: bool) -> MockServer {
    let server = MockServer::start().await;
    let found = move |request: &wiremock::Request| {
        let body: Value = request.body_json().unwrap();
        let values = &body["ExpressionAttributeValues"];
        let partition = match &values[":partition"] {
            // The index of the tasks in flight is not a tenant's.
            Value::Null => json!({ "S": format!("{}#0", Tenant::first()) }),
            partition => partition.clone(),
        };
        let key = || json!({ "tenant_shard": partition, "id": { "S": TaskId::generate().to_string() } });
        let items: Vec<_> = (0..per_shard).map(|_| key()).collect();
        let mut response = json!({ "Items": items });
        if !ends {
            response["LastEvaluatedKey"] = key();
        }
        ResponseTemplate::new(200).set_body_raw(response.to_string(), "application/x-amz-json-1.0")
    };
    Mock::given(header_regex("x-amz-target", "Query$"))
        .respond_with(found)
        .mount(&server)
        .await;
    // No task of a key is there any more.
    let nothing = json!({ "Responses": { "tasks": [] } }).to_string();
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_raw(nothing, "application/x-amz-json-1.0"))
        .mount(&server)
        .await;
    server
}

/// A page of that status, for which there is this much time, and the numbers of queries and of further reads.
async fn page(server: &MockServer, status: Status, time: Duration) -> (ListPage<TaskSummary>, usize, usize) {
    let table = TaskTable::new(&config(server), "tasks".to_owned());
    let filter = TaskFilter {
        status: Some(status),
        ..TaskFilter::default()
    };
    let until = Instant::now() + time;
    let page = table
        .list(&Tenant::first(), &filter, None, 1, until)
        .await
        .unwrap();
    let requests = requests(server).await;
    let is_query = |request: &&Value| request.get("KeyConditionExpression").is_some();
    let queries = requests.iter().filter(is_query).count();
    (page, queries, requests.len() - queries)
}

#[tokio::test]
async fn a_page_ends_with_a_cursor_when_its_time_is_over() {
    for (status, per_shard, ends, reads) in [
        (Status::Blocked, 0, false, 0),
        (Status::Failed, 1, false, 1),
        (Status::Pending, 2, true, 1),
    ] {
        let server = table(per_shard, ends).await;
        let (page, queries, further) = page(&server, status, Duration::ZERO).await;
        assert!(page.entries.is_empty(), "{status:?}");
        assert!(page.next.is_some(), "{status:?}");
        assert_eq!((queries, further), (16, reads), "{status:?}");
    }
}

#[tokio::test]
async fn a_page_of_few_tasks_is_read_in_few_calls_where_its_filter_is_rare() {
    let server = table(30, true).await;
    let (page, queries, further) = page(&server, Status::Pending, Duration::from_hours(1)).await;
    assert!(page.entries.is_empty() && page.next.is_none());
    assert_eq!(queries, 16);
    // 480 keys: 1, 2, 4 and so on up to 64, then 100 at a time.
    assert_eq!(further, 11);
}
