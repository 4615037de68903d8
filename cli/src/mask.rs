//! Masks personal data. Every output shows it masked unless the person asks for it by `--reveal`.

/// An address such as `p…@e….com`: enough to recognize a known one, too little to write to it.
#[must_use]
pub fn email(address: &str) -> String {
    let Some((name, domain)) = address.rsplit_once('@') else {
        return first(address);
    };
    match domain.rsplit_once('.') {
        Some((host, end)) => format!("{}@{}.{end}", first(name), first(host)),
        None => format!("{}@{}", first(name), first(domain)),
    }
}

/// A name or another text: its first letter.
#[must_use]
pub fn first(text: &str) -> String {
    text.chars()
        .next()
        .map_or_else(String::new, |letter| format!("{letter}…"))
}

/// True if a note would print personal data: an address, or a number as long as a telephone's.
#[must_use]
pub fn looks_personal(text: &str) -> bool {
    let is_address = |word: &str| word.split_once('@').is_some_and(|(_, at)| at.contains('.'));
    let digits = |word: &str| word.chars().filter(char::is_ascii_digit).count();
    let is_phone = |word: &str| {
        let is_number = word
            .chars()
            .all(|letter| letter.is_ascii_digit() || "+-().".contains(letter));
        is_number && digits(word) >= 9
    };
    text.split_whitespace()
        .any(|word| is_address(word) || is_phone(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_masked_and_recognizable() {
        for (address, masked) in [
            ("paula@example.com", "p…@e….com"),
            ("p@mail.example.co.uk", "p…@m….uk"),
            ("nobody", "n…"),
            ("a@localhost", "a…@l…"),
            ("", ""),
        ] {
            assert_eq!(email(address), masked, "{address}");
        }
    }

    #[test]
    fn a_note_with_an_address_or_a_number_is_personal() {
        assert!(looks_personal("wrote to paula@example.com"));
        assert!(looks_personal("called +1-207-555-0199 twice"));
        assert!(!looks_personal("order 1047 is a double of 1046 @ counter"));
        assert!(!looks_personal("fcs_01K76N0000000000000000000B has come"));
    }
}
