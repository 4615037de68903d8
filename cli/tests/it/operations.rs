//! Every command of the documents is one that `till` has, and does something on a busy stack.

use crate::{desk::FakeTerminal, order::rich, read::busy};
use kit::prelude::*;
use std::fs;
use till::{args::Cli, error::Exit};

/// The commands in a document: in blocks, and in code spans that name all arguments.
fn commands(name: &str) -> Vec<String> {
    let path = format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(command) = line.strip_prefix("till ") {
            let command = command.split("  #").next().unwrap().trim();
            found.push(command.to_owned());
            continue;
        }
        for span in line.split('`').skip(1).step_by(2) {
            let command = span.strip_prefix("till ");
            found.extend(
                command
                    .filter(|command| !is_name(command))
                    .map(str::to_owned),
            );
        }
    }
    found
}

/// True for a noun and its verb alone, such as `stock receive`: a name, and no command to type.
fn is_name(command: &str) -> bool {
    let cli = <Cli as clap::CommandFactory>::command();
    let mut words = command.split(' ');
    let noun = words.next().and_then(|noun| cli.find_subcommand(noun));
    let verb = words
        .next()
        .zip(noun)
        .and_then(|(verb, noun)| noun.find_subcommand(verb));
    verb.is_some() && words.next().is_none()
}

/// The words of a shell command, without a shell: quotes hold a word together.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in command.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

const DOCUMENTS: [&str; 4] = [
    "docs/operations.md",
    "docs/till.md",
    "docs/stock.md",
    "README.md",
];

#[test]
fn every_command_of_the_documents_is_understood() {
    let mut count = 0;
    for name in DOCUMENTS {
        for command in commands(name) {
            // A pipe is two commands.
            for part in command.split(" | ") {
                let part = part.strip_prefix("till ").unwrap_or(part);
                let Some(first) = words(part).first().cloned() else {
                    continue;
                };
                if first == "sam" {
                    continue;
                }
                let all = [vec!["till".to_owned()], words(part)].concat();
                // A span may name a noun alone, such as `till why`.
                if words(part).len() > 1 {
                    let parsed = <Cli as clap::Parser>::try_parse_from(&all);
                    let is_help = parsed.as_ref().is_err_and(|error| !error.use_stderr());
                    assert!(
                        parsed.is_ok() || is_help,
                        "{name}: till {part}\n{}",
                        parsed.unwrap_err()
                    );
                    count += 1;
                }
            }
        }
    }
    assert!(count > 40, "{count}");
}

#[tokio::test]
async fn every_command_of_the_operators_guide_runs() {
    for command in commands("docs/operations.md") {
        let first = command.split(" | ").next().unwrap().to_owned();
        let args = words(&first);
        if args.len() < 2 || args.contains(&"whoami".to_owned()) {
            continue;
        }
        let desk = if first.contains("1047") || first.contains("customer") {
            rich().await
        } else {
            busy().await
        };
        desk.bundle.world.kept().counters.insert(sku("BRACE-M"), 3);
        // After every date in the guide.
        let later = "2026-06-01T12:00:00Z".parse().unwrap();
        desk.bundle.world.pass_until(later);
        let terminal = FakeTerminal {
            input: kit::story::SECRET.to_owned(),
            interrupt_after: 100_000,
            ..FakeTerminal::default()
        };
        let number = purchase(1).order_id().to_owned();
        let real = |word: &String| match word.as_str() {
            "fevt_1" => "fevt_9".to_owned(),
            "fcs_1-order" => format!("{number}-order"),
            "fcs_1" | "1047" => number.clone(),
            "fcus_1" => desk.customer(),
            word => word.to_owned(),
        };
        let mut args: Vec<String> = args.iter().map(real).collect();
        if args.contains(&"--why".to_owned()) {
            args.push("--dry-run".to_owned());
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ended = desk.till_at(&terminal, &args).await;
        let is_input = ended.text.contains("API key, not a signing")
            || ended.text.contains("signing secret, not")
            || ended.text.contains("no rotation")
            || ended.text.contains("e-mail address")
            || ended.text.contains("the address is");
        assert!(
            ended.exit != Exit::Usage || is_input,
            "till {args:?}: {}",
            ended.text
        );
    }
}

#[tokio::test]
async fn the_page_shows_the_order_as_it_is_printed() {
    let ended = rich().await.till(&["order", "order-1", "--logs"]).await;
    let path = format!("{}/../docs/till.md", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = ended.text.lines().map(str::trim_end).collect();
    let printed = lines.join("\n") + "\n";
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        let (before, rest) = page.split_once("```text\n").unwrap();
        let (_, after) = rest.split_once("```\n").unwrap();
        fs::write(&path, format!("{before}```text\n{printed}```\n{after}")).unwrap();
        return;
    }
    assert!(
        page.contains(&printed),
        "UPDATE_DOCUMENTS=1 writes it:\n{printed}"
    );
}
