//! The dashboard's files, as any client gets them. web/tests tests the dashboard itself in a browser.

use mesh_tests::Api;

#[test]
fn the_page_loads_nothing_from_other_hosts_and_is_revalidated() {
    let api = Api::new();
    let page = api.send("GET", "/", &[], None);
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert_eq!(page.header("cache-control"), "no-cache");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    let known = [("if-none-match", page.header("etag"))];
    let again = api.send("GET", "/", &known, None);
    assert_eq!(again.status, 304, "{again:?}");
    assert_eq!(again.header("content-security-policy"), policy);
    assert_eq!(
        api.send("GET", "/", &[("if-none-match", "W/\"0\"")], None).status,
        200
    );
}

#[test]
fn only_the_dashboard_s_own_files_are_served() {
    let api = Api::new();
    for path in [
        "/index.html",
        "/bootstrap",
        "/assets/index.html",
        "/assets/nothing.js",
        "/assets/..%2findex.html",
        "/assets/..%2f..%2fbootstrap",
        "/assets/%2fproc%2fself%2fenviron",
        "/assets/",
    ] {
        let reply = api.send("GET", path, &[], None);
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
    }
}
