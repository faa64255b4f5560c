//! The vocabulary check: searches the repository's text files, and their paths, for words that docs/GLOSSARY.md
//! replaces. The words are in xtask/vocabulary.toml.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder, escape};
use serde::Deserialize;

use crate::{git, paths};

const WORD_LIST: &str = "xtask/vocabulary.toml";

/// Only its newest section is searched. The older ones are history.
const CHANGELOG: &str = "CHANGELOG.md";

/// How many problems the error shows. The log file has all of them.
const MAX_SHOWN: usize = 40;

/// Fails with the places of the words, and with the parts of the allow-list that allow nothing.
pub(crate) fn check() -> Result<()> {
    let text = fs::read_to_string(paths::root().join(WORD_LIST))
        .with_context(|| format!("can't read {WORD_LIST}"))?;
    let vocabulary = Vocabulary::parse(&text)?;
    let mut search = Search::new(&vocabulary);
    for path in
        git::run(&["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?.split_terminator('\0')
    {
        // A binary file is not UTF-8, and a deleted file may still be in the index.
        if !vocabulary.excludes(path)
            && let Ok(text) = fs::read_to_string(paths::root().join(path))
        {
            search.file(path, &text);
        }
    }
    let problems = search.finish();
    if problems.is_empty() {
        return Ok(());
    }
    let log = paths::log("check-vocabulary");
    fs::create_dir_all(paths::local().join("logs"))?;
    fs::write(&log, problems.join("\n") + "\n" + &search.summary())?;
    let shown = problems.iter().take(MAX_SHOWN);
    let lines: String = shown.map(|problem| format!("\n    {problem}")).collect();
    bail!(
        "{} problems. Use the terms of docs/GLOSSARY.md, or allow the word in {WORD_LIST}:{lines}\n  All of them: {}",
        problems.len(),
        paths::display(&log)
    )
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WordList {
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(rename = "entry")]
    entries: Vec<WordEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WordEntry {
    word: String,
    unless: Option<String>,
    r#use: String,
    #[serde(default)]
    allow: Vec<AllowEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowEntry {
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    texts: Vec<String>,
    reason: String,
}

#[derive(Debug)]
struct Vocabulary {
    excluded: Vec<Regex>,
    entries: Vec<Entry>,
    /// The words of all entries. One search finds the entries that match a text at all.
    words: RegexSet,
}

#[derive(Debug)]
struct Entry {
    /// The word as in the list.
    name: String,
    regex: Regex,
    unless: Option<Regex>,
    term: String,
    allowances: Vec<Allowance>,
}

/// One path, one text or a pair of both from an allow-list.
#[derive(Debug)]
struct Allowance {
    path: Option<(String, Regex)>,
    text: Option<String>,
}

impl Vocabulary {
    fn parse(text: &str) -> Result<Self> {
        let list: WordList =
            toml::from_str(text).with_context(|| format!("invalid word list {WORD_LIST}"))?;
        let excluded = list.exclude.iter().map(|glob| parse_glob(glob));
        let entries = list.entries.into_iter().map(Entry::new);
        let (excluded, entries) = (
            excluded.collect::<Result<_>>()?,
            entries.collect::<Result<Vec<_>>>()?,
        );
        let words = entries.iter().map(|entry| entry.regex.as_str());
        Ok(Self {
            words: RegexSetBuilder::new(words).unicode(false).build()?,
            excluded,
            entries,
        })
    }

    fn excludes(&self, path: &str) -> bool {
        self.excluded.iter().any(|glob| glob.is_match(path))
    }
}

impl Entry {
    fn new(entry: WordEntry) -> Result<Self> {
        let mut allowances = Vec::new();
        for allow in &entry.allow {
            if allow.reason.is_empty() || (allow.paths.is_empty() && allow.texts.is_empty()) {
                bail!(
                    "invalid allow-list of `{}` in {WORD_LIST}: give paths or texts, and a reason",
                    entry.word
                );
            }
            allowances.extend(Allowance::all_of(allow)?);
        }
        Ok(Self {
            regex: parse_regex(&format!(r"\b(?:{})\b", entry.word))?,
            unless: entry.unless.as_deref().map(parse_regex).transpose()?,
            name: entry.word,
            term: entry.r#use,
            allowances,
        })
    }

    fn is_another_word(&self, line: &str, word: &Range<usize>) -> bool {
        let unless = self.unless.iter();
        let mut longer_texts = unless.flat_map(|unless| unless.find_iter(line));
        longer_texts.any(|text| contains(&text.range(), word))
    }
}

impl Allowance {
    /// A list of paths and a list of texts allow each pair of a path and a text.
    fn all_of(entry: &AllowEntry) -> Result<Vec<Self>> {
        let parse = |glob: &String| Ok(Some((glob.clone(), parse_glob(glob)?)));
        let mut globs = entry.paths.iter().map(parse).collect::<Result<Vec<_>>>()?;
        let mut texts: Vec<_> = entry.texts.iter().cloned().map(Some).collect();
        if globs.is_empty() {
            globs.push(None);
        }
        if texts.is_empty() {
            texts.push(None);
        }
        let pairs = globs
            .iter()
            .flat_map(|path| texts.iter().map(move |text| (path, text)));
        Ok(pairs
            .map(|(path, text)| Self {
                path: path.clone(),
                text: text.clone(),
            })
            .collect())
    }

    /// Returns whether a word at this place of a line is allowed. An allowed text contains the whole word.
    fn allows(&self, path: &str, line: &str, word: &Range<usize>) -> bool {
        let contains_word = |text: &String| {
            let mut places = line.match_indices(text.as_str());
            places.any(|(start, _)| contains(&(start..start + text.len()), word))
        };
        self.path.as_ref().is_none_or(|(_, glob)| glob.is_match(path))
            && self.text.as_ref().is_none_or(contains_word)
    }

    fn describe(&self) -> String {
        let path = self.path.as_ref().map(|(glob, _)| format!("path `{glob}`"));
        let text = self.text.as_ref().map(|text| format!("text `{text}`"));
        [path, text]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" with ")
    }
}

/// A search under way.
#[derive(Debug)]
struct Search<'a> {
    vocabulary: &'a Vocabulary,
    findings: Vec<String>,
    /// The number of findings for each word.
    counts: BTreeMap<&'a str, usize>,
    /// For each entry, which of its allowances were needed.
    used: Vec<Vec<bool>>,
}

impl<'a> Search<'a> {
    fn new(vocabulary: &'a Vocabulary) -> Self {
        let used = vocabulary
            .entries
            .iter()
            .map(|entry| vec![false; entry.allowances.len()]);
        Self {
            vocabulary,
            findings: Vec::new(),
            counts: BTreeMap::new(),
            used: used.collect(),
        }
    }

    /// Searches a file's path and text.
    fn file(&mut self, path: &str, text: &str) {
        let text = if path == CHANGELOG {
            newest_section(text)
        } else {
            text
        };
        for index in self.vocabulary.words.matches(path) {
            self.text(index, path, path, None);
        }
        for index in self.vocabulary.words.matches(text) {
            self.text(index, path, text, Some(1));
        }
    }

    /// Searches a text for one entry's word. Without the number of its first line, the text is the path.
    fn text(&mut self, index: usize, path: &str, text: &str, first_line: Option<usize>) {
        let entry = &self.vocabulary.entries[index];
        for found in entry.regex.find_iter(text) {
            let line_start = text[..found.start()].rfind('\n').map_or(0, |at| at + 1);
            let line = text[line_start..].lines().next().unwrap_or_default();
            let word = found.start() - line_start..found.end() - line_start;
            let mut is_allowed = entry.is_another_word(line, &word);
            for (allowance, used) in entry.allowances.iter().zip(&mut self.used[index]) {
                if allowance.allows(path, line, &word) {
                    *used = true;
                    is_allowed = true;
                }
            }
            if is_allowed {
                continue;
            }
            let place = match first_line {
                Some(first) => format!("{path}:{}", first + text[..line_start].matches('\n').count()),
                None => format!("{path} (path)"),
            };
            let (word, term) = (found.as_str(), &entry.term);
            self.findings.push(format!("{place}: `{word}`: use {term}"));
            *self.counts.entry(&entry.name).or_default() += 1;
        }
    }

    /// All findings, then the allowances that were not needed.
    fn finish(&self) -> Vec<String> {
        let mut problems = self.findings.clone();
        for (entry, used) in self.vocabulary.entries.iter().zip(&self.used) {
            let unused = entry.allowances.iter().zip(used).filter(|(_, used)| !**used);
            problems.extend(unused.map(|(allowance, _)| {
                format!(
                    "{WORD_LIST}: the allow-list of `{}` has an unused {}: delete it",
                    entry.name,
                    allowance.describe()
                )
            }));
        }
        problems
    }

    /// The number of findings for each word.
    fn summary(&self) -> String {
        let mut summary = String::new();
        for (word, count) in &self.counts {
            let _ = writeln!(summary, "{count:>5} {word}");
        }
        summary
    }
}

/// The text before the second heading of level 2.
fn newest_section(changelog: &str) -> &str {
    let mut headings = changelog.match_indices("\n## ");
    headings.nth(1).map_or(changelog, |(end, _)| &changelog[..end])
}

fn contains(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Without Unicode the search is several times faster, and all words are ASCII.
fn parse_regex(pattern: &str) -> Result<Regex> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .build()
        .with_context(|| format!("invalid regular expression in {WORD_LIST}"))
}

/// `*` matches within a folder, `**/` any number of folders.
fn parse_glob(glob: &str) -> Result<Regex> {
    let pattern = escape(glob)
        .replace(r"\*\*/", "(?:.*/)?")
        .replace(r"\*\*", ".*")
        .replace(r"\*", "[^/]*");
    Regex::new(&format!("^{pattern}$")).with_context(|| format!("invalid glob {glob} in {WORD_LIST}"))
}

#[cfg(test)]
mod tests;
