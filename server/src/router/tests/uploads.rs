//! Uploads and links: the signed addresses of payloads.

use http::header::CONTENT_TYPE;
use serde_json::json;

use super::*;

const ORIGIN: &str = "http://127.0.0.1:8000";

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_takes_the_announced_headers_and_the_whole_address_only() {
    let server = Server::start(&[]);
    let sha256 = hex::encode(Sha256::digest("fine"));
    let content_type = "text/plain; charset=utf-8";
    let upload = json!({ "content_type": content_type, "length": 4, "sha256": sha256 });
    let announce = post("/v1/uploads", &[("x-service-token", TOKEN)], &upload);
    let (status, announced) = server.answer(announce).await;
    assert_eq!(status, StatusCode::CREATED, "{announced}");
    let target = announced["url"].as_str().unwrap().strip_prefix(ORIGIN).unwrap();
    let put = |target: &str, content_type: Option<&str>| {
        let mut put = request(Method::PUT, target, &[]).header("content-length", 4);
        if let Some(content_type) = content_type {
            put = put.header(CONTENT_TYPE, content_type);
        }
        put.body(Body::from("fine")).unwrap()
    };
    let (path, query) = target.split_once('?').unwrap();
    let without_time = format!("{path}?{}", query.split_once('&').unwrap().1);
    let with_two_types = format!("{target}&type=text%2Fhtml");
    for refused in [
        put(target, Some("text/html")),
        put(target, Some("text/plain")),
        put(target, None),
        put(path, Some(content_type)),
        put(&without_time, Some(content_type)),
        put(&with_two_types, Some(content_type)),
        get(path, &[]),
        get(&without_time, &[]),
    ] {
        let case = format!("{} {}", refused.method(), refused.uri());
        let (status, problem) = server.answer(refused).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{case}: {problem}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains("send the announced headers unchanged"),
            "{case}: {problem}"
        );
    }
    let stored = server.send(put(target, Some(content_type))).await;
    assert_eq!(stored.status(), StatusCode::OK);
}

/// A browser seeks in a recording by ranges.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_answers_requests_of_ranges() {
    let server = Server::start(&[]);
    let token = ("x-service-token", TOKEN);
    let text = format!("It begins here. {}", "a ".repeat(5_000));
    let task = json!({ "type": "sentiment", "input": { "text": text } });
    let (status, task) = server.answer(post("/v1/tasks", &[token], &task)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{task}");
    let shown = get(&format!("/v1/tasks/{}", task["id"].as_str().unwrap()), &[token]);
    let (_, shown) = server.answer(shown).await;
    let link = shown["input_link"]["url"].as_str().unwrap();
    let target = link.strip_prefix(ORIGIN).unwrap();
    for (range, status, content) in [
        (None, StatusCode::OK, text.as_str()),
        (Some("bytes=3-8"), StatusCode::PARTIAL_CONTENT, "begins"),
        (Some("bytes=3-"), StatusCode::PARTIAL_CONTENT, &text[3..]),
        (Some("bytes=99999-"), StatusCode::RANGE_NOT_SATISFIABLE, ""),
    ] {
        let range = range.map(|range| ("range", range));
        let response = server.send(get(target, range.as_slice())).await;
        assert_eq!(response.status(), status, "{range:?}");
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(response.headers()["content-disposition"], "attachment");
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body, content.as_bytes(), "{range:?}");
    }
}
