use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// Every operation of the document, as `get /v1/tasks`.
fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| format!("{method} {path}"))
    });
    each.collect()
}

/// Every route of the router, by its source: axum does not tell them.
fn routes() -> BTreeSet<String> {
    let source = include_str!("../app.rs");
    let (_, v1) = source.split_once("let v1 = Router::new()").unwrap();
    let (v1, rest) = v1.split_once("let router = Router::new()").unwrap();
    let of = |part: &str, prefix: &str| {
        let mut routes = Vec::new();
        for route in part.split(".route(\"").skip(1) {
            let (path, handlers) = route.split_once('"').unwrap();
            let handlers = handlers.split("\n        .").next().unwrap();
            for method in ["get", "post"] {
                if handlers.contains(&format!("{method}(")) {
                    routes.push(format!("{method} {prefix}{path}"));
                }
            }
        }
        routes
    };
    let earlier = include_str!("../compat.rs");
    of(v1, "/v1")
        .into_iter()
        .chain(of(rest, ""))
        .chain(of(earlier, ""))
        .collect()
}

#[test]
fn every_route_is_in_the_document_and_no_other() {
    let undocumented = [
        "get /",
        "get /assets/{file}",
        "get /docs",
        "get /docs/page.css",
        "get /docs/page.js",
        "get /openapi.json",
    ];
    let mut routes = routes();
    for route in undocumented {
        assert!(routes.remove(route), "{route} is served");
    }
    assert!(routes.len() >= 27, "{routes:?}");
    assert_eq!(operations(&document()), routes);
}

#[test]
fn every_reference_has_its_target_and_every_schema_is_referred_to() {
    fn collect(value: &Value, references: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    references.insert(reference.clone());
                }
                fields.values().for_each(|value| collect(value, references));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
            _ => {}
        }
    }
    let document = document();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    for reference in &references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        let reference = format!("#/components/schemas/{name}");
        assert!(references.contains(&reference), "nothing refers to {name}");
    }
}

/// `cargo xtask openapi` has it written anew.
#[test]
fn the_document_is_the_one_in_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let written = format!("{:#}\n", document());
    if std::env::var_os("AI_MESH_WRITE_OPENAPI").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == written,
        "docs/openapi.json is not what the API says of itself: run `cargo xtask openapi`, and look at the difference"
    );
}
