//! What the documents claim of the code: every test that they name is there, and every role is told in full.

use aws::ledger::{MOST_ACTIONS, MOVES_A_PART, first_parts};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// Holds a section of a document to what the code prints for it. `UPDATE_DOCUMENTS=1` writes the section.
///
/// # Panics
///
/// If the section is not there or says something else.
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
        fs::write(
            root().join(name),
            format!("{before}{start}{printed}{end}{after}"),
        )
        .unwrap();
        return;
    }
    assert_eq!(
        found, printed,
        "run `UPDATE_DOCUMENTS=1 cargo test -p tests {section}` to print it again"
    );
}

/// Every test of the workspace, and where it is.
struct Tests(Vec<Test>);

struct Test {
    /// The folders on the way to its file, and the file without its ending.
    path: Vec<String>,
    name: String,
}

impl Tests {
    fn of_the_workspace() -> Self {
        let mut tests = Self(Vec::new());
        for folder in ["functions", "shared", "tests"] {
            tests.gather(&root().join(folder), &[folder.to_owned()]);
        }
        tests
    }

    fn gather(&mut self, folder: &Path, path: &[String]) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            let path = [
                path,
                &[entry.file_stem().unwrap().to_string_lossy().into_owned()],
            ]
            .concat();
            if entry.is_dir() {
                self.gather(&entry, &path);
            } else if entry.extension().is_some_and(|ending| ending == "rs") {
                let code = fs::read_to_string(&entry).unwrap();
                let names = tests_in(&code).into_iter();
                self.0.extend(names.map(|name| Test {
                    path: path.clone(),
                    name: name.to_owned(),
                }));
            }
        }
    }

    /// Whether there is such a test: of that very name, and in a file that the parts before the name lead to. A file's
    /// own `mod tests` needs no file.
    fn has(&self, test: &str) -> bool {
        let (modules, name) = test.rsplit_once("::").unwrap();
        self.0
            .iter()
            .filter(|known| known.name == name)
            .any(|known| {
                let mut path = known.path.iter();
                modules
                    .split("::")
                    .filter(|part| *part != "tests")
                    .all(|part| path.any(|on| on == part))
            })
    }
}

/// The names of the tests in a file: functions below an attribute that makes them tests, and what is listed for a macro
/// that makes one test, or several, of each.
fn tests_in(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut is_test, mut is_list) = (false, false);
    for line in code.lines().map(str::trim) {
        if is_list {
            is_list = line != "}";
            names.extend(
                line.split(',')
                    .map(str::trim)
                    .filter(|name| is_list && !name.is_empty()),
            );
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("on_") && line.ends_with("! {") {
            is_list = true;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            let function = line
                .strip_prefix("async ")
                .unwrap_or(line)
                .strip_prefix("fn ");
            names.extend(
                function
                    .filter(|_| is_test)
                    .and_then(|rest| rest.split_once('('))
                    .map(|(name, _)| name),
            );
            is_test = false;
        }
    }
    names
}

#[test]
fn only_a_function_below_its_attribute_or_in_a_macro_s_list_is_a_test() {
    let code = [
        "// fn a_comment_is_none() {",
        "fn a_helper_is_none() {}",
        "#[test]",
        "#[should_panic]",
        "/// Said of it.",
        "fn one_is_this(",
        ") {}",
        "    #[tokio::test(start_paused = true)]",
        "    async fn one_is_this_as_well() {",
        "        fn a_function_inside_is_none() {}",
        "    }",
        "on_both! {",
        "    one_is_listed,",
        "    two_are, listed,",
        "}",
        "fn one_is_listed() {}",
    ];
    let found = [
        "one_is_this",
        "one_is_this_as_well",
        "one_is_listed",
        "two_are",
        "listed",
    ];
    assert_eq!(tests_in(&code.join("\n")), found);
    let tests = Tests::of_the_workspace();
    assert!(
        tests.has("documents::only_a_function_below_its_attribute_or_in_a_macro_s_list_is_a_test")
    );
    assert!(
        !tests.has("sweep::only_a_function_below_its_attribute_or_in_a_macro_s_list_is_a_test")
    );
    assert!(!tests.has("documents::only_a_function_below_its_attribute"));
    assert!(!tests.has("documents::tests_in"));
}

/// The tests that a text names.
fn named(text: &str) -> impl Iterator<Item = &str> {
    spans(text).filter(|span| {
        let name = span.rsplit_once("::").map_or("", |(_, name)| name);
        name.matches('_').count() >= 3 && name.chars().all(|c| c == '_' || c.is_ascii_lowercase())
    })
}

/// The spans of a document that are set as code.
fn spans(document: &str) -> impl Iterator<Item = &str> {
    document.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_the_architecture_names_is_there() {
    let (architecture, tests) = (document("ARCHITECTURE.md"), Tests::of_the_workspace());
    let named: BTreeSet<&str> = named(&architecture).collect();
    assert!(named.len() >= 15, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|test| !tests.has(test)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_row_of_what_a_stop_leaves_behind_names_a_test() {
    let architecture = document("ARCHITECTURE.md");
    let table = architecture
        .lines()
        .skip_while(|line| !line.starts_with("| stopped after |"));
    let rows: Vec<_> = table
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() >= 15, "{rows:#?}");
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 5, "{row}");
        assert!(named(cells[4]).next().is_some(), "{row}");
    }
}

#[test]
fn every_invariant_names_a_test() {
    let architecture = document("ARCHITECTURE.md");
    let section = architecture
        .split("## ")
        .find(|section| section.starts_with("Invariants"))
        .unwrap();
    for paragraph in section
        .split("\n\n")
        .filter(|paragraph| paragraph.starts_with("**Invariant"))
    {
        let elsewhere = ["make wall", "in `shared/aws/src/frozen.rs`"];
        let is_elsewhere = elsewhere.iter().any(|place| paragraph.contains(place));
        assert!(
            named(paragraph).next().is_some() || is_elsewhere,
            "{paragraph}"
        );
    }
}

#[test]
fn every_file_that_the_documents_name_is_there() {
    const DOCUMENTS: [&str; 12] = [
        "README.md",
        "EVENTS.md",
        "FAULTS.md",
        "ARCHITECTURE.md",
        "DESIGN.md",
        "OPERATIONS.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/deploying.md",
        "docs/parameters.md",
        "examples/access/README.md",
    ];
    const ROOMS: [&str; 8] = [
        "functions/",
        "shared/",
        "tests/",
        "events/",
        "examples/",
        "local/",
        "docs/",
        ".github/",
    ];
    for name in DOCUMENTS {
        let text = document(name);
        let paths = spans(&text).filter(|span| ROOMS.iter().any(|room| span.starts_with(room)));
        for path in paths.filter(|path| !path.contains(['…', '<', '*', ' ', '{'])) {
            assert!(root().join(path).exists(), "{name} names {path}");
        }
    }
}

/// The rows of the table of event types: type, handling, what it does, sample, test.
fn rows_of_event_types(events: &str) -> Vec<[String; 5]> {
    let bare = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let table = events
        .lines()
        .skip_while(|line| !line.starts_with("| type |"))
        .skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    rows.map(|line| {
        let cells: Vec<String> = line.trim_matches('|').split('|').map(bare).collect();
        cells.try_into().unwrap_or_else(|cells| panic!("{cells:?}"))
    })
    .collect()
}

#[test]
fn the_table_of_event_types_is_the_code_s_and_every_row_names_a_sample_and_a_test() {
    let (events, tests) = (document("EVENTS.md"), Tests::of_the_workspace());
    let rows = rows_of_event_types(&events);
    let facts: BTreeSet<(&str, &str)> = rows
        .iter()
        .map(|[kind, how, ..]| (kind.as_str(), how.as_str()))
        .collect();
    assert_eq!(facts, flex::event_types().collect::<BTreeSet<_>>());
    assert_eq!(rows.len(), facts.len(), "a type has two rows");
    for [kind, _, _, sample, test] in &rows {
        let event: serde_json::Value = serde_json::from_str(&document(sample)).unwrap();
        assert_eq!(event["event_type"], *kind, "{sample}");
        assert!(tests.has(test), "{kind}: there is no test {test}");
    }
}

#[test]
fn every_fault_has_a_test_that_is_there() {
    let (faults, tests) = (document("FAULTS.md"), Tests::of_the_workspace());
    let rows: Vec<_> = faults
        .lines()
        .filter(|line| line.starts_with("| F"))
        .collect();
    assert_eq!(rows.len(), 34);
    for (n, row) in (1..).zip(rows) {
        assert!(row.starts_with(&format!("| F{n} |")), "{row}");
        let of_fault: Vec<_> = spans(row).filter(|span| span.contains("::")).collect();
        assert!(!of_fault.is_empty(), "{row}");
        for test in of_fault {
            assert!(tests.has(test), "F{n}: there is no test {test}");
        }
    }
}

/// The rows of a sale beside its stock: event, order, payment, reference, customer, receipt.
const ROWS_OF_A_SALE: usize = 6;

#[test]
fn the_documents_name_the_largest_cart_of_one_transaction() {
    let fits = |skus: &usize| {
        first_parts(&vec![(); *skus], ROWS_OF_A_SALE, MOVES_A_PART)
            .0
            .is_empty()
    };
    let largest = (0..=MOST_ACTIONS).rev().find(fits).unwrap();
    for name in ["ARCHITECTURE.md", "DESIGN.md", "OPERATIONS.md"] {
        let text = document(name);
        let before = text
            .split(" SKUs")
            .filter_map(|before| before.rsplit_once("more than "));
        let counts: Vec<_> = before
            .filter_map(|(_, count)| count.parse::<usize>().ok())
            .collect();
        assert_eq!(counts, [largest], "{name}");
    }
}

/// The words that a function's code gives to `outcome`: literals, and the arms of a match that names it.
fn outcomes_in(code: &str) -> BTreeSet<&str> {
    let literals = code
        .split("outcome = \"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'));
    let mut words: BTreeSet<_> = literals.map(|(word, _)| word).collect();
    for (opening, closing) in [("fn outcome(", "\n    }\n"), ("let outcome = ", ";\n")] {
        for body in code
            .split(opening)
            .skip(1)
            .filter_map(|rest| rest.split_once(closing))
        {
            words.extend(body.0.split('"').skip(1).step_by(2));
        }
    }
    words
}

#[test]
fn the_table_of_outcomes_has_every_word_of_every_function_and_no_other() {
    let functions = [
        "intake",
        "fulfillment",
        "receipts",
        "feedback",
        "sweep",
        "reconcile",
    ];
    let folders = functions.map(|name| format!("functions/{name}/src"));
    let mut files = vec![
        "shared/aws/src/batch.rs".into(),
        "shared/aws/src/log.rs".into(),
    ];
    files.push("shared/aws/src/settings.rs".to_owned());
    for folder in folders {
        let entries = fs::read_dir(root().join(&folder)).unwrap();
        files.extend(
            entries
                .map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy())),
        );
    }
    let code: Vec<_> = files.iter().map(|file| document(file)).collect();
    let used: BTreeSet<_> = code.iter().flat_map(|code| outcomes_in(code)).collect();
    let text = document("OPERATIONS.md");
    let (_, table) = text.split_once("| outcome | says |\n|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let listed: BTreeSet<_> = rows
        .flat_map(|row| spans(row.split('|').nth(1).unwrap()))
        .collect();
    assert_eq!(listed, used);
}

#[test]
fn the_documents_have_every_reason_for_access() {
    for name in ["EVENTS.md", "examples/access/README.md"] {
        let text = document(name);
        for reason in domain::access::subscription::Reason::ALL {
            assert!(
                text.contains(&format!("`{}`", reason.as_str())),
                "{name} lacks {}",
                reason.as_str()
            );
        }
    }
}
