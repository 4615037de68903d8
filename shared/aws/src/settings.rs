//! Reads settings from the environment, and names everything that is wrong at once.
//!
//! A function that cannot work must fail at its start, not on the first payment.

use std::{error::Error, fmt, str::FromStr, time::Duration};

/// Reads settings and gathers what is wrong with them.
pub struct Settings<'a> {
    source: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

/// All that keeps a function from working, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot start: {}", self.0.join("; "))
    }
}

impl Error for Problems {}

/// The process's environment, as a source of settings.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl<'a> Settings<'a> {
    /// Reads from `source`: [`environment`], or in a test anything else.
    pub fn from(source: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            source,
            problems: Vec::new(),
        }
    }

    /// A required text that is not blank.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let text = (self.source)(name).filter(|text| !text.trim().is_empty());
        if text.is_none() {
            self.problem(format!("the setting {name} is missing"));
        }
        text
    }

    /// A required value of a type that can be read from text.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        match self.text(name)?.trim().parse() {
            Ok(value) => Some(value),
            Err(why) => {
                self.problem(format!("the setting {name} is wrong: {why}"));
                None
            }
        }
    }

    /// A required `on` or `off`.
    pub fn switch(&mut self, name: &str) -> Option<bool> {
        match self.text(name)?.trim() {
            "on" => Some(true),
            "off" => Some(false),
            _ => {
                self.problem(format!(
                    "the setting {name} is wrong: it must be `on` or `off`"
                ));
                None
            }
        }
    }

    /// Notes something else that is wrong.
    pub fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    /// All that is wrong, logged and to be returned from `main`: the function does not start.
    #[must_use]
    pub fn stop(self) -> Problems {
        let problems = Problems(self.problems);
        tracing::error!(outcome = "cannot_start", reason = %problems, "the function cannot start");
        problems
    }

    /// What came of trying out a setting: its value, or one more problem.
    pub fn noted<T, E: fmt::Display>(&mut self, tried: Result<T, E>) -> Option<T> {
        tried.map_err(|why| self.problem(why.to_string())).ok()
    }
}

/// So many days.
#[must_use]
pub fn days(count: u32) -> Duration {
    Duration::from_hours(24).saturating_mul(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_or_wrong_setting_is_named_at_once() {
        let source = |name: &str| match name {
            "BLANK" => Some("  ".to_owned()),
            "NUMBER" => Some("seven".to_owned()),
            "GOOD" => Some("7".to_owned()),
            _ => None,
        };
        let mut settings = Settings::from(&source);
        assert_eq!(settings.text("ABSENT"), None);
        assert_eq!(settings.text("BLANK"), None);
        assert_eq!(settings.parsed::<u32>("NUMBER"), None);
        assert_eq!(settings.parsed::<u32>("GOOD"), Some(7));
        assert_eq!(
            settings.stop().to_string(),
            "cannot start: the setting ABSENT is missing; the setting BLANK is missing; \
             the setting NUMBER is wrong: invalid digit found in string"
        );
    }
}
