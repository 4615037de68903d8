//! What the documents claim of the code: every test that they name is there, and every role is told in full.

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

/// All Rust code of the workspace.
fn code() -> String {
    fn gather(folder: &Path, code: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, code);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                code.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut code = String::new();
    for folder in ["functions", "shared", "tests"] {
        gather(&root().join(folder), &mut code);
    }
    code
}

/// The spans of a document that are set as code.
fn spans(document: &str) -> impl Iterator<Item = &str> {
    document.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_the_architecture_names_is_there() {
    let (architecture, code) = (document("ARCHITECTURE.md"), code());
    let is_test = |name: &&str| {
        name.matches('_').count() >= 3 && name.chars().all(|c| c == '_' || c.is_ascii_lowercase())
    };
    let named: BTreeSet<&str> = spans(&architecture)
        .filter_map(|span| span.rsplit_once("::").map(|(_, name)| name))
        .filter(is_test)
        .collect();
    assert!(named.len() >= 15, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !code.contains(&format!("fn {name}"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_invariant_names_a_test() {
    let architecture = document("ARCHITECTURE.md");
    let section = architecture.split("## ").find(|section| section.starts_with("Invariants")).unwrap();
    for paragraph in section.split("\n\n").filter(|paragraph| paragraph.starts_with("**Invariant")) {
        assert!(paragraph.contains("Test") || paragraph.contains("make wall"), "{paragraph}");
    }
}

#[test]
fn every_file_that_the_documents_name_is_there() {
    const DOCUMENTS: [&str; 8] = [
        "README.md",
        "EVENTS.md",
        "FAULTS.md",
        "ARCHITECTURE.md",
        "DESIGN.md",
        "OPERATIONS.md",
        "CHANGELOG.md",
        "examples/access/README.md",
    ];
    const ROOMS: [&str; 6] = ["functions/", "shared/", "tests/", "events/", "examples/", "local/"];
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
    let table = events.lines().skip_while(|line| !line.starts_with("| type |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    rows.map(|line| {
        let cells: Vec<String> = line.trim_matches('|').split('|').map(bare).collect();
        cells.try_into().unwrap_or_else(|cells| panic!("{cells:?}"))
    })
    .collect()
}

#[test]
fn the_table_of_event_types_is_the_code_s_and_every_row_names_a_sample_and_a_test() {
    let (events, code) = (document("EVENTS.md"), code());
    let rows = rows_of_event_types(&events);
    let told: BTreeSet<(&str, &str)> =
        rows.iter().map(|[kind, how, ..]| (kind.as_str(), how.as_str())).collect();
    assert_eq!(told, flex::event_types().collect::<BTreeSet<_>>());
    assert_eq!(rows.len(), told.len(), "a type has two rows");
    for [kind, _, _, sample, test] in &rows {
        let event: serde_json::Value = serde_json::from_str(&document(sample)).unwrap();
        assert_eq!(event["event_type"], *kind, "{sample}");
        let name = test.rsplit_once("::").unwrap().1;
        assert!(code.contains(&format!("fn {name}")), "{kind}: there is no test {test}");
    }
}

#[test]
fn every_fault_has_a_test_that_is_there() {
    let (faults, code) = (document("FAULTS.md"), code());
    let rows: Vec<_> = faults.lines().filter(|line| line.starts_with("| F")).collect();
    assert_eq!(rows.len(), 34);
    for (n, row) in (1..).zip(rows) {
        assert!(row.starts_with(&format!("| F{n} |")), "{row}");
        let tests: Vec<_> =
            spans(row).filter_map(|span| span.rsplit_once("::").map(|(_, name)| name)).collect();
        assert!(!tests.is_empty(), "{row}");
        for name in tests {
            assert!(code.contains(&format!("fn {name}")), "F{n}: there is no test {name}");
        }
    }
}

#[test]
fn the_documents_have_every_reason_for_access() {
    for name in ["EVENTS.md", "examples/access/README.md"] {
        let text = document(name);
        for reason in domain::subscription::Reason::ALL {
            assert!(text.contains(&format!("`{}`", reason.as_str())), "{name} lacks {}", reason.as_str());
        }
    }
}
