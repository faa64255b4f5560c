//! Any event at all: paths, queries, headers, cookies and bodies that no client should send.

use proptest::collection::{hash_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{answers, from_function_url, from_http_api};

/// Any JSON, of a few levels.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            hash_map(any::<String>(), inner, 0..4).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", any::<String>()]
}

fn path() -> impl Strategy<Value = String> {
    let known = prop_oneof![
        Just("/echo"),
        Just("/query"),
        Just("/name/"),
        Just("/health"),
        Just("/")
    ];
    prop_oneof![
        known.clone().prop_map(str::to_owned),
        (known, text()).prop_map(|(path, rest)| path.to_owned() + &rest),
        text()
    ]
}

fn method() -> impl Strategy<Value = String> {
    let known = prop_oneof![
        Just("GET"),
        Just("POST"),
        Just("HEAD"),
        Just("OPTIONS"),
        Just("DELETE")
    ];
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => text()]
}

fn header() -> impl Strategy<Value = (String, Value)> {
    let name = prop_oneof![
        Just("host"),
        Just("Host"),
        Just("x-forwarded-proto"),
        Just("content-type"),
        Just("content-encoding"),
        Just("x-correlation-id"),
        Just("traceparent"),
        Just("origin"),
        Just("access-control-request-method"),
    ];
    let name = prop_oneof![4 => name.prop_map(str::to_owned), 1 => "[a-z-]{1,8}", 1 => text()];
    let value = prop_oneof![
        6 => prop_oneof![Just("https"), Just("a.example:80"), Just("[::1]"), Just("identity")].prop_map(Value::from),
        6 => text().prop_map(Value::from),
        1 => any_json(),
    ];
    (name, value)
}

fn body() -> impl Strategy<Value = String> {
    let escapes = r#"[\[\]{}",:0-9eE.+\\udD8-]{0,24}"#;
    prop_oneof![
        text(),
        escapes,
        any_json().prop_map(|body| body.to_string()),
        "[A-Za-z0-9+/]{0,16}={0,2}"
    ]
}

prop_compose! {
    fn any_event()(
        path in path(),
        method in method(),
        query in option::of(prop_oneof!["[!-~]{0,12}", any::<String>()]),
        headers in vec(header(), 0..5),
        cookies in option::of(vec(text(), 0..3)),
        body in option::of(body()),
        is_base64 in any::<bool>(),
        domain in option::of(text()),
        stage in option::of(text()),
        base in prop_oneof![Just(from_http_api as fn() -> Value), Just(from_function_url as fn() -> Value)],
        replaced in option::weighted(0.2, (0_usize..8, any_json())),
    ) -> Value {
        let mut event = base();
        event["rawPath"] = json!(path);
        event["requestContext"]["http"]["method"] = json!(method);
        event["isBase64Encoded"] = json!(is_base64);
        for (name, value) in headers {
            event["headers"][name] = value;
        }
        for (pointer, value) in [
            ("/rawQueryString", json!(query)),
            ("/cookies", json!(cookies)),
            ("/body", json!(body)),
        ] {
            event[&pointer[1..]] = value;
        }
        if let Some(domain) = domain {
            event["headers"].as_object_mut().unwrap().remove("host");
            event["requestContext"]["domainName"] = json!(domain);
        }
        event["requestContext"]["stage"] = json!(stage);
        if let Some((place, value)) = replaced {
            let pointers = [
                "", "/headers", "/requestContext", "/requestContext/http", "/rawPath", "/body", "/cookies", "/pathParameters",
            ];
            match event.pointer_mut(pointers[place]) {
                Some(part) => *part = value,
                None => event["pathParameters"] = value,
            }
        }
        event
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_event_gets_an_answer(event in any_event()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for answer in runtime.block_on(answers(&event.to_string())) {
            prop_assert!((200..500).contains(&answer.status), "{answer:?}");
            // Lambda takes a text for each header.
            prop_assert!(answer.headers.values().all(Value::is_string), "{answer:?}");
            if answer.status >= 400 && !answer.body.is_empty() {
                prop_assert_eq!(answer.header("content-type"), "application/problem+json");
                let problem: Value = serde_json::from_str(&answer.body).unwrap();
                prop_assert_eq!(&problem["status"], &json!(answer.status));
            }
        }
    }
}
