use std::fs;

use mesh_task::MAX_TEXT_BYTES;
use serde_json::{Value, json};

use super::*;

fn submissions(name: &str, content: &str, default: Option<TaskType>) -> Result<Vec<(usize, Value)>> {
    let path = Path::new(name);
    let mut rows = read(path, FileFormat::from_path(path)?, content.as_bytes(), default)?;
    check_files(path, &mut rows, false, |_| false)?;
    Ok(rows
        .iter()
        .map(|row| (row.line, json!(row.submission(None))))
        .collect())
}

#[test]
fn the_columns_of_a_csv_are_the_api_s_fields() {
    let csv = "type,text,labels,multi_label,max_sentences,priority,metadata.order\n\
               classify,\"a, b\nand c\",\"x, y\",yes,,high,7\n\
               ,fine,,,,,\n\
               summarize,long,,,2,,\n";
    let rows = submissions("a.csv", csv, Some(TaskType::Sentiment)).unwrap();
    assert_eq!(
        rows,
        [
            (
                2,
                json!({ "type": "classify", "priority": "high", "metadata": { "order": "7" },
                "input": { "text": "a, b\nand c", "labels": ["x", "y"], "multi_label": true } })
            ),
            (
                4,
                json!({ "type": "sentiment", "priority": "normal", "input": { "text": "fine" } })
            ),
            (
                5,
                json!({ "type": "summarize", "priority": "normal",
                        "input": { "text": "long", "max_sentences": 2 } })
            ),
        ]
    );
}

#[test]
fn json_lines_are_tasks_as_the_api_takes_them_and_blank_lines_are_skipped() {
    let lines = [
        r#"{"type":"sentiment","input":{"text":"a"},"max_attempts":2}"#,
        "",
        r#"{"input":{"text":"b"}}"#,
    ]
    .join("\n");
    let rows = submissions("a.jsonl", &lines, Some(TaskType::Embed)).unwrap();
    assert_eq!(
        rows,
        [
            (
                1,
                json!({ "type": "sentiment", "priority": "normal", "input": { "text": "a" }, "max_attempts": 2 })
            ),
            (
                3,
                json!({ "type": "embed", "priority": "normal", "input": { "text": "b" } })
            ),
        ]
    );
}

#[test]
fn byte_order_marks_and_all_line_ends_are_accepted() {
    let expected = json!({ "type": "sentiment", "priority": "normal", "input": { "text": "a" } });
    for (name, line, content) in [
        (
            "a.jsonl",
            1,
            "\u{feff}{\"type\":\"sentiment\",\"input\":{\"text\":\"a\"}}\r\n\r\n",
        ),
        (
            "A.NDJSON",
            1,
            "\u{feff}{\"type\":\"sentiment\",\"input\":{\"text\":\"a\"}}",
        ),
        ("a.CSV", 2, "\u{feff}type,text\r\nsentiment,a\r\n"),
        ("a.csv", 2, "\u{feff}\"type\",\"text\"\nsentiment,\"a\""),
    ] {
        let rows = submissions(name, content, None).unwrap();
        assert_eq!(rows, [(line, expected.clone())], "{content:?}");
    }
    let path = Path::new("a.csv");
    let latin = read(
        path,
        FileFormat::Csv,
        b"type,text\nsentiment,a\nsentiment,gr\xfcn\n",
        None,
    );
    let message = latin.unwrap_err().to_string();
    assert!(message.contains("line 3: the text is not UTF-8"), "{message}");
}

#[test]
fn each_task_has_the_line_number_that_an_editor_shows() {
    for (content, lines) in [
        (
            "type,text\r\nsentiment,a\r\n\r\nsentiment,\"b\r\nc\"\r\nsentiment,d\r\n",
            &[2, 4, 6][..],
        ),
        (
            "type,text\nsentiment,a\r\nsentiment,b\r\nsentiment,c\n",
            &[2, 3, 4],
        ),
        ("type,text\rsentiment,a\r\rsentiment,b\r", &[2, 4]),
        ("\u{feff}\r\n\rtype,text\n\r\nsentiment,a\n\rsentiment,b", &[5, 7]),
    ] {
        let rows = submissions("a.csv", content, None).unwrap();
        let found: Vec<_> = rows.into_iter().map(|(line, _)| line).collect();
        assert_eq!(found, lines, "{content:?}");
    }
}

#[test]
fn a_line_that_is_too_large_for_a_request_is_refused_before_anything_is_sent() {
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    let text = format!("type,text\nsentiment,a\nsentiment,{long}\n");
    let message = submissions("a.csv", &text, None).unwrap_err().to_string();
    assert!(
        message.contains("line 3: a text of 1000001 bytes is too long: send at most 1000000"),
        "{message}"
    );
    let image = json!({ "type": "ocr", "input": { "image": long.repeat(6) } });
    let message = submissions("a.jsonl", &image.to_string(), None)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("line 1: the task takes 6000") && message.contains("name it in `file`"),
        "{message}"
    );
    let text = "x".repeat(MAX_TEXT_BYTES);
    assert!(submissions("a.csv", &format!("type,text\nsentiment,{text}\n"), None).is_ok());
}

#[test]
fn the_error_for_an_invalid_line_has_its_number_and_says_what_is_wrong() {
    for (name, content, why) in [
        ("a.jsonl", "{}\n", "line 1: the type is missing"),
        ("a.jsonl", "\n[]", "line 2: "),
        (
            "a.jsonl",
            "{\"type\":\"sentiment\",\"text\":\"a\"}",
            "line 1: unknown field `text`",
        ),
        (
            "a.jsonl",
            "{\"type\":\"ocr\",\"input\":{\"file\":\"no-such.png\"}}",
            "line 1: cannot read no-such.png",
        ),
        (
            "a.csv",
            "type,colour\nocr,red\n",
            "line 2: unknown column \"colour\"",
        ),
        (
            "a.csv",
            "type,text,multi_label\nclassify,a,perhaps\n",
            "multi_label must be true or false",
        ),
        (
            "a.csv",
            "type,text\r\nsentiment,a\r\ntelepathy,a\r\n",
            "line 3: unknown task type `telepathy`",
        ),
        (
            "a.csv",
            "type,text\ntelepathy,a\n",
            "line 2: unknown task type `telepathy`",
        ),
        (
            "a.jsonl",
            "\n{\"type\":\"ocr\",\"input\":{\"file\":\".\"}}\n",
            "line 2: cannot read .: it is a folder",
        ),
        (
            "a.jsonl",
            "\n\n{\"type\":1}",
            "line 3: invalid type: integer `1`, expected a string at column 9",
        ),
        (
            "a.csv",
            "type,text,text\nocr,a,b\n",
            "line 1: the column \"text\" is a duplicate",
        ),
        (
            "a.csv",
            "type,text\nocr,a,b\n",
            "line 2: the line has 3 cells, and the header 2",
        ),
        (
            "a.csv",
            "type,text\nocr,a\nocr,\"b\nocr,c\n",
            "line 3: a quote is not closed",
        ),
        ("a.csv", "type,\"text\nocr,a\n", "line 1: a quote is not closed"),
        ("a.csv", "type,text\n", "contains no tasks"),
        ("a.csv", "", "contains no tasks"),
        ("a.txt", "x", "must end with .jsonl or .csv"),
    ] {
        let message = submissions(name, content, None).unwrap_err().to_string();
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn a_row_that_was_sent_takes_as_much_of_a_request_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(folder.path().join("a.txt"), "x".repeat(1_000)).unwrap();
    let bytes = |is_sent: bool| {
        let mut rows = read(&path, FileFormat::Csv, b"type,file\nsentiment,a.txt\n", None).unwrap();
        check_files(&path, &mut rows, true, |_| is_sent).unwrap();
        rows[0].bytes
    };
    assert!(bytes(false) > 1_000);
    assert_eq!(bytes(true), bytes(false));
    fs::write(folder.path().join("a.txt"), [0xff]).unwrap();
    assert!(bytes(true) < 1_000, "a later error in its file does not matter");
}
