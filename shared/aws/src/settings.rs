//! Reads settings from the environment, and reports all problems at once.
//!
//! A function that cannot work must fail at its start, not at the first payment.

use domain::sale::shop::ShopFilter;
use std::{error::Error, fmt, str::FromStr, time::Duration};
use strum::VariantNames;

/// Reads settings and collects their problems.
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

#[derive(PartialEq, Eq, strum::EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
enum Switch {
    On,
    Off,
}

/// The problems that keep a function from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot start: {}", self.0.join("; "))
    }
}

impl Error for Problems {}

/// A setting in the environment of the process.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl<'a> Settings<'a> {
    /// Reads from `source`, which is [`environment`] outside of tests.
    pub fn from(source: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            source,
            problems: Vec::new(),
        }
    }

    /// The required name, URL or ARN of a resource. If it is missing, a problem is noted and the text is empty.
    pub fn resource(&mut self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    /// A required text that is not blank.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let text = self.optional(name);
        if text.is_none() {
            self.problem(format!("the setting {name} is missing"));
        }
        text
    }

    /// A text that may be missing.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<String> {
        (self.source)(name).filter(|text| !text.trim().is_empty())
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

    /// A required word of a closed list.
    pub fn choice<T: FromStr + VariantNames>(&mut self, name: &str) -> Option<T> {
        let choice = self.text(name)?.trim().parse().ok();
        if choice.is_none() {
            let words = T::VARIANTS.join("` or `");
            self.problem(format!("the setting {name} is wrong: it must be `{words}`"));
        }
        choice
    }

    /// A required `on` or `off`.
    pub fn switch(&mut self, name: &str) -> Option<bool> {
        let switch = self.choice::<Switch>(name)?;
        Some(switch == Switch::On)
    }

    /// Notes a problem.
    pub fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    /// Returns true if no problem was noted.
    #[must_use]
    pub fn are_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// The configuration, or all problems, which this logs: the function must not start.
    ///
    /// `config` returns `None` only after it has noted a problem.
    pub fn finish<T>(self, config: impl FnOnce() -> Option<T>) -> Result<T, Problems> {
        let problems = Problems(self.problems);
        if problems.0.is_empty()
            && let Some(config) = config()
        {
            return Ok(config);
        }
        tracing::error!(outcome = "cannot_start", reason = %problems, "the function cannot start");
        Err(problems)
    }

    /// The value of an attempt; its error is noted as a problem.
    pub fn noted<T, E: fmt::Display>(&mut self, tried: Result<T, E>) -> Option<T> {
        tried.map_err(|why| self.problem(why.to_string())).ok()
    }
}

/// The filter of this shop's sales. A condition that is not set is absent.
pub fn shop(settings: &mut Settings<'_>) -> Option<ShopFilter> {
    let metadata = match settings.optional("SHOP_METADATA") {
        Some(_) => Some(settings.parsed("SHOP_METADATA")?),
        None => None,
    };
    Some(ShopFilter {
        origin: settings.optional("SHOP_ORIGIN"),
        metadata,
        reference_prefix: settings.optional("SHOP_REFERENCE_PREFIX"),
    })
}

/// A duration of `count` days.
#[must_use]
pub fn days(count: u32) -> Duration {
    Duration::from_hours(24).saturating_mul(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::values::mode::Mode;

    #[test]
    fn a_shop_filter_has_the_conditions_that_are_set() {
        let shop_of = |entry: &'static str| {
            let source = move |name: &str| match name {
                "SHOP_METADATA" => Some(entry.to_owned()),
                "SHOP_ORIGIN" => Some(String::new()),
                _ => None,
            };
            let mut settings = Settings::from(&source);
            let shop = shop(&mut settings);
            (
                shop.map(|shop| shop != ShopFilter::ALL),
                settings.are_good(),
            )
        };
        assert_eq!(shop_of(""), (Some(false), true));
        assert_eq!(shop_of("shop=one"), (Some(true), true));
        assert_eq!(shop_of("shop"), (None, false));
    }

    #[test]
    fn every_missing_or_wrong_setting_is_named_at_once() {
        let source = |name: &str| match name {
            "BLANK" => Some("  ".to_owned()),
            "NUMBER" => Some("seven".to_owned()),
            "GOOD" => Some("7".to_owned()),
            "SWITCH" => Some("On".to_owned()),
            "MODE" => Some("live".to_owned()),
            _ => None,
        };
        let mut settings = Settings::from(&source);
        assert_eq!(settings.text("ABSENT"), None);
        assert_eq!(settings.text("BLANK"), None);
        assert_eq!(settings.parsed::<u32>("NUMBER"), None);
        assert_eq!(settings.parsed::<u32>("GOOD"), Some(7));
        assert_eq!(settings.switch("SWITCH"), None);
        assert_eq!(settings.choice("MODE"), Some(Mode::Live));
        assert_eq!(
            settings.finish(|| Some(())).unwrap_err().to_string(),
            "cannot start: the setting ABSENT is missing; the setting BLANK is missing; \
             the setting NUMBER is wrong: invalid digit found in string; \
             the setting SWITCH is wrong: it must be `on` or `off`"
        );
    }
}
