//! Errors and exit codes. An error states what failed and, where there is one, its cure.

use crate::answers::Failure;
use domain::values::{ids::BadId, outcome::RetryableError};
use serde_json::{Value, json};

/// The exit codes, which scripts rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, found, or nothing to do.
    Done = 0,
    /// Failed, completely or partly.
    Failed = 1,
    /// The command line or a file is invalid.
    Usage = 2,
    NotFound = 3,
    /// Checked, and a person must act.
    Attention = 4,
    /// A confirmation is needed and was not given.
    Unconfirmed = 5,
    /// AWS or the provider does not answer; try again later.
    Unavailable = 6,
    /// Not allowed, or not signed in.
    Denied = 7,
    /// Stopped by Ctrl-C. Finished work stays.
    Interrupted = 130,
}

impl Exit {
    /// The code as the process returns it.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// The reason why a command gives no answer. Holds no personal data and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    pub exit: Exit,
    /// A lower-case fragment: what failed, and which thing.
    pub what: String,
    /// The repair, as a sentence or a command.
    pub cure: Option<String>,
}

impl Error {
    /// An error without a cure.
    #[must_use]
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            cure: None,
        }
    }

    /// The command line is invalid.
    #[must_use]
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// A thing does not exist.
    #[must_use]
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, what)
    }

    /// The same error with its cure.
    #[must_use]
    pub fn cured_by(self, cure: impl Into<String>) -> Self {
        Self {
            cure: Some(cure.into()),
            ..self
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.cure {
            Some(cure) => format!("error: {}\n  {cure}\n", self.what),
            None => format!("error: {}\n", self.what),
        }
    }

    /// For scripts.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!(Failure {
            schema: Failure::SCHEMA,
            exit: self.exit.code(),
            error: self.what.clone(),
            cure: self.cure.clone(),
        })
    }
}

/// For an id of the command line.
impl From<BadId> for Error {
    fn from(error: BadId) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<RetryableError> for Error {
    fn from(error: RetryableError) -> Self {
        let what = error.to_string();
        match error {
            RetryableError::Away { .. }
            | RetryableError::OutOfTime
            | RetryableError::Leased { .. }
            | RetryableError::Unknown { .. }
            | RetryableError::TooEarly(_) => {
                Self::new(Exit::Unavailable, what).cured_by("Try again in a minute.")
            }
            RetryableError::SetUp { .. } => Self::new(Exit::Denied, what)
                .cured_by("Check the profile and its permissions: till whoami"),
            RetryableError::Missing { .. } => Self::new(Exit::NotFound, what),
            RetryableError::Raced { .. } => {
                Self::new(Exit::Failed, what).cured_by("Look at it again, then repeat the command.")
            }
            RetryableError::Fault(_) => Self::new(Exit::Failed, what),
        }
    }
}
