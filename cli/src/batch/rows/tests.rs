use super::*;

fn submissions(name: &str, content: &str, default: Option<TaskType>) -> Result<Vec<(usize, Value)>> {
    let path = Path::new(name);
    let mut rows = read(path, Form::of(path)?, content.as_bytes(), default)?;
    check_files(path, &mut rows, false, |_| false)?;
    Ok(rows
        .iter()
        .map(|row| (row.line, json!(row.submission(None))))
        .collect())
}

#[test]
fn a_csv_s_columns_are_the_fields_of_the_api() {
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
fn json_lines_are_what_the_api_takes_and_blank_ones_are_passed_over() {
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
fn files_of_other_systems_are_read_with_their_marks_and_line_ends() {
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
        Form::Csv,
        b"type,text\nsentiment,a\nsentiment,gr\xfcn\n",
        None,
    );
    let told = latin.unwrap_err().to_string();
    assert!(told.contains("line 3: it is no UTF-8"), "{told}");
}

#[test]
fn each_task_has_the_line_that_an_editor_shows_it_on() {
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
fn what_no_request_can_take_is_named_before_anything_is_sent() {
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    let text = format!("type,text\nsentiment,a\nsentiment,{long}\n");
    let told = submissions("a.csv", &text, None).unwrap_err().to_string();
    assert!(
        told.contains("line 3: a text of 1000001 bytes is too long: send at most 1000000"),
        "{told}"
    );
    let image = json!({ "type": "ocr", "input": { "image": long.repeat(6) } });
    let told = submissions("a.jsonl", &image.to_string(), None)
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("line 1: it takes 6000") && told.contains("name that by `file`"),
        "{told}"
    );
    let text = "x".repeat(MAX_TEXT_BYTES);
    assert!(submissions("a.csv", &format!("type,text\nsentiment,{text}\n"), None).is_ok());
}

#[test]
fn a_line_that_is_none_is_named_with_what_is_wrong() {
    for (name, content, why) in [
        ("a.jsonl", "{}\n", "line 1: it names no type"),
        ("a.jsonl", "\n[]", "line 2: "),
        (
            "a.jsonl",
            "{\"type\":\"sentiment\",\"text\":\"a\"}",
            "line 1: unknown field `text`",
        ),
        (
            "a.jsonl",
            "{\"type\":\"ocr\",\"input\":{\"file\":\"no-such.png\"}}",
            "line 1: no-such.png can't be read",
        ),
        (
            "a.csv",
            "type,colour\nocr,red\n",
            "line 2: there is no field \"colour\"",
        ),
        (
            "a.csv",
            "type,text,multi_label\nclassify,a,perhaps\n",
            "multi_label must be true or false",
        ),
        (
            "a.csv",
            "type,text\r\nsentiment,a\r\ntelepathy,a\r\n",
            "line 3: telepathy: no task type is named so",
        ),
        (
            "a.csv",
            "type,text\ntelepathy,a\n",
            "line 2: telepathy: no task type is named so",
        ),
        (
            "a.jsonl",
            "\n{\"type\":\"ocr\",\"input\":{\"file\":\".\"}}\n",
            "line 2: . can't be read: it is a folder",
        ),
        (
            "a.jsonl",
            "\n\n{\"type\":1}",
            "line 3: invalid type: integer `1`, expected a string at column 9",
        ),
        (
            "a.csv",
            "type,text,text\nocr,a,b\n",
            "line 1: the column \"text\" is there twice",
        ),
        (
            "a.csv",
            "type,text\nocr,a,b\n",
            "line 2: it has 3 cells, and the head 2",
        ),
        (
            "a.csv",
            "type,text\nocr,a\nocr,\"b\nocr,c\n",
            "line 3: a quote is opened and never closed",
        ),
        (
            "a.csv",
            "type,\"text\nocr,a\n",
            "line 1: a quote is opened and never closed",
        ),
        ("a.csv", "type,text\n", "holds no tasks"),
        ("a.csv", "", "holds no tasks"),
        ("a.txt", "x", "must end with .jsonl or .csv"),
    ] {
        let told = submissions(name, content, None).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn what_was_sent_takes_as_much_of_a_request_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(folder.path().join("a.txt"), "x".repeat(1_000)).unwrap();
    let bytes = |is_sent: bool| {
        let mut rows = read(&path, Form::Csv, b"type,file\nsentiment,a.txt\n", None).unwrap();
        check_files(&path, &mut rows, true, |_| is_sent).unwrap();
        rows[0].bytes
    };
    assert!(bytes(false) > 1_000);
    assert_eq!(bytes(true), bytes(false));
    fs::write(folder.path().join("a.txt"), [0xff]).unwrap();
    assert!(bytes(true) < 1_000, "what is wrong with it now is of no matter");
}
