use serde_json::json;

use super::*;
use crate::ProblemKind;

fn refusal(text: &str) -> (ProblemKind, String) {
    let problem = parse(text.as_bytes()).unwrap_err();
    (problem.kind(), problem.document("").detail)
}

#[test]
fn a_body_is_read_as_it_is_written() {
    for text in [
        r#"{"a":[1,-2,0.5,true,false,null,"é😀\n"],"b":{"c":{}},"d":[]}"#,
        "18446744073709551615",
        "-9223372036854775808",
        "1e300",
        r#""""#,
    ] {
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(parse(text.as_bytes()).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_whole_number_is_an_integer_however_it_is_written() {
    for (text, integer) in [
        ("3.0", json!(3)),
        ("3e0", json!(3)),
        ("3.00e0", json!(3)),
        ("0.3E1", json!(3)),
        ("-3.0", json!(-3)),
        ("-0.0", json!(0)),
        ("1e15", json!(1_000_000_000_000_000_i64)),
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap(), integer, "{text}");
    }
    for text in ["3.5", "1e-7", "1e16", "1e308", "9007199254740992.0"] {
        assert!(parse(text.as_bytes()).unwrap().is_f64(), "{text}");
    }
}

#[test]
fn a_field_that_is_given_twice_is_named() {
    for (text, name) in [
        (r#"{"a": 1, "a": 1}"#, "a is given twice"),
        (r#"{"a": 1, "\u0061": 1}"#, "a is given twice"),
        (
            r#"{"b": [{}, {"c": {"é": 1, "d": 2, "\u00e9": 3}}]}"#,
            "b[1].c.é is given twice",
        ),
        (r#"[{"": 1, "": 2}]"#, "[0]. is given twice"),
    ] {
        let (kind, detail) = refusal(text);
        assert_eq!(kind, ProblemKind::InvalidBody, "{text}");
        assert!(detail.starts_with(name), "{text}: {detail}");
    }
    assert!(parse(br#"[{"a": 1}, {"a": {"a": 1}, "A": 2}]"#).is_ok());
}

#[test]
fn a_value_without_a_meaning_is_refused_at_its_place() {
    for (text, why) in [
        (
            r#"{"input": {"text": "cut \ud83d"}}"#,
            "input.text contains half of a surrogate pair",
        ),
        (
            r#"{"input": {"text": "\ud83d cut"}}"#,
            "input.text contains half of a surrogate pair",
        ),
        (
            r#"{"input": {"text": "\ud83d\n"}}"#,
            "input.text contains half of a surrogate pair",
        ),
        (
            r#"{"input": {"text": "\ud83d\ud83d"}}"#,
            "input.text contains half of a surrogate pair",
        ),
        (r#"["", "\ude00"]"#, "[1] contains half of a surrogate pair"),
        (
            r#"{"metadata": {"\udc00": ""}}"#,
            "metadata contains half of a surrogate pair",
        ),
        (r#""\udbff""#, "the body contains half of a surrogate pair"),
        (
            r#"{"max_attempts": 1e999}"#,
            "max_attempts is a number out of range",
        ),
        (
            r#"{"metadata": {"a": [0, -1E400]}}"#,
            "metadata.a[1] is a number out of range",
        ),
    ] {
        let (kind, detail) = refusal(text);
        assert_eq!(kind, ProblemKind::InvalidBody, "{text}");
        assert!(detail.starts_with(why), "{text}: {detail}");
    }
    assert_eq!(parse(br#""\ud83d\ude00 1e-999""#).unwrap(), json!("😀 1e-999"));
}

#[test]
fn what_is_not_json_is_refused_as_such() {
    let deep = |levels| "[".repeat(levels) + &"]".repeat(levels);
    for text in [
        "",
        "{",
        "{} {}",
        r#"{"a": 01}"#,
        r#"{"a": "\x"}"#,
        "nul",
        "{\"a\": \"\n\"}",
        &deep(128),
    ] {
        assert_eq!(refusal(text).0, ProblemKind::InvalidJson, "{text}");
    }
    assert!(refusal(&deep(128)).1.contains("recursion limit"));
    assert!(parse(deep(127).as_bytes()).is_ok());
    assert_eq!(parse(b"\"\xff\"").unwrap_err().kind(), ProblemKind::InvalidJson);
}

#[test]
fn the_memory_of_values_is_bounded_and_given_back_where_they_are_refused() {
    let parse = |text: &str, budget: &mut usize| {
        parse_value(check_syntax(text.as_bytes()).unwrap(), budget).map_err(|problem| problem.kind())
    };
    for unit in [r#"{"":0}"#, "[0]", "0", "null", r#""a""#, r#"{"a":{"a":[]}}"#] {
        let text = format!("[{unit},{unit}]");
        let mut budget = 10_000;
        assert!(parse(&text, &mut budget).is_ok(), "{text}");
        let cost = 10_000 - budget;
        assert!(cost >= 2 * size_of::<Value>(), "{text}: {cost}");
        assert!(parse(&text, &mut cost.clone()).is_ok(), "{text}");
        let mut too_little = cost - 1;
        assert_eq!(
            parse(&text, &mut too_little),
            Err(ProblemKind::InvalidBody),
            "{text}"
        );
        assert_eq!(too_little, cost - 1);
    }
}
