use super::*;

fn refusal(schema: Value) -> String {
    Schema::parse(schema).unwrap_err().to_string()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn flat_form_fields_are_required_and_nullable() {
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
    let conformed = schema.conform(object(json!({ "name": "Ada" })));
    assert_eq!(
        conformed.unwrap(),
        object(json!({ "name": "Ada", "age": null, "tags": null }))
    );
}

#[test]
fn field_may_have_the_name_of_a_keyword() {
    for schema in [
        json!({ "type": "string", "title": "string" }),
        json!({ "properties": "integer" }),
        json!({ "type": "object", "properties": { "$ref": { "type": "string" }, "items": { "type": "number" } } }),
    ] {
        Schema::parse(schema).unwrap();
    }
}

#[test]
fn references_to_other_documents_are_refused() {
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
    assert!(refusal(meta).contains("not a valid JSON Schema"));
    let dynamic = json!({ "type": "object", "properties": { "a": { "$dynamicRef": "#node" } } });
    assert!(refusal(dynamic).contains("$dynamicRef"));
}

#[test]
fn recursive_and_exploding_references_are_refused() {
    let recursive = json!({
        "type": "object",
        "allOf": [{ "$ref": "#/$defs/a" }],
        "$defs": { "a": { "allOf": [{ "$ref": "#/$defs/b" }] }, "b": { "$ref": "#/$defs/a" } },
    });
    assert!(refusal(recursive).contains("refers to itself"));
    assert!(refusal(json!({ "type": "object", "properties": { "a": { "$ref": "#" } } })).contains("itself"));

    // Each level refers to the next one twice, so inlined there are 2^14 of the last.
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
fn depth_and_size_are_limited() {
    let deep = (0..MAX_SCHEMA_DEPTH + 1).fold(
        json!({ "type": "string" }),
        |inner, _| json!({ "type": "object", "properties": { "a": inner } }),
    );
    assert!(refusal(deep).contains("too deep"));
    let fields: Map<_, _> = (0..2_000).map(|n| (format!("f{n}"), json!({}))).collect();
    assert!(refusal(json!({ "type": "object", "properties": fields })).contains("too large"));
}

#[test]
fn schema_that_does_not_describe_an_object_is_refused_with_advice() {
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
    assert!(refusal(wrong).contains("not a valid JSON Schema"));
}

#[test]
fn references_are_inlined_with_their_sibling_keywords() {
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
    schema
        .conform(object(json!({ "to": { "city": "Rome" } })))
        .unwrap();
    for wrong in [json!({ "to": {} }), json!({ "from": {} })] {
        let mismatch = schema.conform(object(wrong)).unwrap_err().to_string();
        assert!(mismatch.contains("city"));
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

#[test]
fn patterns_match_in_linear_time() {
    let schema = |pattern: &str| json!({ "type": "object", "properties": { "a": { "type": "string", "pattern": pattern } } });
    // A backtracking engine would take 2^60 steps.
    let exponential = Schema::parse(schema("^(a+)+$")).unwrap();
    let conformed = exponential.conform(object(json!({ "a": format!("{}!", "a".repeat(60)) })));
    assert!(conformed.is_err());
    assert!(
        Schema::parse(schema(r"(a)\1")).is_err(),
        "a back-reference needs backtracking"
    );
    assert!(Schema::parse(schema("((a{1000}){1000}){1000}")).is_err());
}
