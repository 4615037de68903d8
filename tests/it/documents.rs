//! Holds the documents to the code: tests, files, links, event types, log outcomes and limits.

use aws::commits::{MOST_ACTIONS, MOVES_A_PART, first_parts};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The texts of the repository's files with these endings, by path.
pub(crate) fn files(endings: &[&str]) -> BTreeMap<String, String> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![String::new()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = format!("{folder}{name}");
            if entry.file_type().unwrap().is_dir() {
                let is_built = ["target", "out", "node_modules"].contains(&name.as_str());
                if !is_built && (!name.starts_with('.') || name == ".github") {
                    folders.push(format!("{path}/"));
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                files.insert(path, fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    files
}

/// Compares a printed section of a document with `printed`. `UPDATE_DOCUMENTS=1` writes the section.
///
/// # Panics
///
/// If the section is missing or differs.
pub(crate) fn assert_printed(name: &str, section: &str, printed: &str) {
    let text = document(name);
    let (start, end) = (format!("<!-- {section}: printed -->\n\n"), "\n<!-- end -->");
    let (before, rest) = text
        .split_once(&start)
        .unwrap_or_else(|| panic!("{name} has no {start}"));
    let (found, after) = rest
        .split_once(end)
        .unwrap_or_else(|| panic!("{name}: {section} has no end"));
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        let text = format!("{before}{start}{printed}{end}{after}");
        fs::write(root().join(name), text).unwrap();
        return;
    }
    assert_eq!(
        found, printed,
        "run `UPDATE_DOCUMENTS=1 cargo test -p tests {section}` to print it again"
    );
}

/// The folders and the file of each test of the workspace, with its name.
struct Tests(Vec<(Vec<String>, String)>);

impl Tests {
    fn of_the_workspace() -> Self {
        let mut tests = Vec::new();
        for (path, code) in files(&[".rs"]) {
            let path = path.trim_end_matches(".rs").split('/').map(str::to_owned);
            let path: Vec<String> = path.collect();
            let names = tests_in(&code).into_iter();
            tests.extend(names.map(|name| (path.clone(), name.to_owned())));
        }
        Self(tests)
    }

    /// The parts before the name lead to the test's file. `mod tests` inside a file needs no part.
    fn has(&self, test: &str) -> bool {
        let (modules, name) = test.rsplit_once("::").unwrap();
        let known = self.0.iter().filter(|(_, known)| known == name);
        known.into_iter().any(|(path, _)| {
            let mut path = path.iter();
            let mut parts = modules.split("::").filter(|part| *part != "tests");
            parts.all(|part| path.any(|on| on == part))
        })
    }
}

/// The names of the tests in a file: functions below a test attribute, and the list of a macro that makes tests.
fn tests_in(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut is_test, mut is_list) = (false, false);
    for line in code.lines().map(str::trim) {
        if is_list {
            is_list = line != "}";
            let listed = line.split(',').map(str::trim);
            names.extend(listed.filter(|name| is_list && !name.is_empty()));
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("on_") && line.ends_with("! {") {
            is_list = true;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            let line = line.strip_prefix("async ").unwrap_or(line);
            let function = line.strip_prefix("fn ").filter(|_| is_test);
            names.extend(function.and_then(|rest| Some(rest.split_once('(')?.0)));
            is_test = false;
        }
    }
    names
}

#[test]
fn only_a_function_below_its_attribute_or_in_a_macro_s_list_is_a_test() {
    let code = "// fn a_comment_is_none() {
        fn a_helper_is_none() {}
        #[test]
        #[should_panic]
        /// A comment.
        fn one_is_this(
        ) {}
        #[tokio::test(start_paused = true)]
        async fn one_is_this_as_well() {
            fn a_function_inside_is_none() {}
        }
        on_both! {
            one_is_listed,
            two_are, listed,
        }
        fn one_is_listed() {}";
    let found = "one_is_this one_is_this_as_well one_is_listed two_are listed";
    assert_eq!(tests_in(code).join(" "), found);
    let tests = Tests::of_the_workspace();
    let name = "only_a_function_below_its_attribute_or_in_a_macro_s_list_is_a_test";
    assert!(tests.has(&format!("documents::{name}")));
    assert!(!tests.has(&format!("sweep::{name}")));
    assert!(!tests.has("documents::only_a_function_below_its_attribute"));
    assert!(!tests.has("documents::tests_in"));
}

/// The spans of a document that are set as code.
fn spans(document: &str) -> impl Iterator<Item = &str> {
    document.split('`').skip(1).step_by(2)
}

/// The tests that a text names.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let is_in_name = |c: char| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit();
    spans(text).filter(move |span| {
        let (_, name) = span.rsplit_once("::").unwrap_or_default();
        name.matches('_').count() >= 3 && name.chars().all(is_in_name)
    })
}

/// The rows of the table whose head starts like this.
fn rows<'a>(document: &'a str, head: &str) -> Vec<&'a str> {
    let table = document.lines().skip_while(|line| !line.starts_with(head));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    rows.collect()
}

#[test]
fn every_test_that_the_documents_name_is_there() {
    let (documents, tests) = (files(&[".md"]), Tests::of_the_workspace());
    let named: BTreeSet<&str> = documents.values().flat_map(|text| named(text)).collect();
    assert!(named.len() >= 100, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|test| !tests.has(test)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_promise_invariant_stop_and_fault_names_a_test() {
    for (name, head, least) in [
        ("README.md", "| promise |", 10),
        ("ARCHITECTURE.md", "| invariant |", 20),
        ("ARCHITECTURE.md", "| stopped after |", 15),
        ("FAULTS.md", "| # | fault |", 40),
    ] {
        let text = document(name);
        let rows = rows(&text, head);
        assert!(rows.len() >= least, "{name} {head} {}", rows.len());
        for row in rows {
            let (_, tests) = row.trim_end_matches('|').rsplit_once('|').unwrap();
            let is_named = named(tests).next().is_some() || tests.contains("`make wall`");
            assert!(is_named, "{name}: {row}");
        }
    }
    let text = document("FAULTS.md");
    for (n, row) in (1..).zip(rows(&text, "| # | fault |")) {
        assert!(n <= 40 && row.starts_with(&format!("| F{n} |")), "{row}");
    }
}

#[test]
fn every_file_that_the_documents_name_is_there() {
    const ROOMS: &str =
        "functions/ shared/ tests/ simulation/ events/ examples/ local/ docs/ .github/";
    for (name, text) in files(&[".md"]) {
        let is_path = |span: &&str| ROOMS.split(' ').any(|room| span.starts_with(room));
        for path in spans(&text).filter(is_path) {
            let is_pattern = path.contains(['…', '<', '*', ' ', '{']);
            assert!(is_pattern || root().join(path).exists(), "{name}: {path}");
        }
    }
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let is_kept = |c: &char| c.is_alphanumeric() || ['-', '_'].contains(c);
    words.replace(' ', "-").chars().filter(is_kept).collect()
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut broken = Vec::new();
    for (name, text) in files(&[".md"]) {
        let links = text.split("](").skip(1);
        let links = links.filter_map(|rest| Some(rest.split_once(')')?.0));
        for link in links.filter(|link| !link.starts_with("http")) {
            let (path, section) = link.split_once('#').unwrap_or((link, ""));
            let mut target = root().join(&name);
            if !path.is_empty() {
                target = target.parent().unwrap().join(path);
            }
            let text = fs::read_to_string(&target).unwrap_or_default();
            let mut headings = text.lines().filter(|line| line.starts_with('#'));
            let has_section = section.is_empty() || headings.any(|line| anchor(line) == section);
            if !target.exists() || !has_section {
                broken.push(format!("{name}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The rows of the table of event types: type, handling, effect, sample, test.
fn rows_of_event_types(events: &str) -> Vec<[String; 5]> {
    let bare = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let rows = rows(events, "| type |").into_iter();
    rows.map(|line| {
        let cells: Vec<String> = line.trim_matches('|').split('|').map(bare).collect();
        cells.try_into().unwrap_or_else(|cells| panic!("{cells:?}"))
    })
    .collect()
}

/// Compares a document's table of event types with the types of the code, each with its handling.
fn assert_event_types(name: &str, types: &BTreeSet<(&str, &str)>) -> Vec<[String; 5]> {
    let (events, tests) = (document(name), Tests::of_the_workspace());
    let rows = rows_of_event_types(&events);
    let listed = rows.iter().map(|[kind, how, ..]| (&**kind, &**how));
    assert_eq!(&listed.collect::<BTreeSet<_>>(), types);
    assert_eq!(rows.len(), types.len(), "a type has two rows");
    for [kind, _, _, sample, test] in &rows {
        let event: serde_json::Value = serde_json::from_str(&document(sample)).unwrap();
        assert_eq!(event["event_type"], *kind, "{sample}");
        assert!(tests.has(test), "{kind}: there is no test {test}");
    }
    rows
}

#[test]
fn the_table_of_event_types_is_the_code_s_and_every_row_names_a_sample_and_a_test() {
    assert_event_types("EVENTS.md", &flex::event_types().collect());
}

#[test]
fn the_table_of_flints_event_types_also_has_the_older_names_and_the_families() {
    let name = "docs/flint-events.md";
    let handling: BTreeMap<_, _> = flint::event_types().collect();
    let older = flint::aliases().map(|(alias, current)| (alias, handling[current]));
    let rows = assert_event_types(name, &flint::event_types().chain(older).collect());
    for (alias, current) in flint::aliases() {
        let row = rows.iter().find(|[kind, ..]| kind == alias).unwrap();
        assert!(
            row[2].ends_with(&format!("older name of `{current}")),
            "{row:?}"
        );
    }
    let text = document(name);
    let families = self::rows(&text, "| starts of names |");
    let listed = families.iter().flat_map(|row| spans(row));
    let listed: BTreeSet<_> = listed.map(|start| start.trim_end_matches('…')).collect();
    assert_eq!(listed, flint::families().collect());
}

/// A sale's rows without stock: event, order, payment, movement of money, reference, customer, receipt.
const ROWS_OF_A_SALE: usize = 7;

#[test]
fn the_documents_name_the_largest_cart_of_one_transaction() {
    let is_whole = |skus: &usize| {
        let moves = vec![(); *skus];
        first_parts(&moves, ROWS_OF_A_SALE, MOVES_A_PART)
            .0
            .is_empty()
    };
    let largest = (0..=MOST_ACTIONS).rev().find(is_whole).unwrap();
    for name in ["ARCHITECTURE.md", "DESIGN.md", "docs/operations.md"] {
        let text = document(name);
        let before = text.split(" SKUs");
        let counts = before.filter_map(|before| before.rsplit_once("more than ")?.1.parse().ok());
        assert_eq!(counts.collect::<Vec<usize>>(), [largest], "{name}");
    }
}

#[test]
fn the_documents_count_what_the_template_has() {
    let template = document("template.yaml");
    let counts = |what: &str| template.matches(&format!("Type: {what}\n")).count();
    let (alarms, secrets) = (
        counts("AWS::CloudWatch::Alarm"),
        counts("AWS::SecretsManager::Secret"),
    );
    for (name, text) in [
        ("docs/deploying.md", format!("| {alarms} for each stack |")),
        ("docs/deploying.md", format!("template.yaml`: {alarms}, ")),
        ("docs/deploying.md", format!("template.yaml`: {secrets}, ")),
        ("CHANGELOG.md", format!("- {alarms} alarms ")),
    ] {
        assert!(document(name).contains(&text), "{name}: {text}");
    }
}

/// The words that code gives to `outcome`: literals, and the arms of a `match` that names it.
fn outcomes_in(code: &str) -> BTreeSet<&str> {
    let literals = code.split("outcome = \"").skip(1);
    let mut words: BTreeSet<_> = literals
        .filter_map(|rest| Some(rest.split_once('"')?.0))
        .collect();
    for (opening, closing) in [("fn outcome(", "\n    }\n"), ("let outcome = ", ";\n")] {
        let bodies = code.split(opening).skip(1);
        for (body, _) in bodies.filter_map(|rest| rest.split_once(closing)) {
            words.extend(body.split('"').skip(1).step_by(2));
        }
    }
    words
}

#[test]
fn the_table_of_outcomes_has_every_word_of_every_function_and_no_other() {
    let mut code = files(&[".rs"]);
    code.retain(|path, _| {
        let of_all = ["batch", "log", "settings"];
        path.starts_with("functions/")
            || of_all
                .iter()
                .any(|name| *path == format!("shared/aws/src/{name}.rs"))
    });
    let used: BTreeSet<_> = code.values().flat_map(|code| outcomes_in(code)).collect();
    let text = document("docs/operations.md");
    let rows = rows(&text, "| outcome | says |").into_iter();
    let listed = rows.flat_map(|row| spans(row.split('|').nth(1).unwrap()));
    assert_eq!(listed.collect::<BTreeSet<_>>(), used);
}

#[test]
fn the_documents_have_every_reason_for_access() {
    for name in ["EVENTS.md", "examples/access/README.md"] {
        let text = document(name);
        for reason in domain::access::subscription::Reason::ALL {
            let reason = reason.as_str();
            assert!(text.contains(&format!("`{reason}`")), "{name}: {reason}");
        }
    }
}
