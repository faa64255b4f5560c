//! Refuses what a web page may have sent without its user's will.
//!
//! Pages that their user opens can send requests to this machine too. A browser says which page sends a request: `Origin` and
//! `Sec-Fetch-Site` report a page of another origin, and programs send neither. `Host` is the name of the page's own server
//! if that name now resolves to this machine (DNS rebinding).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method};
use mesh_http::{Problem, ProblemKind};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Where the signed addresses are. Whoever has one may use it, from any page.
pub(crate) const SIGNED_PATH: &str = "/payloads/";
/// The pages. A link of another page may lead to them: that page can't read them or put them into a frame.
const PAGES: [&str; 2] = ["/", "/docs"];

/// Which hosts and origins are accepted.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    pub(crate) hosts: Vec<AllowedHost>,
    /// The origins of pages that may call, as browsers write them.
    pub(crate) origins: Vec<String>,
    /// The address to call instead.
    pub(crate) address: String,
}

/// A host by which clients may call.
#[derive(Debug, Clone)]
pub(crate) struct AllowedHost {
    /// In lower case; an IPv6 address in brackets.
    pub(crate) name: String,
    /// `None` allows any.
    pub(crate) port: Option<u16>,
    pub(crate) may_omit_port: bool,
}

impl AllowedHost {
    fn allows(&self, authority: &Authority) -> bool {
        self.name.eq_ignore_ascii_case(authority.host())
            && match (self.port, authority.port_u16()) {
                (_, None) => self.may_omit_port,
                (allowed, Some(port)) => allowed.is_none_or(|allowed| allowed == port),
            }
    }
}

impl Guard {
    /// # Errors
    /// The problem `misdirected-request` or `foreign-page`.
    fn check(&self, request: &Request) -> Result<(), Problem> {
        self.check_host(request)?;
        if request.uri().path().starts_with(SIGNED_PATH) || is_navigation(request) {
            return Ok(());
        }
        self.check_page(request.headers())
    }

    fn check_host(&self, request: &Request) -> Result<(), Problem> {
        let headers: Vec<_> = request.headers().get_all(HOST).iter().collect();
        let named = match headers[..] {
            [host] => host.to_str().unwrap_or_default(),
            _ => "",
        };
        let is_allowed = |authority: &Authority| {
            let is_host = !authority.as_str().contains('@');
            is_host && self.hosts.iter().any(|host| host.allows(authority))
        };
        // A request whose target is a whole address names the host there too.
        let target = request.uri().authority().is_none_or(is_allowed);
        if target && named.parse().as_ref().is_ok_and(is_allowed) {
            return Ok(());
        }
        Err(Problem::new(
            ProblemKind::MisdirectedRequest,
            format!(
                "this server is not known as `{named}`: call it at {}, or start it with --host and that name",
                self.address
            ),
        ))
    }

    fn check_page(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let mut origins = headers.get_all(ORIGIN).iter().peekable();
        if origins.peek().is_some() {
            let host = headers.get(HOST).map(|host| host.as_bytes()).unwrap_or_default();
            return origins.try_for_each(|origin| {
                let origin = origin.as_bytes();
                let is_own = |scheme: &[u8]| origin.strip_prefix(scheme) == Some(host);
                let is_known = |known: &String| origin.eq_ignore_ascii_case(known.as_bytes());
                if is_own(b"http://") || is_own(b"https://") || self.origins.iter().any(is_known) {
                    return Ok(());
                }
                Err(foreign(&format!(
                    "pages of {} may not call this server: call it from a program, or start it with --web-origin and \
                     that origin",
                    String::from_utf8_lossy(origin)
                )))
            });
        }
        // `same-site` is another port of this machine, or another host of its domain.
        let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
        match sites.find(|site| !matches!(site.as_bytes(), b"same-origin" | b"none")) {
            None => Ok(()),
            Some(site) => Err(foreign(&format!(
                "a {} page may not call this server: call it from a program, or open the address by hand",
                String::from_utf8_lossy(site.as_bytes())
            ))),
        }
    }
}

fn foreign(detail: &str) -> Problem {
    Problem::new(ProblemKind::ForeignPage, detail)
}

/// Whether a link opens one of the pages in a tab of its own.
fn is_navigation(request: &Request) -> bool {
    let is = |name: HeaderName, value: &str| {
        let mut values = request.headers().get_all(name).iter();
        values.next().is_some_and(|given| given == value) && values.next().is_none()
    };
    request.method() == Method::GET
        && PAGES.contains(&request.uri().path())
        && is(SEC_FETCH_MODE, "navigate")
        && is(SEC_FETCH_DEST, "document")
}

/// Lets a request pass that the guard accepts.
pub(crate) async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    guard.check(&request)?;
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::settings::Cli;

    fn guard(arguments: &[&str]) -> Guard {
        use clap::Parser;
        let settings = Cli::parse_from([&["mesh-server"], arguments].concat()).settings;
        settings.listen.guard("127.0.0.1:8000".parse().unwrap())
    }

    fn check(guard: &Guard, method: &str, target: &str, headers: &[(&str, &str)]) -> Option<ProblemKind> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        guard.check(&request).err().map(|problem| problem.kind())
    }

    #[test]
    fn only_the_server_s_own_names_and_those_given_are_hosts() {
        let plain = guard(&[]);
        let named = guard(&[
            "--public-url",
            "https://mesh.example.org",
            "--host",
            "mesh.lan",
            "--host",
            "mesh.lan2:9000",
        ]);
        for host in ["127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000", "[::1]:8000"] {
            for guard in [&plain, &named] {
                assert_eq!(check(guard, "GET", "/health", &[("host", host)]), None, "{host}");
            }
        }
        for host in [
            "mesh.example.org",
            "mesh.example.org:443",
            "mesh.lan",
            "mesh.lan:1234",
            "mesh.lan2:9000",
        ] {
            assert_eq!(check(&named, "GET", "/health", &[("host", host)]), None, "{host}");
            let refused = check(&plain, "GET", "/health", &[("host", host)]);
            assert_eq!(refused, Some(ProblemKind::MisdirectedRequest), "{host}");
        }
        for host in [
            "",
            "localhost",
            "localhost:80",
            "127.0.0.1",
            "127.0.0.2:8000",
            "localhost.evil.example:8000",
            "evil.example",
            "evil@localhost:8000",
            "localhost:8000, evil.example",
            "mesh.example.org:80",
            "mesh.lan2",
            "mesh.lan2:9001",
        ] {
            let refused = check(&named, "GET", "/health", &[("host", host)]);
            assert_eq!(refused, Some(ProblemKind::MisdirectedRequest), "{host}");
        }
        for headers in [&[][..], &[("host", "localhost:8000"), ("host", "evil.example")]] {
            let refused = check(&plain, "GET", "/health", headers);
            assert_eq!(refused, Some(ProblemKind::MisdirectedRequest), "{headers:?}");
        }
        let refused = check(
            &plain,
            "GET",
            "http://evil.example/health",
            &[("host", "localhost:8000")],
        );
        assert_eq!(refused, Some(ProblemKind::MisdirectedRequest));
    }

    #[test]
    fn pages_of_other_origins_are_refused_and_those_of_the_server_are_not() {
        let guard = guard(&[
            "--public-url",
            "https://mesh.example.org",
            "--web-origin",
            "https://app.example.org",
            "--host",
            "mesh.lan",
        ]);
        let refused = |target: &str, headers: &[(&str, &str)]| {
            let has_host = headers.iter().any(|(name, _)| *name == "host");
            let host = [("host", "localhost:8000")];
            let headers = [if has_host { &[][..] } else { &host }, headers].concat();
            check(&guard, "POST", target, &headers)
        };
        for headers in [
            &[][..],
            &[
                ("origin", "http://localhost:8000"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[
                ("origin", "http://127.0.0.1:8000"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[("origin", "https://mesh.example.org")],
            &[
                ("origin", "https://app.example.org"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[("host", "mesh.lan:8000"), ("origin", "http://mesh.lan:8000")],
            &[("sec-fetch-site", "none")],
        ] {
            assert_eq!(refused("/submit", headers), None, "{headers:?}");
        }
        for headers in [
            &[("origin", "null")][..],
            &[("origin", "https://evil.example")],
            &[("origin", "http://localhost:3000")],
            &[("origin", "https://localhost.evil.example")],
            &[
                ("origin", "http://localhost:8000"),
                ("origin", "https://evil.example"),
            ],
            &[("host", "mesh.lan:8000"), ("origin", "http://mesh.lan:3000")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
        ] {
            let kind = refused("/submit", headers);
            assert_eq!(kind, Some(ProblemKind::ForeignPage), "{headers:?}");
            // A signed address may be used from any page.
            assert_eq!(refused("/payloads/default/1", headers), None, "{headers:?}");
        }
        let kind = refused("/payloads/default/1", &[("host", "evil.example")]);
        assert_eq!(kind, Some(ProblemKind::MisdirectedRequest));
    }

    #[test]
    fn a_link_of_another_page_opens_the_dashboard_and_nothing_else() {
        let guard = guard(&[]);
        let open = |method: &str, target: &str, mode: &str, dest: &str| {
            let headers = [
                ("host", "localhost:8000"),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", dest),
            ];
            check(&guard, method, target, &headers).is_none()
        };
        assert!(open("GET", "/", "navigate", "document") && open("GET", "/docs", "navigate", "document"));
        for (method, target, mode, dest) in [
            ("POST", "/", "navigate", "document"),
            ("GET", "/jobs", "navigate", "document"),
            ("GET", "/", "navigate", "iframe"),
            ("GET", "/", "no-cors", "document"),
            ("GET", "/", "cors", "empty"),
        ] {
            assert!(
                !open(method, target, mode, dest),
                "{method} {target} {mode} {dest}"
            );
        }
    }
}
