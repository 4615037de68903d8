//! The program itself: stdout has data alone, stderr has messages, and the exit code is the documented one.

use kit::prelude::*;
use std::process::{Command, Output};

/// Runs the program without AWS: no file, variable or service of this machine may decide the result.
fn till(args: &[&str]) -> Output {
    let folder = std::env::temp_dir();
    Command::new(env!("CARGO_BIN_EXE_till"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An output that follows its schema.
fn json(bytes: &[u8]) -> Value {
    let output: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(crate::schemas::refused(&output), None, "{output}");
    output
}

#[test]
fn a_sample_is_all_of_stdout() {
    let output = till(&["event", "new", "refund.created"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let event: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(event["event_type"], json!("refund.created"));
    assert_eq!(text(&output.stderr), "");
    for name in ["refund.created", "list"] {
        json(&till(&["event", "new", name, "--json"]).stdout);
    }
}

#[test]
fn an_error_is_all_of_stderr_as_text_or_as_json() {
    let output = till(&["event", "new", "refund.creatd"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(text(&output.stderr).starts_with("error: no sample of"));
    for args in [
        &["event", "new", "refund.creatd", "--json"][..],
        &["ordr", "1", "--json"],
        &["--json", "order", "1", "--colour"],
        &["order", "--json"],
    ] {
        let output = till(args);
        let error = json(&output.stderr);
        assert_eq!(
            (&error["exit"], output.stdout.len()),
            (&json!(2), 0),
            "{args:?}"
        );
    }
    assert!(text(&till(&["--help", "--json"]).stdout).contains("Usage"));
}

#[test]
fn an_unknown_option_value_or_command_is_an_error() {
    for args in [
        &["ordr", "1"][..],
        &["order", "1", "--colour"],
        &["redrive", "orders"],
        &["status", "--color", "blue"],
        &["order", "1", "--local", "--profile", "x"],
    ] {
        assert_eq!(till(args).status.code(), Some(2), "{args:?}");
    }
    let near = text(&till(&["ordr", "1"]).stderr);
    assert!(near.contains("order"), "{near}");
}

#[test]
fn without_a_region_or_a_local_stack_the_error_names_the_cure() {
    for (args, code, cure) in [
        (&["status"][..], 2, "--region"),
        (&["status", "--local"], 3, "make up"),
    ] {
        let output = till(args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        assert!(error.contains(cure), "{args:?}: {error}");
    }
}

#[test]
fn every_command_has_help_within_the_width() {
    let cli = <till::args::Cli as clap::CommandFactory>::command();
    for command in cli.get_subcommands() {
        let output = till(&[command.get_name(), "--help"]);
        assert_eq!(output.status.code(), Some(0), "{}", command.get_name());
        assert!(command.get_about().is_some(), "{}", command.get_name());
    }
}

#[test]
fn each_shell_has_a_completion_script_that_knows_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = till(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = text(&output.stdout);
        assert!(
            script.contains("doctor") && script.contains("dry-run") && script.contains("till"),
            "{shell}"
        );
        let answer = json(&till(&["completions", shell, "--json"]).stdout);
        assert_eq!(answer["data"]["script"], json!(script));
    }
    assert_eq!(till(&["completions", "cmd"]).status.code(), Some(2));
}

/// The names of a command and of all visible commands below it.
fn pages(command: &clap::Command, above: &str, all: &mut BTreeSet<String>) {
    let name = format!("{above}{}", command.get_name());
    all.insert(format!("{name}.1"));
    let below = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set());
    for command in below {
        pages(command, &format!("{name}-"), all);
    }
}

#[test]
fn every_visible_command_has_a_man_page() {
    let dir = std::env::temp_dir().join(format!("till-man-{}", std::process::id()));
    let output = till(&["man", dir.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    json(&output.stdout);
    let mut wanted = BTreeSet::new();
    pages(
        &<till::args::Cli as clap::CommandFactory>::command(),
        "",
        &mut wanted,
    );
    let found: BTreeSet<String> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, wanted);
    for name in &found {
        let page = std::fs::read_to_string(dir.join(name)).unwrap();
        assert!(
            page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"),
            "{name}"
        );
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
