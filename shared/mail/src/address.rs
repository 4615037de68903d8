//! An e-mail address that is safe in a header.

use email_address::{EmailAddress, Options};
use std::{fmt, str::FromStr};

/// An e-mail address that SES accepts.
///
/// Invariant: parsing is the only constructor. An address is one mailbox in ASCII without quoting,
/// so nothing in it can end a header or add a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

/// The reason why a text is not an address. Does not quote the text, so it may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not one mailbox at a domain.
    #[error("not a valid e-mail address")]
    Form,
    /// Not ASCII: SES has no SMTPUTF8, see
    /// <https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html>.
    #[error("an e-mail address with characters outside ASCII, which SES does not accept")]
    NotAscii,
}

impl Address {
    /// The text without surrounding spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if the part before the `@` has only letters, digits, `.`, `_`, `+` and `-`. Every mail
    /// system accepts those.
    #[must_use]
    pub fn has_usual_mailbox(&self) -> bool {
        let mailbox = self.0.rsplit_once('@').map_or("", |(mailbox, _)| mailbox);
        is_made_of(mailbox, b"._+-") && !mailbox.split('.').any(str::is_empty)
    }

    /// True if the part after the `@` has only DNS labels: letters, digits and inner hyphens.
    #[must_use]
    pub fn has_usual_domain(&self) -> bool {
        let domain = self.0.rsplit_once('@').map_or("", |(_, domain)| domain);
        domain.len() <= 253
            && domain.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && is_made_of(label, b"-")
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            })
    }
}

fn is_made_of(text: &str, others: &[u8]) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        if !text.is_ascii() {
            return Err(BadAddress::NotAscii);
        }
        let options = Options::default()
            .with_required_tld()
            .without_domain_literal()
            .without_display_text();
        EmailAddress::parse_with_options(text, options).map_err(|_| BadAddress::Form)?;
        // Quoted names and comments are legal, but real sales never have them, and they allow
        // injection.
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"(),:;<>[\\]".contains(&byte);
        if text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadAddress::Form)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_plain_mailbox() {
        for good in [
            "sam@example.com",
            " sam.rivera+hsa@mail.example.co.uk ",
            "o'neil@example.com",
        ] {
            assert_eq!(
                good.parse::<Address>().map(|address| address.to_string()),
                Ok(good.trim().to_owned())
            );
        }
        for bad in [
            "",
            "sam",
            "sam@",
            "sam@localhost",
            "sam@[192.0.2.1]",
            "Sam <sam@example.com>",
            "sam@example.com, eve@example.com",
            "sam@example.com\r\nBcc: eve@example.com",
            "\"sam\r\nBcc: eve\"@example.com",
            "\"sam,eve\"@example.com",
            "sam@(comment)example.com",
            "sam rivera@example.com",
        ] {
            assert_eq!(bad.parse::<Address>(), Err(BadAddress::Form), "{bad:?}");
        }
        assert_eq!(
            "sám@example.com".parse::<Address>(),
            Err(BadAddress::NotAscii)
        );
    }

    #[test]
    fn an_address_is_usual_in_one_part_or_both() {
        for (text, mailbox, domain) in [
            ("sam@example.com", true, true),
            ("sam.rivera+hsa_1-2@mail.xn--bcher-kva.example", true, true),
            ("o'neil@example.com", false, true),
            ("sam/a=b@example.com", false, true),
            ("sam@exam`ple.com", true, false),
            ("sam@ex_ample.com", true, false),
            ("o'neil@ex_ample.com", false, false),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(
                (address.has_usual_mailbox(), address.has_usual_domain()),
                (mailbox, domain),
                "{text}"
            );
        }
    }
}
