//! The real program at a real terminal: prompts, hidden input, widths and Ctrl-C. AWS is [`crate::aws_stub`].

use crate::aws_stub::AwsStub;
use kit::prelude::*;
use nix::sys::{
    termios::{LocalFlags, tcgetattr},
    wait::WaitStatus,
};
use rexpect::{process::PtyProcess, reader::Options, session::StreamSession};
use std::process::Command;
use std::{
    fs::File,
    io::{self, Read},
    time::Instant,
};

/// No step may take longer, on a slow machine either.
const MOST_MS: u64 = 60_000;

/// The program against the stub. The variables that other tools take for a "yes" are set.
fn command(stub: &AwsStub, columns: usize, line: &str) -> Command {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_till"));
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            &format!("test {columns} = 0 || stty cols {columns} rows 40; exec {line}"),
        ])
        .current_dir(std::env::temp_dir())
        .env_clear()
        .env(
            "PATH",
            format!("{}:{path}", program.parent().unwrap().display()),
        )
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .env("AWS_ENDPOINT_URL", format!("http://{}", stub.address))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "stub")
        .env("AWS_SECRET_ACCESS_KEY", "stub")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    for name in ["CI", "TILL_YES", "FORCE", "YES", "DEBIAN_FRONTEND"] {
        command.env(name, "true");
    }
    command
}

/// The output of a terminal, which ends when the program hangs up. rexpect reads that error for ever.
struct Screen(File);

impl Read for Screen {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.0.read(to) {
            Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => Ok(0),
            read => read,
        }
    }
}

/// The program at its terminal.
pub struct Session {
    process: PtyProcess,
    pub stream: StreamSession<File>,
}

fn at_terminal(stub: &AwsStub, columns: usize, line: &str) -> Session {
    let options = Options::new().strip_ansi_escape_codes(true);
    Session::running(command(stub, columns, line), options)
}

/// rexpect reads each byte as a letter.
fn as_text(read: &str) -> String {
    let bytes: Vec<u8> = read.chars().map(|letter| letter as u8).collect();
    String::from_utf8(bytes).unwrap()
}

impl Session {
    /// Runs a command at a terminal. The terminal has no echo.
    pub fn running(command: Command, options: Options) -> Self {
        let process = PtyProcess::new(command).unwrap();
        let screen = Screen(process.get_file_handle().unwrap());
        let keys = process.get_file_handle().unwrap();
        let stream = StreamSession::new(screen, keys, options.timeout_ms(Some(MOST_MS)));
        Self { process, stream }
    }

    /// The output before a text, for which it waits.
    fn until(&mut self, text: &str) -> String {
        let before = self.stream.exp_string(text);
        as_text(&before.unwrap_or_else(|error| panic!("{error}")))
    }

    fn types(&mut self, line: &str) {
        self.stream.send_line(line).unwrap();
    }

    /// The rest of the output, and the exit code.
    fn ended(&mut self) -> (String, i32) {
        let rest = as_text(&self.stream.exp_eof().unwrap());
        match self.process.wait().unwrap() {
            WaitStatus::Exited(_, code) => (rest, code),
            other => panic!("{other:?}: {rest}"),
        }
    }

    /// Waits until the terminal echoes no input. A person sees the question first and types later.
    fn until_hidden(&self) {
        let begun = Instant::now();
        let keys = self.process.get_file_handle().unwrap();
        let echoes = || {
            let flags = tcgetattr(&keys).unwrap().local_flags;
            flags.contains(LocalFlags::ECHO)
        };
        while echoes() {
            assert!(
                begun.elapsed().as_millis() < u128::from(MOST_MS),
                "the terminal echoes"
            );
            std::thread::yield_now();
        }
    }
}

/// One command of each class.
struct Class {
    line: &'static str,
    /// The prompt on a test stack and on a live one; empty for none.
    asks: [&'static str; 2],
    /// The writes of a confirmed run.
    writes: &'static [&'static str],
    /// A value is typed before the prompt.
    types: Option<&'static str>,
}

impl Class {
    /// The value to type on a stack. An API key fits the mode.
    fn value(&self, stack: &str) -> Option<&'static str> {
        match self.types {
            Some("KEY") if stack == "flex-live" => Some("fsk_live123456"),
            Some("KEY") => Some("fsk_test_123456"),
            types => types,
        }
    }
}

const YES_OR_NO: &str = "Do it? [y/N]";
const NAME: &str = "This stack is LIVE. Type flex-live to confirm:";

const CLASSES: [Class; 4] = [
    Class {
        line: "till event replay fevt_0001 --why check",
        asks: ["", YES_OR_NO],
        writes: &["TransactWriteItems", "SendMessage"],
        types: None,
    },
    Class {
        line: "till replay --since 2026-01-01 --before 2026-12-31 --why check",
        asks: [YES_OR_NO, NAME],
        writes: &[
            "TransactWriteItems",
            "SendMessage",
            "TransactWriteItems",
            "SendMessage",
        ],
        types: None,
    },
    Class {
        line: "till mail clear-address --ses --why check",
        asks: [YES_OR_NO, YES_OR_NO],
        writes: &["DeleteSuppressedDestination"],
        types: Some("pat@example.com"),
    },
    Class {
        line: "till secrets put api-key --why check",
        asks: [YES_OR_NO, NAME],
        writes: &["PutSecretValue"],
        types: Some("KEY"),
    },
];

const STACKS: [&str; 2] = ["flex-test", "flex-live"];

/// Starts the command at a terminal and answers everything before its prompt.
fn begun(stub: &AwsStub, class: &Class, stack: &str) -> Session {
    let mut session = at_terminal(stub, 80, &format!("{} --stack {stack}", class.line));
    if let Some(value) = class.value(stack) {
        if class.types == Some("KEY") {
            session.until("API key (hidden):");
            session.until_hidden();
        } else {
            session.until("Address:");
        }
        session.types(value);
    }
    session
}

#[test]
fn each_class_asks_its_question_and_only_its_answer_confirms() {
    for class in &CLASSES {
        for (stack, asks) in STACKS.into_iter().zip(class.asks) {
            let wrong: &[&str] = match asks {
                "" => &[],
                YES_OR_NO => &["", "n", "flex-live"],
                _ => &["", "y", "yes", "flex-test", "FLEX-LIVE"],
            };
            for answer in wrong {
                let stub = AwsStub::with_events(2);
                let mut session = begun(&stub, class, stack);
                session.until(asks);
                session.types(answer);
                let (rest, code) = session.ended();
                assert_eq!(code, 5, "{} on {stack}, {answer:?}: {rest}", class.line);
                assert!(rest.contains("nothing changed"), "{rest}");
                assert_eq!(
                    stub.rows().writes,
                    Vec::<String>::new(),
                    "{} on {stack}",
                    class.line
                );
            }
            let stub = AwsStub::with_events(2);
            let mut session = begun(&stub, class, stack);
            if !asks.is_empty() {
                session.until(asks);
                session.types(if asks == NAME { stack } else { "y" });
            }
            let (rest, code) = session.ended();
            assert_eq!(code, 0, "{} on {stack}: {rest}", class.line);
            assert_eq!(
                stub.rows().writes,
                class.writes,
                "{} on {stack}",
                class.line
            );
        }
    }
}

#[test]
fn without_a_terminal_a_write_ends_with_5_at_once_and_yes_needs_the_name() {
    for class in &CLASSES {
        for (stack, asks) in STACKS.into_iter().zip(class.asks) {
            if asks.is_empty() {
                continue;
            }
            let run = |stack: &str, more: &str| {
                let stub = AwsStub::with_events(2);
                let line = format!("{} {more}", class.line);
                let mut command = command(&stub, 0, &line);
                command.env("TILL_STACK", stack);
                let value = class.value(stack).unwrap_or_default();
                let mut child = command
                    .stdin(std::process::Stdio::piped())
                    .stdout(std::process::Stdio::piped())
                    .stderr(std::process::Stdio::piped())
                    .spawn()
                    .unwrap();
                std::io::Write::write_all(&mut child.stdin.take().unwrap(), value.as_bytes())
                    .unwrap();
                let output = child.wait_with_output().unwrap();
                let error = String::from_utf8(output.stderr).unwrap();
                let writes = stub.rows().writes.clone();
                (output.status.code(), error, writes)
            };
            let (code, error, writes) = run(stack, "");
            assert_eq!(
                (code, writes.len()),
                (Some(5), 0),
                "{} on {stack}: {error}",
                class.line
            );
            assert!(
                error.contains("there is no terminal") && error.contains("--yes"),
                "{error}"
            );
            // The variable that names the stack is not the name in the call.
            let (code, error, writes) = run(stack, "--yes");
            let wanted = if asks == NAME {
                (Some(5), 0)
            } else {
                (Some(0), class.writes.len())
            };
            assert_eq!(
                (code, writes.len()),
                wanted,
                "{} on {stack}: {error}",
                class.line
            );
            let (code, error, writes) = run(stack, &format!("--yes --stack {stack}"));
            assert_eq!(code, Some(0), "{error}");
            assert_eq!(writes, class.writes);
        }
    }
}

#[test]
fn a_typed_secret_is_not_echoed() {
    let stub = AwsStub::with_events(0);
    let class = &CLASSES[3];
    let mut session = begun(&stub, class, "flex-live");
    let mut shown = session.until(NAME);
    session.types("flex-live");
    let (rest, code) = session.ended();
    shown += &rest;
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("fsk_live"), "{shown}");
    // The other lines are echoed, so the terminal does echo.
    assert!(shown.contains("flex-live"), "{shown}");
    assert_eq!(
        stub.rows().secrets["key"],
        r#"{"api_key":"fsk_live123456"}"#
    );
}

#[test]
fn the_output_fits_the_terminal() {
    let stub = AwsStub::with_events(1);
    let reason = "the order of this refund is unknown, and so is the payment that it names";
    {
        let mut rows = stub.rows();
        let event = rows.events.get_mut("fevt_0000").unwrap();
        event["state"] = json!({"S": "parked"});
        event["reason"] = json!({"S": reason});
    }
    let lines = |columns: usize| {
        let line = "till why fevt_0000 --stack flex-test";
        let (text, code) = at_terminal(&stub, columns, line).ended();
        assert_eq!(code, 4, "{text}");
        let widest = text
            .lines()
            .map(|line| line.trim_end().chars().count())
            .max();
        assert!(widest <= Some(columns), "{columns}: {text}");
        text.lines().count()
    };
    assert!(lines(60) > lines(80));
    let help = at_terminal(&stub, 80, "till replay --help").ended();
    assert!(
        help.0
            .lines()
            .all(|line| line.trim_end().chars().count() <= 80),
        "{}",
        help.0
    );
}

#[test]
fn ctrl_c_finishes_the_current_event_and_the_printed_command_does_the_rest_once() {
    const EVENTS: usize = 1000;
    const HELD: usize = 300;
    let stub = AwsStub::with_events(EVENTS);
    stub.hold_at(HELD);
    let line = "till replay --since 2026-01-01 --before 2026-12-31 --limit 1000 --pace 100000 --stack flex-live --why check";
    let mut session = at_terminal(&stub, 200, line);
    session.until("1000");
    session.until(NAME);
    session.types("flex-live");
    // The message of one event is on its way.
    stub.wait_for_it();
    session.stream.send_control('c').unwrap();
    session.until("stopping after the current item");
    assert_eq!(stub.rows().queued.len(), HELD - 1);
    stub.go_on();
    session.until("To continue:");
    let (rest, code) = session.ended();
    assert_eq!(code, 130, "{rest}");
    assert_eq!(
        stub.rows().queued.len(),
        HELD,
        "the current event is finished, and no other begun"
    );
    let next = rest
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("till replay"))
        .unwrap();
    assert!(next.contains("--after fevt_0299"), "{next}");
    let mut session = at_terminal(&stub, 200, next);
    session.until(NAME);
    session.types("flex-live");
    let (rest, code) = session.ended();
    assert_eq!(code, 0, "{rest}");
    let queued = stub.rows().queued.clone();
    let all: BTreeSet<&String> = queued.iter().collect();
    assert_eq!(
        (queued.len(), all.len()),
        (EVENTS, EVENTS),
        "each event once"
    );
    let is_stored = |item: &Value| item["state"]["S"] == json!("stored");
    assert!(stub.rows().events.values().all(is_stored));
}
