//! The output: the only writer to stdout. Data goes there, as text or as one JSON object; messages go to stderr.

use crate::{
    answers::{Data, StackName},
    backend::Stack,
    error::{Error, Exit},
    style,
};
use domain::values::mode::Mode;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write as _;

/// A remark about the completeness of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Warning {
    pub code: &'static str,
    pub text: String,
}

/// The answer of a command: the same data as JSON and as text.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The name and the version of the data's form. A version is only ever extended.
    pub schema: &'static str,
    pub data: Value,
    pub text: String,
    pub exit: Exit,
    /// True if a limit cut the answer.
    pub partial: bool,
    pub warnings: Vec<Warning>,
    /// True for a text that other programs read: it has no heading, and warnings go to stderr.
    pub is_raw: bool,
}

impl Answer {
    /// A complete answer.
    ///
    /// # Errors
    ///
    /// If the data is not JSON, which is a defect.
    pub fn of<T: Data>(data: &T, text: String) -> Result<Self, Error> {
        let schema = T::SCHEMA;
        let data = serde_json::to_value(data)
            .map_err(|_| Error::new(Exit::Failed, format!("the data of {schema} is not JSON")))?;
        Ok(Self {
            schema,
            data,
            text,
            exit: Exit::Done,
            partial: false,
            warnings: Vec::new(),
            is_raw: false,
        })
    }

    /// The same answer with this exit code.
    #[must_use]
    pub fn ending(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// The same answer, with this exit code if something is so.
    #[must_use]
    pub fn ending_if(self, is_so: bool, exit: Exit) -> Self {
        if is_so { self.ending(exit) } else { self }
    }

    /// The same answer, cut by a limit.
    #[must_use]
    pub fn cut(self, partial: bool) -> Self {
        Self { partial, ..self }
    }

    /// The same answer, without a heading.
    #[must_use]
    pub fn raw(self) -> Self {
        Self {
            is_raw: true,
            ..self
        }
    }

    /// The same answer with a warning.
    #[must_use]
    pub fn warned(mut self, code: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        self.warnings.push(Warning { code, text });
        self
    }

    /// The whole answer as JSON.
    #[must_use]
    pub fn to_json(&self, stack: Option<&Stack>, now: Timestamp) -> Value {
        json!({
            "schema": self.schema,
            "generated_at": format!("{now:.0}"),
            "stack": stack.map(StackName::from),
            "data": self.data,
            "partial": self.partial,
            "warnings": self.warnings,
        })
    }

    /// The whole answer as text.
    #[must_use]
    pub fn to_text(&self, stack: Option<&Stack>) -> String {
        if self.is_raw {
            return self.text.clone();
        }
        let head = stack.map(header).unwrap_or_default();
        let mut text = format!("{head}{}", self.text);
        for warning in &self.warnings {
            text.push_str(&format!("Note: {}\n", warning.text));
        }
        text
    }
}

/// The first line of each text: the mode, the stack and the region.
fn header(stack: &Stack) -> String {
    let mode = match (stack.local, stack.mode) {
        (true, _) => "LOCAL".to_owned(),
        (false, Mode::Live) => style::bold("LIVE"),
        (false, Mode::Test) => "TEST".to_owned(),
    };
    format!("{mode}  {}  {}\n\n", stack.name, stack.region)
}

/// Writes an answer to stdout. A closed pipe ends quietly.
pub fn print(answer: &Answer, stack: Option<&Stack>, as_json: bool, now: Timestamp) {
    let text = if as_json {
        let json = answer.to_json(stack, now);
        serde_json::to_string_pretty(&json).unwrap_or_default() + "\n"
    } else {
        answer.to_text(stack)
    };
    let _ = anstream::stdout().write_all(text.as_bytes());
    if answer.is_raw && !as_json {
        for warning in &answer.warnings {
            let _ = writeln!(anstream::stderr(), "Note: {}", warning.text);
        }
    }
}

/// Writes an error to stderr.
pub fn print_error(error: &Error, as_json: bool) {
    let text = if as_json {
        format!("{}\n", error.to_json())
    } else {
        error.text()
    };
    let _ = anstream::stderr().write_all(text.as_bytes());
}
