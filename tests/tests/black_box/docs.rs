//! The API's document and its pages: for everybody, and from nobody else's host.

use mesh_tests::Api;

#[test]
fn the_document_is_the_one_that_is_kept() {
    let kept = include_str!("../../../docs/openapi.json");
    let kept: serde_json::Value = serde_json::from_str(kept).unwrap();
    let reply = Api::new().send("GET", "/openapi.json", &[], None);
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(reply.body, kept);
}

#[test]
fn the_pages_load_nothing_from_elsewhere() {
    let api = Api::new();
    let page = api.send("GET", "/docs", &[], None);
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    );
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    for (path, content_type) in [
        ("/docs/page.js", "text/javascript; charset=utf-8"),
        ("/docs/page.css", "text/css; charset=utf-8"),
    ] {
        let file = api.send("GET", path, &[], None);
        assert_eq!(
            (file.status, file.header("content-type")),
            (200, content_type),
            "{path}"
        );
    }
}
