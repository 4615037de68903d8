//! From a fresh stack to its first order, at a terminal, and recorded in the documents.

use super::{ORDER, program, stack, until_mailed};
use crate::terminal::Session;
use regex::Regex;
use rexpect::reader::Options;
use std::{fs, num::NonZeroU16, path::Path};

const DOCUMENT: &str = "docs/first-order.md";

/// A command at a terminal, and the bytes that it wrote.
struct Terminal {
    command: String,
    session: Session,
    wrote: String,
}

impl Terminal {
    fn running(args: &[&str]) -> Self {
        let mut command = program();
        command.args(args).arg("--local").env("TERM", "xterm");
        Self {
            command: format!("till {} --local", args.join(" ")),
            session: Session::running(command, Options::new()),
            wrote: String::new(),
        }
    }

    /// Waits for a question and answers it. The session has no echo, so this adds it.
    fn answer(&mut self, question: &str, answer: &str) {
        self.answer_unseen(question, answer);
        self.wrote += &format!("{answer}\r\n");
    }

    /// Waits for a question and answers it where no echo belongs.
    fn answer_unseen(&mut self, question: &str, answer: &str) {
        let before = self.session.stream.exp_string(question);
        self.wrote += &before.unwrap_or_else(|error| panic!("{error}; {}", self.wrote));
        self.wrote += question;
        self.session.stream.send_line(answer).unwrap();
    }

    /// The screen at the end, with the values that differ from run to run replaced.
    fn ended(mut self) -> String {
        self.wrote += &self.session.stream.exp_eof().unwrap();
        // The session gives each byte as a character.
        let bytes: Vec<u8> = self
            .wrote
            .chars()
            .map(|byte| u8::try_from(byte).unwrap())
            .collect();
        let mut screen = vt100::Parser::new(LINES, COLUMNS, 0);
        screen.process(&bytes);
        format!(
            "$ {}\n{}\n",
            self.command,
            steady(screen.screen().contents().trim_end())
        )
    }
}

/// The terminal's size: more lines than a command writes here.
const LINES: NonZeroU16 = NonZeroU16::new(400).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(80).unwrap();

fn steady(shown: &str) -> String {
    let mut text = shown.to_owned();
    for (pattern, word) in [
        (
            r"http://127\.0\.0\.1:\d+/_aws/execute-api/\w+/\$default",
            "https://ab12cd34.execute-api.us-east-1.amazonaws.com",
        ),
        (
            r"(whsec_|fwhsec_|fsk_test_|flint_test_) [0-9a-f]{8}",
            "$1 0123abcd",
        ),
        (r"\d{2}:\d{2}:\d{2}(  (till|intake|mail|SES))", "09:41:00$1"),
        (
            r"\d{1,2} [A-Z][a-z]+ 20(2[6-9]|[3-9]\d)",
            "28 November 2026",
        ),
    ] {
        let pattern = Regex::new(pattern).unwrap();
        text = pattern.replace_all(&text, word).into_owned();
    }
    text
}

#[tokio::test]
#[ignore = "needs a stack as `sam deploy` leaves it: make encrypted"]
async fn a_fresh_stack_is_set_up_and_gets_its_first_order() {
    let stack = stack();
    let mut setup = Terminal::running(&["setup"]);
    setup.answer("[y/N] ", "y");
    setup.answer_unseen("Key (hidden):", "fsk_test_local");
    setup.answer_unseen("Signing secret (hidden):", &stack.webhook_secret);
    setup.answer_unseen("Key (hidden):", "flint_test_local");
    setup.answer("with a link now? [y/N] ", "y");
    let mut text = setup.ended();
    for secret in ["fsk_test_local", &stack.webhook_secret, "flint_test_local"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("The stack is set up."), "{text}");
    let sent = Terminal::running(&["event", "send", "checkout.session.completed"]);
    text += &format!("\n{}", sent.ended());
    until_mailed().await;
    text += &format!("\n{}", Terminal::running(&["order", ORDER]).ended());
    let page = format!(
        "# From a fresh stack to the first order\n\nA test deploys a stack, types these commands at a terminal, and writes \
         this page. Typed secrets do not show.\n\n```text\n{}\n```\n",
        text.trim_end()
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(DOCUMENT);
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "{DOCUMENT} is another; UPDATE_DOCUMENTS=1 writes\n{page}"
    );
}
