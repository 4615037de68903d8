//! The merchant: name, addresses and time zone of every receipt.

use crate::{
    address::{Address, BadAddress},
    text::clean,
};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::fmt;

/// The longest name, in characters, because it is part of a header and a subject.
const MAX_NAME: usize = 100;
/// The longest postal address, in characters over all lines.
const MAX_ADDRESS: usize = 300;

/// The merchant's settings as given, unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings<'a> {
    /// The name that customers and administrators of HSA/FSA money know.
    pub name: &'a str,
    /// The postal address; a line break or `|` starts a new line.
    pub address: &'a str,
    /// The address for questions and replies.
    pub support_email: &'a str,
    /// The sender address, verified with SES.
    pub sender: &'a str,
    /// The IANA name of the time zone for dates, such as `America/New_York`.
    pub time_zone: &'a str,
    /// The recipient of mails for test-mode orders; `None` or blank selects the support address.
    pub test_recipient: Option<&'a str>,
}

/// The merchant, with checked settings.
///
/// Invariant: [`Merchant::new`] is the only constructor, so addresses are valid and texts are
/// short, single lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Merchant {
    pub(super) name: String,
    pub(super) address: Vec<String>,
    pub(super) support_email: Address,
    pub(super) sender: Address,
    pub(super) time_zone: TimeZone,
    pub(super) test_recipient: Address,
}

/// One of the merchant's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// [`Settings::name`]
    Name,
    /// [`Settings::address`]
    Address,
    /// [`Settings::support_email`]
    SupportEmail,
    /// [`Settings::sender`]
    Sender,
    /// [`Settings::time_zone`]
    TimeZone,
    /// [`Settings::test_recipient`]
    TestRecipient,
}

/// The problem of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("is empty")]
    Empty,
    /// Longer than a receipt allows, in characters.
    #[error("is longer than {0} characters")]
    TooLong(usize),
    #[error("is {0}")]
    Address(BadAddress),
    /// Not in the compiled-in IANA time zone database.
    #[error("is not an IANA time zone name")]
    UnknownTimeZone,
}

/// All invalid settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadSettings(pub Vec<(Setting, Problem)>);

impl Merchant {
    /// Checks the settings and reports all problems together.
    pub fn new(settings: Settings<'_>) -> Result<Self, BadSettings> {
        let mut wrong = Vec::new();
        let mut note = |setting, problem| wrong.push((setting, problem));
        let name = bounded(settings.name, MAX_NAME).map_err(|problem| note(Setting::Name, problem));
        let address = lines(settings.address).map_err(|problem| note(Setting::Address, problem));
        let support_email =
            mailbox(settings.support_email).map_err(|problem| note(Setting::SupportEmail, problem));
        let sender = mailbox(settings.sender).map_err(|problem| note(Setting::Sender, problem));
        let time_zone =
            zone(settings.time_zone).map_err(|problem| note(Setting::TimeZone, problem));
        let test_recipient = match settings.test_recipient {
            Some(text) if !text.trim().is_empty() => {
                mailbox(text).map_err(|problem| note(Setting::TestRecipient, problem))
            }
            _ => support_email.clone(),
        };
        let checked = || {
            Ok::<_, ()>(Self {
                name: name?,
                address: address?,
                support_email: support_email?,
                sender: sender?,
                time_zone: time_zone?,
                test_recipient: test_recipient?,
            })
        };
        checked().map_err(|()| BadSettings(wrong))
    }
}

fn bounded(text: &str, max: usize) -> Result<String, Problem> {
    let text = clean(text, usize::MAX);
    match text.chars().count() {
        0 => Err(Problem::Empty),
        length if length > max => Err(Problem::TooLong(max)),
        _ => Ok(text),
    }
}

fn lines(text: &str) -> Result<Vec<String>, Problem> {
    bounded(text, MAX_ADDRESS)?;
    let lines: Vec<String> = text
        .split(['\n', '|'])
        .map(|line| clean(line, MAX_ADDRESS))
        .filter(|line| !line.is_empty())
        .collect();
    if lines.is_empty() {
        Err(Problem::Empty)
    } else {
        Ok(lines)
    }
}

fn mailbox(text: &str) -> Result<Address, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::Empty);
    }
    text.parse().map_err(Problem::Address)
}

fn zone(name: &str) -> Result<TimeZone, Problem> {
    if name.trim().is_empty() {
        return Err(Problem::Empty);
    }
    // The bundled database, not the system's: Lambda's image may have none, and TZDIR is a variable
    // of the environment.
    TimeZoneDatabase::bundled()
        .get(name.trim())
        .map_err(|_| Problem::UnknownTimeZone)
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "merchant name",
            Self::Address => "merchant address",
            Self::SupportEmail => "support e-mail",
            Self::Sender => "receipt sender",
            Self::TimeZone => "time zone",
            Self::TestRecipient => "test recipient",
        })
    }
}

impl fmt::Display for BadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong = self.0.iter();
        let wrong: Vec<_> = wrong
            .map(|(setting, problem)| format!("the {setting} {problem}"))
            .collect();
        f.write_str(&wrong.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Settings<'_> = Settings {
        name: "Northwind Wellness",
        address: "12 Hill Road|Portland, OR 97201",
        support_email: "help@northwind.example",
        sender: "receipts@northwind.example",
        time_zone: "America/New_York",
        test_recipient: None,
    };

    #[test]
    fn good_settings_are_taken() {
        let merchant = Merchant::new(GOOD).unwrap();
        assert_eq!(merchant.address, ["12 Hill Road", "Portland, OR 97201"]);
        assert_eq!(merchant.time_zone.iana_name(), Some("America/New_York"));
    }

    #[test]
    fn test_receipts_go_to_support_unless_somebody_is_named() {
        let support = Merchant::new(Settings {
            test_recipient: Some(" "),
            ..GOOD
        })
        .unwrap();
        assert_eq!(support.test_recipient, support.support_email);
        let named = Merchant::new(Settings {
            test_recipient: Some("qa@northwind.example"),
            ..GOOD
        })
        .unwrap();
        assert_eq!(named.test_recipient.as_str(), "qa@northwind.example");
    }

    #[test]
    fn every_bad_setting_is_named_at_once() {
        let long = "n".repeat(101);
        let error = Merchant::new(Settings {
            name: &long,
            address: " | \n",
            support_email: "",
            sender: "Northwind <receipts@northwind.example>",
            time_zone: "Eastern",
            test_recipient: Some("qa"),
        })
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the merchant name is longer than 100 characters; the merchant address is empty; the support e-mail \
             is empty; the receipt sender is not a valid e-mail address; the time zone is not an IANA time zone \
             name; the test recipient is not a valid e-mail address"
        );
        let nameless = Merchant::new(Settings {
            name: " \n",
            ..GOOD
        })
        .unwrap_err();
        assert_eq!(nameless.0, [(Setting::Name, Problem::Empty)]);
        assert!(
            Merchant::new(Settings {
                name: &long[1..],
                ..GOOD
            })
            .is_ok()
        );
        let support = Merchant::new(Settings {
            support_email: "x",
            ..GOOD
        })
        .unwrap_err();
        assert_eq!(
            support.0,
            [(Setting::SupportEmail, Problem::Address(BadAddress::Form))]
        );
    }
}
