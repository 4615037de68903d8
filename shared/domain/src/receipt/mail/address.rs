//! An e-mail address that may stand in a header.

use email_address::{EmailAddress, Options};
use std::{fmt, str::FromStr};

/// An e-mail address that SES can take.
///
/// Invariant: parsing is the only way to make one, so it is printable ASCII, one mailbox, and needs no quoting:
/// nothing in it can end a header or add a second recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

/// Why a text is not an address. Says nothing of the text, so that it may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not one mailbox at a domain.
    #[error("not a valid e-mail address")]
    Form,
    /// Beyond ASCII: SES has no SMTPUTF8, see <https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html>.
    #[error("an e-mail address beyond plain ASCII, which SES does not take")]
    NotAscii,
}

impl Address {
    /// The text, without the spaces that surrounded it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        if !text.is_ascii() {
            return Err(BadAddress::NotAscii);
        }
        let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
        EmailAddress::parse_with_options(text, options).map_err(|_| BadAddress::Form)?;
        // Quoted names and comments are legal, never seen in a checkout, and the place where injection lives.
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"(),:;<>[\\]".contains(&byte);
        if text.bytes().all(plain) { Ok(Self(text.to_owned())) } else { Err(BadAddress::Form) }
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
        for good in ["sam@example.com", " sam.rivera+hsa@mail.example.co.uk ", "o'neil@example.com"] {
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
        assert_eq!("sám@example.com".parse::<Address>(), Err(BadAddress::NotAscii));
    }
}
