use super::*;

const LIST: &str = r#"
    exclude = ["**/*.lock"]

    [[entry]]
    word = 'gong'
    use = "message"

    [[entry]]
    word = '(?i)\w*wizard\w*'
    use = "sweeper"
    allow = [
        { texts = ["WizardFunction", "Old Wizard"], reason = "stored names" },
        { paths = ["docs/**"], reason = "about the rename" },
        { paths = ["*.md"], texts = ["`wizard`"], reason = "for owners of dashboards" },
    ]

    [[entry]]
    word = 'runs no \w+'
    unless = '(?i)here runs no \w+|runs no longer'
    use = "does not run a"
"#;

fn search(files: &[(&str, &str)]) -> Vec<String> {
    let vocabulary = Vocabulary::parse(LIST).unwrap();
    let mut search = Search::new(&vocabulary);
    for (path, text) in files {
        search.file(path, text);
    }
    search.finish()
}

/// The findings in a file, without the unused allowances.
fn findings(path: &str, text: &str) -> Vec<String> {
    let mut problems = search(&[(path, text)]);
    problems.retain(|problem| !problem.starts_with(WORD_LIST));
    problems
}

#[test]
fn a_word_is_found_with_its_line_and_the_term_to_use() {
    assert_eq!(findings("a.rs", "x\ny gong\n"), ["a.rs:2: `gong`: use message"]);
    assert_eq!(
        findings("a.rs", "gong gong"),
        ["a.rs:1: `gong`: use message", "a.rs:1: `gong`: use message"]
    );
}

#[test]
fn a_word_is_found_in_a_path() {
    assert_eq!(
        findings("src/gong.rs", ""),
        ["src/gong.rs (path): `gong`: use message"]
    );
}

#[test]
fn part_of_a_word_and_other_cases_are_not_found() {
    for text in ["gongs", "my_gong", "Gong", "GONG"] {
        assert_eq!(findings("a.rs", text), [""; 0], "{text}");
    }
    assert_eq!(
        findings("a.rs", "run_Wizards()"),
        ["a.rs:1: `run_Wizards`: use sweeper"]
    );
}

#[test]
fn a_phrase_inside_a_longer_one_is_not_found() {
    assert_eq!(
        findings("a.rs", "It runs no task."),
        ["a.rs:1: `runs no task`: use does not run a"]
    );
    assert_eq!(findings("a.rs", "Here runs no task. It runs no longer."), [""; 0]);
}

#[test]
fn an_allowed_text_must_contain_the_whole_word() {
    assert_eq!(findings("a.rs", "WizardFunction, the Old Wizard"), [""; 0]);
    assert_eq!(
        findings("a.rs", "WizardFunctions, WizardFunction, Wizard"),
        [
            "a.rs:1: `WizardFunctions`: use sweeper",
            "a.rs:1: `Wizard`: use sweeper"
        ]
    );
}

#[test]
fn allowed_paths_are_globs() {
    for path in ["docs/a.rs", "docs/b/c.md"] {
        assert_eq!(findings(path, "wizard"), [""; 0], "{path}");
    }
    for path in ["a.rs", "src/docs/a.rs", "docs.rs"] {
        assert_eq!(findings(path, "wizard").len(), 1, "{path}");
    }
}

#[test]
fn a_path_and_a_text_together_must_both_match() {
    assert_eq!(findings("CHANGES.md", "`wizard`"), [""; 0]);
    assert_eq!(findings("CHANGES.md", "wizard").len(), 1);
    assert_eq!(findings("a/CHANGES.md", "`wizard`").len(), 1);
    assert_eq!(findings("a.rs", "`wizard`").len(), 1);
}

#[test]
fn an_unused_allowance_is_a_problem() {
    let all_used = [
        ("a.rs", "WizardFunction, Old Wizard"),
        ("docs/a.rs", "wizard"),
        ("CHANGES.md", "`wizard`"),
    ];
    assert_eq!(search(&all_used), [""; 0]);
    let prefix = format!(r"{WORD_LIST}: the allow-list of `(?i)\w*wizard\w*` has an unused");
    assert_eq!(
        search(&all_used[..1]),
        [
            format!("{prefix} path `docs/**`: delete it"),
            format!("{prefix} path `*.md` with text ``wizard``: delete it")
        ]
    );
    assert_eq!(search(&all_used[1..]).len(), 2);
}

#[test]
fn excluded_files_are_recognized() {
    let vocabulary = Vocabulary::parse(LIST).unwrap();
    for (path, expected) in [
        ("Cargo.lock", true),
        ("fuzz/Cargo.lock", true),
        ("Cargo.toml", false),
    ] {
        assert_eq!(vocabulary.excludes(path), expected, "{path}");
    }
}

#[test]
fn only_the_newest_section_of_the_changelog_is_searched() {
    let text = "# Changes\n\n## [Unreleased]\n\n- a gong\n\n## [0.1.0]\n\n- a gong\n";
    assert_eq!(findings(CHANGELOG, text), ["CHANGELOG.md:5: `gong`: use message"]);
    assert_eq!(findings("NOTES.md", text).len(), 2);
}

#[test]
fn an_invalid_list_is_rejected() {
    for (entry, expected) in [
        ("word = '('\nuse = 'x'", "invalid regular expression"),
        (
            "word = 'a'\nuse = 'x'\nallow = [{ texts = ['b'], reason = '' }]",
            "a reason",
        ),
        (
            "word = 'a'\nuse = 'x'\nallow = [{ reason = 'c' }]",
            "paths or texts",
        ),
        ("word = 'a'", "missing field `use`"),
        ("word = 'a'\nuse = 'x'\nterm = 'y'", "unknown field `term`"),
    ] {
        let error = Vocabulary::parse(&format!("[[entry]]\n{entry}")).unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    }
}

#[test]
fn the_word_list_of_the_repository_is_valid() {
    let text = fs::read_to_string(paths::root().join(WORD_LIST)).unwrap();
    let vocabulary = Vocabulary::parse(&text).unwrap();
    assert!(vocabulary.excludes("Cargo.lock"));
    assert!(!vocabulary.excludes("xtask/src/main.rs"));
}
