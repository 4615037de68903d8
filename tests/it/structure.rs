//! The structure of the core: no import cycle between its files, and each room uses only rooms before it.

use crate::documents::root;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The rooms of `shared/domain`, in reading order. `ports` uses all of them.
const ROOMS: [&str; 10] = [
    "values",
    "resource",
    "sale",
    "access",
    "delivery",
    "receipt",
    "announcement",
    "fulfillment",
    "upkeep",
    "ports",
];

/// The modules that each module imports, without tests.
type Imports = BTreeMap<String, BTreeSet<String>>;

fn imports() -> Imports {
    let source = root().join("shared/domain/src");
    let mut code = BTreeMap::new();
    gather(&source, "", &mut code);
    let names: BTreeSet<String> = code.keys().cloned().collect();
    let of = |(name, text): (&String, &String)| {
        let found = paths(text)
            .into_iter()
            .filter_map(|path| module(&path, &names));
        let others = found.filter(|other| !is_same_module(other, name));
        (name.clone(), others.collect())
    };
    code.iter().map(of).collect()
}

/// A folder's `mod.rs` and its files count as one another's parts.
fn is_same_module(one: &str, other: &str) -> bool {
    let is_part =
        |part: &str, whole: &str| part == whole || part.starts_with(&format!("{whole}::"));
    is_part(one, other) || is_part(other, one)
}

fn gather(folder: &Path, prefix: &str, code: &mut BTreeMap<String, String>) {
    const TESTS: [&str; 4] = ["tests", "testing", "any_order", "lib"];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if TESTS.contains(&name.as_str()) {
            continue;
        }
        let module = match (prefix, name.as_str()) {
            ("", name) => name.to_owned(),
            (prefix, "mod") => prefix.to_owned(),
            (prefix, name) => format!("{prefix}::{name}"),
        };
        if path.is_dir() {
            gather(&path, &module, code);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            let lines = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            code.insert(module, lines.collect::<Vec<_>>().join(" "));
        }
    }
}

/// Every path below `crate::` in a text, with nested braces written out.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for rest in text.split("crate::").skip(1) {
        tree(&mut rest.chars().peekable(), &[], &mut all);
    }
    all
}

fn tree(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    prefix: &[String],
    all: &mut Vec<Vec<String>>,
) {
    let (mut path, mut word) = (prefix.to_vec(), String::new());
    while let Some(&next) = chars.peek() {
        match next {
            '_' | 'a'..='z' | 'A'..='Z' | '0'..='9' => word.push(next),
            ':' => path.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            '{' => {
                chars.next();
                while chars.peek().is_some_and(|next| *next != '}') {
                    tree(chars, &path, all);
                    while chars.peek().is_some_and(|next| [',', ' '].contains(next)) {
                        chars.next();
                    }
                    if chars
                        .peek()
                        .is_some_and(|next| !next.is_alphanumeric() && *next != '}')
                    {
                        return;
                    }
                }
                chars.next();
                return;
            }
            _ => break,
        }
        chars.next();
    }
    path.push(word);
    all.push(path);
}

/// The longest beginning of a path that is a module.
fn module(path: &[String], names: &BTreeSet<String>) -> Option<String> {
    let beginnings = (1..=path.len())
        .rev()
        .map(|length| path[..length].join("::"));
    beginnings.into_iter().find(|name| names.contains(name))
}

/// A way from a module back to itself.
fn cycle(imports: &Imports) -> Option<Vec<String>> {
    fn visit(
        name: &str,
        imports: &Imports,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        if let Some(start) = way.iter().position(|known| known == name) {
            way.drain(..start);
            return true;
        }
        if !done.insert(name.to_owned()) {
            return false;
        }
        way.push(name.to_owned());
        let next = imports.get(name).into_iter().flatten();
        if next.into_iter().any(|next| visit(next, imports, way, done)) {
            return true;
        }
        way.pop();
        false
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|name| {
        let mut way = Vec::new();
        visit(name, imports, &mut way, &mut done).then_some(way)
    })
}

#[test]
fn the_files_of_the_core_import_one_another_in_no_cycle() {
    let imports = imports();
    assert!(imports.len() > 30, "{imports:?}");
    assert_eq!(cycle(&imports), None);
}

#[test]
fn each_room_of_the_core_uses_only_rooms_before_it() {
    let room = |module: &str| {
        let first = module.split("::").next().unwrap_or_default();
        ROOMS.iter().position(|room| *room == first)
    };
    for (module, others) in imports() {
        let own = room(&module);
        assert!(own.is_some(), "{module} is in no room");
        for other in others {
            assert!(room(&other) <= own, "{module} imports {other}");
        }
    }
}

#[test]
fn a_cycle_is_found() {
    let of = |to: &[&str]| to.iter().map(|name| (*name).to_owned()).collect();
    let mut imports = Imports::from([
        ("a".to_owned(), of(&["b"])),
        ("b".to_owned(), of(&["c"])),
        ("c".to_owned(), of(&[])),
    ]);
    assert_eq!(cycle(&imports), None);
    imports.insert("c".to_owned(), of(&["b"]));
    assert_eq!(cycle(&imports), Some(vec!["b".to_owned(), "c".to_owned()]));
}

#[test]
fn nested_imports_are_written_out() {
    let text = "use crate::{a::{b::C, d}, e::F}; let x = crate::g::h(); use std::fmt;";
    let joined: Vec<_> = paths(text).iter().map(|path| path.join("::")).collect();
    assert_eq!(joined, ["a::b::C", "a::d", "e::F", "g::h"]);
}
