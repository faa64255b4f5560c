use serde_json::{Value, json};

use crate::Schema;

const DRAFT_7: &str = "http://json-schema.org/draft-07/schema#";
const DRAFT_2019: &str = "https://json-schema.org/draft/2019-09/schema";
const DRAFT_2020: &str = "https://json-schema.org/draft/2020-12/schema";

fn is_valid(schema: &Value, instance: &Value) -> bool {
    let validator = jsonschema::options().offline().build(schema).unwrap();
    validator.is_valid(instance)
}

/// A schema whose field `a` is a reference to the target, with these keywords beside the reference.
fn schema(draft: &str, siblings: &Value, target: &Value) -> Value {
    let mut field = siblings.clone();
    field["$ref"] = "#/$defs/c".into();
    json!({ "$schema": draft, "type": "object", "properties": { "a": field }, "$defs": { "c": target } })
}

fn inlined(siblings: &Value, target: &Value) -> Value {
    let schema = Schema::parse(schema(DRAFT_2020, siblings, target)).unwrap();
    schema.as_json()["properties"]["a"].clone()
}

#[test]
fn inlined_schema_accepts_what_the_schema_with_references_accepts() {
    let number = json!({ "type": "number" });
    let p = json!({ "properties": { "p": true } });
    let closed = json!({ "additionalProperties": false });
    let no_unevaluated = json!({ "unevaluatedProperties": false });
    // Merged, the keywords of the two schemas change each other's meaning.
    let table = [
        (DRAFT_2020, p.clone(), closed.clone()),
        (DRAFT_2020, closed.clone(), p.clone()),
        (
            DRAFT_2020,
            json!({ "patternProperties": { "^p": true } }),
            closed.clone(),
        ),
        (DRAFT_2020, closed, json!({ "patternProperties": { "^p": true } })),
        (DRAFT_2020, p.clone(), no_unevaluated.clone()),
        (
            DRAFT_2020,
            json!({ "additionalProperties": true }),
            no_unevaluated.clone(),
        ),
        (DRAFT_2020, json!({ "allOf": [p] }), no_unevaluated.clone()),
        (DRAFT_2020, json!({ "anyOf": [p] }), no_unevaluated.clone()),
        (DRAFT_2020, json!({ "oneOf": [p] }), no_unevaluated.clone()),
        (DRAFT_2020, json!({ "if": p }), no_unevaluated.clone()),
        (
            DRAFT_2020,
            json!({ "dependentSchemas": { "p": p } }),
            no_unevaluated,
        ),
        (DRAFT_2020, json!({ "if": true }), json!({ "then": false })),
        (DRAFT_2020, json!({ "then": false }), json!({ "if": true })),
        (DRAFT_2020, json!({ "if": false }), json!({ "else": false })),
        (DRAFT_2020, json!({ "else": false }), json!({ "if": false })),
        (
            DRAFT_2020,
            json!({ "prefixItems": [true] }),
            json!({ "items": false }),
        ),
        (
            DRAFT_2020,
            json!({ "items": false }),
            json!({ "prefixItems": [true] }),
        ),
        (
            DRAFT_2020,
            json!({ "contains": number }),
            json!({ "minContains": 0 }),
        ),
        (
            DRAFT_2020,
            json!({ "minContains": 2 }),
            json!({ "contains": number }),
        ),
        (
            DRAFT_2020,
            json!({ "maxContains": 1 }),
            json!({ "contains": number }),
        ),
        (
            DRAFT_2020,
            json!({ "contains": number }),
            json!({ "unevaluatedItems": false }),
        ),
        (
            DRAFT_2020,
            json!({ "prefixItems": [true] }),
            json!({ "unevaluatedItems": false }),
        ),
        (
            DRAFT_2019,
            json!({ "items": [true] }),
            json!({ "additionalItems": false }),
        ),
        (
            DRAFT_2019,
            json!({ "additionalItems": false }),
            json!({ "items": [true] }),
        ),
        (
            DRAFT_7,
            json!({ "contentEncoding": "base64" }),
            json!({ "contentMediaType": "application/json" }),
        ),
    ];
    let values = [
        json!({}),
        json!({ "p": 1 }),
        json!([]),
        json!([1]),
        json!([1, 2]),
        json!("e30="),
    ];
    let mut changed = Vec::new();
    for (draft, siblings, target) in table {
        let original = schema(draft, &siblings, &target);
        let inlined = Schema::parse(original.clone()).unwrap();
        for value in &values {
            let instance = json!({ "a": value });
            if is_valid(&original, &instance) != is_valid(inlined.as_json(), &instance) {
                changed.push(format!("{value} by {original}"));
            }
        }
    }
    assert!(changed.is_empty(), "{changed:#?}");
}

#[test]
fn reference_is_merged_with_keywords_that_mean_the_same_anywhere() {
    let string = json!({ "type": "string" });
    assert_eq!(
        inlined(&json!({ "description": "a name", "minLength": 2 }), &string),
        json!({ "type": "string", "description": "a name", "minLength": 2 })
    );
    let place = json!({ "type": "object", "properties": { "city": string }, "additionalProperties": false });
    assert_eq!(
        inlined(&json!({ "description": "where", "required": ["city"] }), &place),
        json!({
            "type": "object",
            "description": "where",
            "properties": { "city": string },
            "required": ["city"],
            "additionalProperties": false,
        })
    );
    assert_eq!(
        inlined(
            &json!({ "items": string }),
            &json!({ "type": "array", "minItems": 1 })
        ),
        json!({ "type": "array", "minItems": 1, "items": string })
    );
}

#[test]
fn root_may_extend_a_schema_of_an_object() {
    let schema = json!({
        "$ref": "#/$defs/base",
        "unevaluatedProperties": false,
        "$defs": { "base": { "type": "object", "properties": { "p": true } } },
    });
    let inlined = Schema::parse(schema.clone()).unwrap();
    for instance in [json!({ "p": 1 }), json!({ "q": 1 }), json!([])] {
        assert_eq!(
            is_valid(&schema, &instance),
            is_valid(inlined.as_json(), &instance),
            "{instance}"
        );
    }
    let list = json!({ "$ref": "#/$defs/list", "items": true, "$defs": { "list": { "type": "array", "items": true } } });
    assert!(Schema::parse(list).is_err());
}
