//! The OpenAPI document and the documentation's pages: they are public, and load nothing from other hosts.

use mesh_tests::Api;

#[test]
fn the_served_document_is_docs_openapi_json() {
    let expected = include_str!("../../../docs/openapi.json");
    let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
    let reply = Api::new().send("GET", "/openapi.json", &[], None);
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(reply.body, expected);
}

#[test]
fn the_pages_load_nothing_from_other_hosts() {
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
