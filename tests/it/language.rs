//! Holds comments and documents to the words of ARCHITECTURE.md, and public items to a doc comment.

use crate::documents::files;

/// Words and phrases that plain English replaces, in any case.
const RETIRED: &[&str] = &[
    "told",
    "tells of",
    "tell of",
    "mend",
    "mends",
    "mended",
    "anew",
    "in vain",
    "made up for",
    "make up for",
    "makes up for",
    "whoever",
    "somebody",
    "nobody",
    "owed",
    "let alone",
    "lets alone",
    "left alone",
    "come to an end",
    "comes to an end",
    "tried for",
    "of its own",
    "of our own",
    "of ours",
    "of theirs",
    "so many",
    "so long as",
    "all the same",
    "for good",
    "ledger",
];

/// Names of types and attributes that have a successor, as they were spelled.
const RENAMED: &[&str] = &[
    "Setback",
    "Doubt",
    "Wanted",
    "Lesson",
    "Trouble",
    "Desk",
    "News",
    "Told",
    "Undone",
    "Shelf",
    "Shelve",
    "mail_troubles",
    "claim_ends_at",
];

/// Files that may use a word, with the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// The words of one comment or paragraph, each with its line.
type Block<'a> = Vec<(usize, &'a str)>;

fn ending(path: &str) -> &str {
    path.rsplit('.').next().unwrap()
}

/// The comment in a line of code, or the text of a line of a document.
fn prose<'a>(path: &str, line: &'a str) -> Option<&'a str> {
    let line = line.trim();
    let (mark, spaced) = match ending(path) {
        "md" => return Some(line),
        "rs" => ("//", " // "),
        _ => ("#", " # "),
    };
    if line.starts_with(mark) {
        return Some(line.trim_start_matches(['/', '!', '#']));
    }
    line.split_once(spaced).map(|(_, comment)| comment)
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    let is_in_word = |c: char| c.is_alphanumeric() || ['_', '\''].contains(&c);
    line.split(move |c| !is_in_word(c))
        .filter(|word| !word.is_empty())
}

/// The blocks of neighboring lines with prose. The code blocks of documents are none.
fn blocks<'a>(path: &str, text: &'a str) -> Vec<Block<'a>> {
    let (mut blocks, mut is_fenced) = (vec![Block::new()], false);
    for (n, line) in (1..).zip(text.lines()) {
        let is_fence = ending(path) == "md" && line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        match prose(path, line).filter(|_| !is_fenced && !is_fence) {
            Some(line) => blocks
                .last_mut()
                .unwrap()
                .extend(words(line).map(|word| (n, word))),
            None => blocks.push(Block::new()),
        }
    }
    blocks
}

/// A word is a name, or has it as a part: at its end, before an `s`, or before a capital letter.
fn is_part(word: &str, name: &str) -> bool {
    word.match_indices(name).any(|(at, _)| {
        let rest = &word[at + name.len()..];
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        rest.is_empty() || rest.starts_with(char::is_uppercase)
    })
}

/// The retired words of a file, each with its line.
fn retired(path: &str, text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for block in blocks(path, text) {
        for phrase in RETIRED {
            let phrase_words: Vec<&str> = phrase.split(' ').collect();
            let is_phrase = |found: &&[(usize, &str)]| {
                let mut pairs = found.iter().zip(&phrase_words);
                pairs.all(|((_, word), retired)| word.eq_ignore_ascii_case(retired))
            };
            let hits = block.windows(phrase_words.len()).filter(is_phrase);
            found.extend(hits.map(|hit| (hit[0].0, *phrase)));
        }
        for name in RENAMED {
            let hits = block.iter().filter(|(_, word)| is_part(word, name));
            found.extend(hits.map(|(line, _)| (*line, *name)));
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn no_retired_word_is_used() {
    let (mut found, mut unused) = (Vec::new(), EXCEPTIONS.to_vec());
    for (path, text) in files(&[".rs", ".md", ".py", ".yaml", ".yml", ".toml"]) {
        for (line, word) in retired(&path, &text) {
            let is_excepted =
                |(file, excepted, _): &&(&str, &str, &str)| *file == path && *excepted == word;
            if EXCEPTIONS.iter().any(|exception| is_excepted(&exception)) {
                unused.retain(|exception| !is_excepted(&exception));
            } else {
                found.push(format!("{path}:{line}: {word}"));
            }
        }
    }
    let count = found.len();
    assert!(found.is_empty(), "{count} uses:\n{}", found.join("\n"));
    assert!(unused.is_empty(), "exceptions without a use: {unused:?}");
}

#[test]
fn a_retired_word_is_found_in_comments_and_documents_alone() {
    let code = "//! Whoever\n//! is told.\nlet told = 1; \u{2f}/ a Setback, in\n// vain, told_at\n";
    let found = [(1, "whoever"), (2, "told"), (3, "Setback"), (3, "in vain")];
    assert_eq!(retired("a.rs", code), found);
    let document = "# For good\n\n```sh\nanew\n```\n| `EventDesk` | setback Desktop |\n";
    assert_eq!(retired("a.md", document), [(1, "for good"), (6, "Desk")]);
    assert_eq!(retired("a.py", "x = 1  # owed\n'owed'\n"), [(1, "owed")]);
}

/// The lines of public items without a doc comment, up to the file's test module.
fn undocumented(code: &str) -> Vec<(usize, &str)> {
    const ITEMS: [&str; 8] = [
        "struct ",
        "enum ",
        "trait ",
        "fn ",
        "async fn ",
        "const ",
        "type ",
        "static ",
    ];
    let (mut found, mut is_documented, mut is_attribute) = (Vec::new(), false, false);
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
    for (n, line) in (1..).zip(code.lines().map(str::trim)) {
        let is_doc = ["///", "#[doc", "$(#["]
            .iter()
            .any(|start| line.starts_with(start));
        if is_attribute || line.starts_with("#[") && !is_doc {
            is_attribute = !line.ends_with(']');
        } else if is_doc {
            is_documented = true;
        } else {
            let item = line.strip_prefix("pub ").unwrap_or_default();
            if !is_documented && ITEMS.iter().any(|start| item.starts_with(start)) {
                found.push((n, line));
            }
            is_documented = false;
        }
    }
    found
}

/// Files of the product that only tests compile.
fn is_test(path: &str) -> bool {
    ["/tests", "/testing", "/any_order/", "/examples/"]
        .iter()
        .any(|part| path.contains(part))
}

#[test]
fn every_public_type_and_function_has_a_doc_comment() {
    let mut found = Vec::new();
    for (path, code) in files(&[".rs"]) {
        let is_product = path.starts_with("shared/") || path.starts_with("functions/");
        if is_product && !is_test(&path) {
            let lines = undocumented(&code).into_iter();
            found.extend(lines.map(|(line, item)| format!("{path}:{line}: {item}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_doc_comment_may_be_followed_by_attributes() {
    let code = "/// A type.\n#[derive(\n    Debug,\n)]\npub struct A;\n#[must_use]\npub fn a() {}\n\
        pub(crate) fn b() {}\n#[cfg(test)]\nmod tests {\n    pub fn c() {}\n}\n";
    assert_eq!(undocumented(code), [(7, "pub fn a() {}")]);
}
