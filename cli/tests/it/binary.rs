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

#[test]
fn a_sample_is_all_of_stdout() {
    let output = till(&["event", "new", "refund.created"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let event: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(event["event_type"], json!("refund.created"));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn an_error_is_all_of_stderr_as_text_or_as_json() {
    let output = till(&["event", "new", "refund.creatd"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(text(&output.stderr).starts_with("error: no sample of"));
    let output = till(&["event", "new", "refund.creatd", "--json"]);
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&error["exit"], output.stdout.len()), (&json!(2), 0));
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
    let near = till(&["ordr", "1"]);
    assert!(
        text(&near.stderr).contains("order"),
        "{}",
        text(&near.stderr)
    );
}

#[test]
fn without_a_region_or_a_local_stack_the_error_names_the_cure() {
    let output = till(&["status"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("--region"),
        "{}",
        text(&output.stderr)
    );
    let output = till(&["status", "--local"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("make up"),
        "{}",
        text(&output.stderr)
    );
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
