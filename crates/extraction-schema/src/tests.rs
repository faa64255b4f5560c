use serde_json::json;

use super::*;

mod conform;

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
fn references_may_be_escaped_and_point_to_true_or_false() {
    let schema = Schema::parse(json!({
        "type": "object",
        "properties": {
            "city": { "$ref": "#/$defs/a%20place~1of%C3%BC" },
            "note": { "$ref": "#/$defs/any", "description": "free" },
            "fax": { "$ref": "#/$defs/none" },
        },
        "$defs": { "a place/ofü": { "type": "string" }, "any": true, "none": false },
    }))
    .unwrap();
    assert_eq!(
        schema.as_json()["properties"]["city"],
        json!({ "type": "string" })
    );
    schema
        .conform(object(json!({ "city": "Rome", "note": [7] })))
        .unwrap();
    for wrong in [json!({ "city": {} }), json!({ "fax": "1" })] {
        assert!(schema.conform(object(wrong)).is_err());
    }
    for (reference, why) in [
        ("#/$defs/b", "does not exist"),
        ("#/$defs/%ff", "does not exist"),
        ("#/type", "not a schema"),
    ] {
        let schema = with(json!({ "properties": { "a": { "$ref": reference } } }));
        assert!(refusal(schema).contains(why), "{reference}");
    }
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

/// A schema with these members beside its type.
fn with(members: Value) -> Value {
    let mut schema = object(members);
    schema.insert("type".to_owned(), "object".into());
    schema.into()
}

fn pattern_fields(patterns: impl IntoIterator<Item = String>) -> Value {
    let field = |(n, pattern)| (format!("f{n}"), json!({ "pattern": pattern }));
    let fields: Map<_, _> = patterns.into_iter().enumerate().map(field).collect();
    with(json!({ "properties": fields }))
}

#[test]
fn patterns_are_counted_wherever_they_are() {
    let places: [fn(usize) -> Value; 4] = [
        |count| pattern_fields((0..count).map(|n| format!("a.b{n}"))),
        |count| {
            let patterns: Map<_, _> = (0..count).map(|n| (format!("a.b{n}"), json!(true))).collect();
            with(json!({ "patternProperties": patterns }))
        },
        |count| {
            let fields: Map<_, _> = (0..count)
                .map(|n| (format!("f{n}"), json!({ "$ref": "#/$defs/a" })))
                .collect();
            with(json!({ "properties": fields, "$defs": { "a": { "pattern": "a.b" } } }))
        },
        |count| {
            let all = vec![json!({ "not": { "prefixItems": [{ "pattern": "a.b" }] } }); count];
            with(json!({ "if": { "anyOf": all } }))
        },
    ];
    for place in places {
        Schema::parse(place(MAX_PATTERNS)).unwrap();
        let refusal = refusal(place(MAX_PATTERNS + 1));
        assert!(refusal.contains("at most 32"), "{refusal}");
    }
    let names_and_values = json!({ "properties": { "pattern": {} }, "enum": [{ "pattern": "(" }] });
    Schema::parse(with(names_and_values)).unwrap();
}

#[test]
fn schemas_that_evaluate_each_other_again_are_limited() {
    let nested = |levels: usize, keyword: &str, through: fn(Value) -> Value| {
        let innermost = json!({ "properties": { "a": { "pattern": "a.b" } } });
        with((0..levels).fold(innermost, |schema, _| {
            let mut outer = object(through(schema));
            outer.insert(keyword.to_owned(), json!(false));
            outer.into()
        }))
    };
    let ways: [fn(Value) -> Value; 3] = [
        |schema| json!({ "allOf": [schema], "properties": {} }),
        |schema| json!({ "properties": { "a": schema } }),
        |schema| json!({ "properties": {}, "anyOf": [{ "items": schema }] }),
    ];
    for way in ways {
        for keyword in ["unevaluatedProperties", "unevaluatedItems"] {
            Schema::parse(nested(MAX_UNEVALUATED_DEPTH, keyword, way)).unwrap();
            let refusal = refusal(nested(MAX_UNEVALUATED_DEPTH + 1, keyword, way));
            assert!(refusal.contains("at most 4 levels"), "{refusal}");
        }
    }
    // Beside each other, each evaluates only what is its own.
    let one = json!({ "properties": {}, "unevaluatedProperties": false });
    Schema::parse(with(json!({ "properties": {}, "allOf": vec![one; 20] }))).unwrap();
}

#[test]
fn length_of_all_patterns_together_is_limited() {
    let half = "a".repeat(MAX_PATTERN_BYTES / 2);
    Schema::parse(pattern_fields([half.clone(), half.clone()])).unwrap();
    let refusal = refusal(pattern_fields([half.clone(), half, "a".to_owned()]));
    assert!(refusal.contains("2000 bytes"), "{refusal}");
}

#[test]
fn work_of_the_classes_of_all_patterns_together_is_limited() {
    for pattern in [
        "(?i)^(yes|no)$".to_owned(),
        "(?i)^[a-z0-9 ._-]{1,40}$".to_owned(),
        r"(?i)^[\p{L} '-]+$".to_owned(),
        r"^[\p{Lu}][\p{L}\p{M}]*$".to_owned(),
        r"^[\w.+-]+@\w+(\.\w+)+$".to_owned(),
        "[ -\u{10ffff}]".repeat(200),
        r"(?i)[^\d]".repeat(100),
    ] {
        Schema::parse(pattern_fields([pattern.clone()])).expect(&pattern);
    }
    for pattern in [
        format!("(?i){}", "[ -\u{10ffff}]".repeat(249)),
        format!("(?i){}", "[ -\u{10ffff}]{0}".repeat(100)),
        format!("a|(?s-m:b|(?mi:{}))", "[ -\u{10ffff}]".repeat(100)),
        format!(r"(?i){}", r"[\Wa]".repeat(300)),
        format!("(?i){}", r"\PL".repeat(600)),
        format!("(?i){}[:^alpha:]{}", "[]".repeat(100), "]".repeat(100)),
        format!("(?i){}", "[][:^ascii:]]".repeat(100)),
        format!("(?i:{}[ -\u{10ffff}]{})", "[]".repeat(20), "]".repeat(20)),
        r"\pL".repeat(660),
        format!(r"\cA{}", r"\pL".repeat(600)),
        format!("[{}]", r"\pL\PL".repeat(300)),
    ] {
        let refusal = refusal(pattern_fields([pattern.clone()]));
        assert!(
            refusal.contains("take too long to compile"),
            "{pattern}: {refusal}"
        );
    }
    let one = "(?i)[ -\u{10ffff}]".to_owned();
    let largest = vec![one; MAX_CLASS_WORK / 0x11_0000];
    Schema::parse(pattern_fields(largest.clone())).unwrap();
    let beyond = largest.into_iter().chain(["(?i)[ -\u{10ffff}]".to_owned()]);
    assert!(refusal(pattern_fields(beyond)).contains("take too long to compile"));
}

#[test]
fn compiled_patterns_share_one_limit() {
    let large = || r"\p{L}{20}x".to_owned();
    let small = (0..31).map(|n| format!("a.b{n}"));
    Schema::parse(pattern_fields([large()])).unwrap();
    Schema::parse(pattern_fields(small.clone())).unwrap();
    let refusal = refusal(pattern_fields(small.chain([large()])));
    assert!(
        refusal.contains(r"\\p{L}{20}x") && refusal.contains("32768 bytes"),
        "{refusal}"
    );
}

#[test]
fn limits_are_checked_before_a_pattern_is_compiled() {
    let invalid = vec!["(".to_owned(); MAX_PATTERNS + 1];
    assert!(refusal(pattern_fields(invalid)).contains("at most 32"));
}

#[test]
fn size_is_limited_once_references_are_inlined() {
    let described =
        |bytes: usize| with(json!({ "properties": { "a": { "description": "x".repeat(bytes) } } }));
    let frame = described(0).to_string().len();
    let largest = Schema::parse(described(MAX_INLINED_BYTES - frame)).unwrap();
    assert_eq!(largest.as_json().to_string().len(), MAX_INLINED_BYTES);
    assert!(refusal(described(MAX_INLINED_BYTES - frame + 1)).contains("32768 bytes"));

    let names: Vec<_> = (0..1_200).map(|n| format!("name {n}")).collect();
    let references: Map<_, _> = (0..200)
        .map(|n| (format!("f{n}"), json!({ "$ref": "#/$defs/a" })))
        .collect();
    let repeated = with(json!({ "properties": references, "$defs": { "a": { "enum": names } } }));
    assert!(refusal(repeated).contains("32768 bytes"));

    let merged: Map<_, _> = (0..200)
        .map(|n| (format!("f{n}"), json!({ "title": "", "$ref": "#/$defs/a" })))
        .collect();
    let merged = with(json!({ "properties": merged, "$defs": { "a": { "title": "x".repeat(130) } } }));
    assert!(refusal(merged).contains("32768 bytes"));
}

#[test]
fn true_and_false_count_as_subschemas() {
    let fields = |count: usize| -> Map<_, _> { (0..count).map(|n| (format!("f{n}"), json!(true))).collect() };
    Schema::parse(with(json!({ "properties": fields(MAX_SUBSCHEMAS - 1) }))).unwrap();
    let refusal = refusal(with(json!({ "properties": fields(MAX_SUBSCHEMAS) })));
    assert!(refusal.contains("at most 1000"), "{refusal}");
}

#[test]
fn flat_form_has_the_limits_of_a_schema() {
    let lists = Schema::parse(json!({ "a": "int[][]" })).unwrap();
    assert_eq!(
        lists.as_json()["properties"]["a"],
        json!({
            "type": ["array", "null"],
            "items": { "type": "array", "items": { "type": "integer" } },
        })
    );
    // Expanded without a limit, this many lists overflow the stack.
    let deep = format!("string{}", "[]".repeat(100_000));
    assert!(refusal(json!({ "a": deep })).contains("too deep"));
    let fields: Map<_, _> = (0..=MAX_SUBSCHEMAS)
        .map(|n| (format!("f{n}"), json!("string")))
        .collect();
    assert!(refusal(fields.into()).contains("at most 1000"));
    let long: Map<_, _> = (0..20).map(|n| (format!("{n:01000}"), json!("string"))).collect();
    assert!(refusal(long.into()).contains("32768 bytes"));
}
