//! The outcome words that the code can log, read from the code itself.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Every outcome word of the functions and of their shared crates.
pub(super) fn of_the_code() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["functions", "shared"] {
        sources(&root.join(folder), &mut files);
    }
    let words: BTreeSet<_> = files
        .iter()
        .flat_map(|file| words_in(&fs::read_to_string(file).unwrap()))
        .collect();
    assert!(words.len() > 20, "{words:?}");
    words
}

/// The files that are built into functions, below this folder.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap().path();
        let stem = entry.file_stem().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() && !["tests", "examples", "target"].contains(&&*stem) {
            sources(&entry, files);
        } else if entry.extension().is_some_and(|ending| ending == "rs") && stem != "tests" {
            files.push(entry);
        }
    }
}

fn words_in(code: &str) -> Vec<String> {
    let code = code
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    code.match_indices("outcome")
        .flat_map(|(at, name)| words_at(&code[..at], &code[at + name.len()..]))
        .collect()
}

/// The words that a use of the name `outcome` brings, by what is before it and after it.
fn words_at(before: &str, after: &str) -> Vec<String> {
    let is_part_of_name = |character: char| character.is_alphanumeric() || character == '_';
    if before.ends_with(is_part_of_name) || after.starts_with(is_part_of_name) {
        return Vec::new();
    }
    if let Some(value) = after.strip_prefix(" = ") {
        // A field of a line has one word, a variable all those of its statement.
        let end = match value.strip_prefix('"') {
            Some(rest) => rest.find('"').map(|end| end + 2),
            None => value.find(';'),
        };
        return literals(&value[..end.unwrap()]);
    }
    if before.ends_with("fn ") {
        return literals(&after[..after.find("\n    }").unwrap()]);
    }
    // A path, a module, a call of such a function, prose, or a variable whose words are those of its statement.
    let is_use = after.starts_with([':', ';', ','])
        || after.starts_with(" of the ")
        || (before.ends_with('.') && after.starts_with("()"));
    assert!(
        is_use,
        "which words are logged here? write `outcome = \"word\"`: {after:.60}"
    );
    Vec::new()
}

fn literals(code: &str) -> Vec<String> {
    code.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_way_to_name_an_outcome_is_read() {
    for (code, words) in [
        (
            "tracing::info!(outcome = \"sent\", %receipt_id, \"receipt sent\");",
            &["sent"][..],
        ),
        (
            "let outcome = if settled { \"settled\" } else { \"noted\" };\ninfo!(outcome, x)",
            &["settled", "noted"],
        ),
        (
            "fn outcome(&self) {\n        match self { _ => \"refused\" }\n    }\n \"more\"",
            &["refused"],
        ),
        (
            "use domain::values::outcome::RetryableError;\npub mod outcome;\nlet (outcome, x) = (self.outcome(), 1);",
            &[],
        ),
        (
            "// outcome \"none\"\nlet outcomes = \"none\";\n#[cfg(test)]\nmod tests {\n outcome = \"none\"",
            &[],
        ),
    ] {
        assert_eq!(words_in(code), words, "{code}");
    }
}
