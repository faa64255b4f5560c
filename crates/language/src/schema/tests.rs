use super::*;

fn refusal(schema: Value) -> String {
    Schema::parse(schema).unwrap_err().to_string()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn the_flat_form_is_a_schema_whose_fields_may_be_null() {
    let schema = Schema::parse(json!({ "name": "string", "age": "int", "tags": "string[]" })).unwrap();
    assert_eq!(
        schema.as_json(),
        &json!({
            "type": "object",
            "properties": {
                "name": { "type": ["string", "null"] },
                "age": { "type": ["integer", "null"] },
                "tags": { "type": ["array", "null"], "items": { "type": "string" } },
            },
            "required": ["age", "name", "tags"],
            "additionalProperties": false,
        })
    );
    let fitted = schema.fit(object(json!({ "name": "Ada" })));
    assert_eq!(
        fitted.unwrap(),
        object(json!({ "name": "Ada", "age": null, "tags": null }))
    );
}

#[test]
fn a_field_may_be_named_like_a_keyword() {
    for schema in [
        json!({ "type": "string", "title": "string" }),
        json!({ "properties": "integer" }),
        json!({ "type": "object", "properties": { "$ref": { "type": "string" }, "items": { "type": "number" } } }),
    ] {
        Schema::parse(schema).unwrap();
    }
}

#[test]
fn nothing_is_ever_fetched() {
    for reference in [
        "http://169.254.169.254/latest/meta-data",
        "https://json-schema.org/draft/2020-12/schema",
        "file:///etc/passwd",
        "other.json",
        "#anchor",
        "",
    ] {
        let schema = json!({ "type": "object", "properties": { "a": { "$ref": reference } } });
        let refusal = refusal(schema);
        assert!(refusal.contains("nothing is fetched"), "{reference}: {refusal}");
    }
    let meta = json!({ "$schema": "http://example.com/my-own-dialect", "type": "object", "properties": {} });
    assert!(refusal(meta).contains("no valid JSON Schema"));
    let dynamic = json!({ "type": "object", "properties": { "a": { "$dynamicRef": "#node" } } });
    assert!(refusal(dynamic).contains("$dynamicRef"));
}

#[test]
fn a_schema_can_t_run_in_circles_or_unfold_without_end() {
    let circle = json!({
        "type": "object",
        "allOf": [{ "$ref": "#/$defs/a" }],
        "$defs": { "a": { "allOf": [{ "$ref": "#/$defs/b" }] }, "b": { "$ref": "#/$defs/a" } },
    });
    assert!(refusal(circle).contains("refers to itself"));
    assert!(refusal(json!({ "type": "object", "properties": { "a": { "$ref": "#" } } })).contains("itself"));

    // Each level is twice the next: 2^14 at the end, and 2^14 times the work to validate.
    let level = |n: u32| {
        let next = json!({ "$ref": format!("#/$defs/l{}", n + 1) });
        (format!("l{n}"), json!({ "anyOf": [next, next] }))
    };
    let mut defs: Map<_, _> = (0..14).map(level).collect();
    defs.insert("l14".to_owned(), json!({ "type": "string" }));
    let schema = json!({ "type": "object", "properties": { "a": { "$ref": "#/$defs/l0" } }, "$defs": defs });
    let refusal = refusal(schema);
    assert!(
        refusal.contains("too deep") || refusal.contains("too large"),
        "{refusal}"
    );
}

#[test]
fn a_schema_has_its_limits() {
    let deep = (0..MAX_SCHEMA_DEPTH + 1).fold(
        json!({ "type": "string" }),
        |inner, _| json!({ "type": "object", "properties": { "a": inner } }),
    );
    assert!(refusal(deep).contains("too deep"));
    let fields: Map<_, _> = (0..2_000).map(|n| (format!("f{n}"), json!({}))).collect();
    assert!(refusal(json!({ "type": "object", "properties": fields })).contains("too large"));
}

#[test]
fn what_is_no_schema_of_an_object_is_refused_with_what_to_send() {
    for schema in [
        json!("string"),
        json!([]),
        json!({}),
        json!({ "type": "array", "items": { "type": "string" } }),
        json!({ "name": "string", "age": 7 }),
        json!({ "name": "strange" }),
    ] {
        assert!(
            refusal(schema.clone()).contains(r#"{"name": "string"}"#),
            "{schema}"
        );
    }
    let wrong = json!({ "type": "object", "properties": { "a": { "type": "strin" } } });
    assert!(refusal(wrong).contains("no valid JSON Schema"));
}

#[test]
fn references_are_put_in_with_what_stands_beside_them() {
    let schema = Schema::parse(json!({
        "$id": "https://example.com/order",
        "type": "object",
        "properties": {
            "to": { "$ref": "#/$defs/place", "description": "where it goes" },
            "from": { "$ref": "#/$defs/place", "type": "object" },
        },
        "$defs": { "place": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] } },
    }))
    .unwrap();
    assert!(!schema.as_json().to_string().contains("$ref"));
    assert_eq!(
        schema.as_json()["properties"]["to"]["description"],
        "where it goes"
    );
    schema.fit(object(json!({ "to": { "city": "Rome" } }))).unwrap();
    for wrong in [json!({ "to": {} }), json!({ "from": {} })] {
        assert!(schema.fit(object(wrong)).unwrap_err().contains("city"));
    }
}

#[test]
fn what_is_wrong_is_told_without_the_values() {
    let schema = Schema::parse(json!({
        "type": "object",
        "properties": { "age": { "type": "integer", "minimum": 0 }, "city": { "enum": ["Rome", "Oslo"] } },
        "required": ["age"],
    }))
    .unwrap();
    let wrong = schema
        .fit(object(json!({ "age": "a private matter", "city": "Atlantis" })))
        .unwrap_err();
    assert!(wrong.contains("/age") && wrong.contains("integer"), "{wrong}");
    assert!(wrong.contains("Rome"), "{wrong}");
    assert!(
        !wrong.contains("private") && !wrong.contains("Atlantis"),
        "{wrong}"
    );
}

#[test]
fn a_pattern_takes_linear_time() {
    let schema = |pattern: &str| json!({ "type": "object", "properties": { "a": { "type": "string", "pattern": pattern } } });
    // It would take 2^60 steps to backtrack.
    let evil = Schema::parse(schema("^(a+)+$")).unwrap();
    let fitted = evil.fit(object(json!({ "a": format!("{}!", "a".repeat(60)) })));
    assert!(fitted.is_err());
    assert!(
        Schema::parse(schema(r"(a)\1")).is_err(),
        "a back-reference needs backtracking"
    );
    assert!(Schema::parse(schema("((a{1000}){1000}){1000}")).is_err());
}
