//! Answers by a schema.

use super::*;

/// To coerce it, a branch of a union is taken by its type, which may be another one than the valid one.
#[test]
fn a_valid_object_is_returned_as_it_is() {
    let closed = |properties: Value| json!({ "type": "object", "properties": properties, "additionalProperties": false });
    let animals = |union: &str| {
        let dog = closed(json!({ "kind": { "const": "dog" }, "bark": { "type": "string" } }));
        let cat = closed(json!({ "kind": { "const": "cat" }, "meow": { "type": "string" } }));
        json!({ "properties": { "pet": { union: [dog, cat] } } })
    };
    let email = closed(json!({ "email": { "type": "string" } }));
    let phone = closed(json!({ "phone": { "type": "string" } }));
    for (schema, valid) in [
        (
            animals("anyOf"),
            json!({ "pet": { "kind": "cat", "meow": "loud" } }),
        ),
        (
            animals("oneOf"),
            json!({ "pet": { "kind": "cat", "meow": "loud" } }),
        ),
        (
            json!({ "properties": { "contact": { "anyOf": [email, phone] } } }),
            json!({ "contact": { "phone": "123" } }),
        ),
        (
            json!({ "properties": {}, "patternProperties": { "^n_": { "type": "string" } },
                    "additionalProperties": { "type": "integer" } }),
            json!({ "n_x": "42", "y": 1 }),
        ),
        (
            json!({ "properties": { "row": { "prefixItems": [{ "type": "string" }], "items": { "type": "integer" } } } }),
            json!({ "row": ["42", 7] }),
        ),
        (
            json!({ "properties": { "zip": { "anyOf": [
                { "type": "array", "items": { "type": "integer" } },
                { "type": "array", "items": { "type": "string" } },
            ] } } }),
            json!({ "zip": ["01234"] }),
        ),
        (
            json!({ "properties": { "a": { "type": ["string", "null"], "enum": ["null", "x", null] } } }),
            json!({ "a": "null" }),
        ),
    ] {
        let conformed = Schema::parse(schema.clone())
            .unwrap()
            .conform(object(valid.clone()));
        assert_eq!(conformed, Ok(object(valid)), "{schema}");
    }
}

#[test]
fn mismatch_does_not_quote_values() {
    let schema = Schema::parse(json!({
        "type": "object",
        "properties": { "age": { "type": "integer", "minimum": 0 }, "city": { "enum": ["Rome", "Oslo"] } },
        "required": ["age"],
    }))
    .unwrap();
    let wrong = schema
        .conform(object(json!({ "age": "a private matter", "city": "Atlantis" })))
        .unwrap_err()
        .to_string();
    assert!(wrong.contains("/age") && wrong.contains("integer"), "{wrong}");
    assert!(wrong.contains("Rome"), "{wrong}");
    assert!(
        !wrong.contains("private") && !wrong.contains("Atlantis"),
        "{wrong}"
    );
}

/// All errors of 2,000 empty objects that lack 1,500 members each take 1.1 GB.
#[test]
fn the_errors_of_a_large_mismatch_are_not_listed() {
    let names: Vec<_> = (0..1_500).map(|number| format!("n{number}")).collect();
    let parts = json!({ "type": "object", "properties": {
        "items": { "type": "array", "items": { "type": "object", "required": names } },
    } });
    let schema = Schema::parse(parts).unwrap();
    let mismatch = |objects: usize| {
        let items = vec![json!({}); objects];
        schema
            .conform(object(json!({ "items": items })))
            .unwrap_err()
            .to_string()
    };
    let listed = mismatch(100);
    assert_eq!(listed.matches("at /items/0: ").count(), 5, "{listed}");
    assert_eq!(
        mismatch(2_000),
        "it does not match the schema, and is too large to list where"
    );
}
