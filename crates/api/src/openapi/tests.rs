use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::router::tests::served_document;

#[tokio::test]
async fn the_document_has_every_operation() {
    let document = served_document().await;
    let paths = document["paths"].as_object().unwrap();
    let operations: usize = paths.values().map(|item| item.as_object().unwrap().len()).sum();
    // By construction each is served. A route that moves to a plain `.route()` is missed here.
    assert_eq!(operations, 28);
}

#[tokio::test]
async fn every_reference_has_its_target_and_every_schema_is_referred_to() {
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
    let document = served_document().await;
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

/// `cargo xtask openapi` sets the variable, so that the test writes the file anew.
#[tokio::test]
async fn the_document_is_the_one_in_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let served = format!("{:#}\n", served_document().await);
    if std::env::var_os("AI_MESH_WRITE_OPENAPI").is_some() {
        std::fs::write(&path, &served).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        checked_in == served,
        "docs/openapi.json is out of date: run `cargo xtask openapi`, and review the difference"
    );
}
