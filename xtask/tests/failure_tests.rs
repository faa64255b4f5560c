//! docs/FAILURE-TESTS.md names the test of each promise. Every test that it names exists.

use std::fs;
use std::path::Path;

/// The folders with the tests that the page names.
const FOLDERS: [&str; 3] = ["crates", "tests", "localstack"];

#[test]
fn every_test_that_the_failure_matrix_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = String::new();
    for folder in FOLDERS {
        read_sources(&root.join(folder), &mut code);
    }
    let page = fs::read_to_string(root.join("docs/FAILURE-TESTS.md")).unwrap();
    // The tests are in the last column. A test's name has at least two underscores; shorter words are modules.
    let cells = page
        .lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(|line| line.split('|').nth_back(1));
    let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let names: Vec<_> = quoted
        .filter(|name| name.matches('_').count() > 1 && !name.contains('/'))
        .collect();
    assert!(names.len() > 30, "the page names few tests: {names:?}");
    for name in names {
        let (start, end) = name.strip_suffix("...").map_or((name, "("), |start| (start, ""));
        let is_defined = ["fn", "def"]
            .iter()
            .any(|keyword| code.contains(&format!("{keyword} {start}{end}")));
        assert!(
            is_defined,
            "docs/FAILURE-TESTS.md names a test that does not exist: {name}"
        );
    }
}

fn read_sources(folder: &Path, code: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            read_sources(&path, code);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "py")
        {
            code.push_str(&fs::read_to_string(&path).expect("sources are UTF-8"));
        }
    }
}
