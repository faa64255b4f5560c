//! What is refused before any route sees it.

use http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use mesh_task::Tenant;
use serde_json::json;

use super::*;

const FOREIGN: [(&str, &str); 3] = [
    ("origin", "https://evil.example"),
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-site", "same-site"),
];

/// How many tasks the server was given.
async fn tasks(server: &Server) -> usize {
    server.embedded.uncounted(10).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_or_page_reaches_no_route_and_the_problem_says_why() {
    let server = Server::start(&["--compat"]);
    let task = json!({ "type": "text", "data": "fine" });
    let token = ("x-service-token", TOKEN);
    for (name, value) in FOREIGN {
        for target in ["/submit", "/task", "/v1/tasks", "/nowhere"] {
            let (status, problem) = server.answer(post(target, &[token, (name, value)], &task)).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{target} {name}: {problem}");
            assert_eq!(problem["type"], "urn:ai-mesh:problem:foreign-page");
            assert!(problem["request_id"].as_str().is_some_and(|id| !id.is_empty()));
        }
        for target in ["/health", "/jobs", "/v1/events", "/openapi.json", "/"] {
            let (status, _) = server.answer(get(target, &[token, (name, value)])).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{target} {name}");
        }
    }
    for target in ["/health", "/submit", "/v1/events", "/payloads/default/1", "/"] {
        let (status, problem) = server
            .answer(post(target, &[token, ("host", "evil.example")], &task))
            .await;
        assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{target}: {problem}");
        assert_eq!(problem["type"], "urn:ai-mesh:problem:misdirected-request");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("evil.example") && detail.contains("http://127.0.0.1:8000"),
            "{detail}"
        );
    }
    let preflight = request(Method::OPTIONS, "/submit", &[("origin", "https://evil.example")]);
    let preflight = preflight.header("access-control-request-method", "POST");
    let refused = server.send(preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(refused.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN), None);
    let (status, _) = server.answer(post("/submit", &[], &task)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(tasks(&server).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_the_given_origin_may_call() {
    let server = Server::start(&["--web-origin", "https://app.example.org"]);
    let page = [
        ("origin", "https://app.example.org"),
        ("sec-fetch-site", "cross-site"),
    ];
    let response = server.send(get("/health", &page)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN],
        "https://app.example.org"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_address_works_from_the_dashboard_at_another_name_of_the_server() {
    let server = Server::start(&["--public-url", "https://mesh.example.org"]);
    let sha256 = hex::encode(Sha256::digest("fine"));
    let upload = json!({ "content_type": "text/plain", "length": 4, "sha256": sha256 });
    let announce = post("/v1/uploads", &[("x-service-token", TOKEN)], &upload);
    let (status, announced) = server.answer(announce).await;
    assert_eq!(status, StatusCode::CREATED, "{announced}");
    let url = announced["url"].as_str().unwrap();
    let target = url.strip_prefix("https://mesh.example.org").unwrap();
    let page = [
        ("host", "mesh.example.org"),
        ("origin", "http://localhost:8000"),
        ("sec-fetch-site", "cross-site"),
        ("content-type", "text/plain"),
        ("content-length", "4"),
    ];
    let put = |body: &'static str| {
        request(Method::PUT, target, &page)
            .body(Body::from(body))
            .unwrap()
    };
    let response = server.send(put("fine")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let key = format!(
        "{}/uploads/{}",
        Tenant::first(),
        announced["id"].as_str().unwrap()
    );
    assert!(server.embedded.payloads().file(&key).await.unwrap().is_some());
    let preflight = request(Method::OPTIONS, target, &page).header("access-control-request-method", "PUT");
    let allowed = server.send(preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(allowed.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
}
