//! Texts, cleaned by their use.

use std::borrow::Cow;

/// An id or a code without invisible characters and surrounding space. In those, they are leftovers
/// of copying and never meant.
#[must_use]
pub fn code(text: &str) -> String {
    // Nearly every id, and no ASCII character is invisible.
    if text.is_ascii() {
        return text.trim().to_owned();
    }
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    visible.trim().to_owned()
}

/// A name of a person or a product, with HTML entities decoded once: shops store names as their web
/// pages print them. All other characters stay, since some scripts and emoji need joiners.
///
/// `None` if nothing of it can be seen.
#[must_use]
pub fn name(text: &str) -> Option<String> {
    let name = decoded(text);
    let is_visible = |c: char| !is_invisible(c) && !c.is_whitespace();
    name.contains(is_visible).then(|| name.trim().to_owned())
}

/// An e-mail address without invisible characters, surrounding space and display name. An
/// internationalized domain becomes ASCII (UTS 46, <https://www.unicode.org/reports/tr46/>), as mail
/// systems need it.
///
/// It does not judge the address: a text that is none stays as it is, and so does a mailbox outside
/// ASCII. `None` if nothing is left.
#[must_use]
pub fn address(text: &str) -> Option<String> {
    let text = code(text);
    let address = without_name(&text);
    let address = match address.rsplit_once('@') {
        Some((mailbox, domain)) if !domain.is_ascii() => idna::domain_to_ascii(domain).map_or_else(
            |_| address.to_owned(),
            |domain| format!("{mailbox}@{domain}"),
        ),
        _ => address.to_owned(),
    };
    (!address.is_empty()).then_some(address)
}

/// The address in `Pat Doe <pat@example.com>` (RFC 5322, section 3.4).
fn without_name(text: &str) -> &str {
    let inner = text
        .strip_suffix('>')
        .and_then(|text| text.split_once('<'))
        .map(|(_, address)| address.trim());
    inner
        .filter(|address| !address.contains(['<', '>']))
        .unwrap_or(text)
}

/// True for characters that show nothing and only direct their neighbors: format characters, joiners
/// and fillers. Those of Unicode's property `Default_Ignorable_Code_Point`
/// (<https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point>), and annotations.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// The longest entity, in characters between `&` and `;`.
const LONGEST_ENTITY: usize = 10;

/// The text with its HTML entities decoded once. What is not a known entity stays.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let entity = part
            .split_once(';')
            .filter(|(name, _)| name.len() <= LONGEST_ENTITY)
            .and_then(|(name, after)| Some((entity(name)?, after)));
        let (first, rest) = entity.unwrap_or(('&', part));
        out.push(first);
        out.push_str(rest);
    }
    Cow::Owned(out)
}

/// The character of an entity: any number, the names of Latin-1, and those of common punctuation
/// (<https://html.spec.whatwg.org/multipage/named-characters.html>).
fn entity(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else {
        return named(name);
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?).filter(|c| !c.is_control())
}

fn named(name: &str) -> Option<char> {
    let latin = || {
        let place = LATIN_1.split(' ').position(|known| known == name)?;
        char::from_u32(0xA0 + u32::try_from(place).ok()?)
    };
    let other = OTHERS.iter().find(|(known, _)| *known == name);
    other.map(|(_, character)| *character).or_else(latin)
}

/// The names of U+00A0 to U+00FF, in order.
const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg \
    macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 \
    iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave \
    Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc \
    Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc \
    euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave \
    uacute ucirc uuml yacute thorn yuml";

const OTHERS: [(&str, char); 19] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("hellip", '…'),
    ("bull", '•'),
    ("trade", '™'),
    ("euro", '€'),
    ("prime", '′'),
    ("Prime", '″'),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entities_in_names_are_decoded_once() {
        for (text, expected) in [
            (
                "Knee Brace &#8211; Size M &amp; L",
                "Knee Brace – Size M & L",
            ),
            ("&#x1F9E6; Socks", "🧦 Socks"),
            ("Caf&eacute; &frac12; &yuml;&nbsp;", "Café ½ ÿ"),
            ("&lt;b&gt; &quot;5&Prime;&quot; it&#39;s", "<b> \"5″\" it's"),
            ("&amp;amp; &amp;#8211;", "&amp; &#8211;"),
            (
                "AT&T; R&D &unknown; &#0; &#xD800; &#99999999; & &;",
                "AT&T; R&D &unknown; &#0; &#xD800; &#99999999; & &;",
            ),
            (" Pat ", "Pat"),
            ("👩\u{200d}⚕️ kit", "👩\u{200d}⚕️ kit"),
        ] {
            assert_eq!(name(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "  ", "\u{200b}", "&nbsp;", "\u{feff} \u{ad}"] {
            assert_eq!(name(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_address_is_freed_of_what_cannot_be_seen() {
        for text in [
            "pat@example.com",
            " pat@example.com\u{a0}",
            "pat@example.com\u{200b}",
            "\u{feff}pat@exam\u{ad}ple.com",
            "\u{202a}pat@example.com\u{202c}",
            "Pat Doe <pat@example.com>",
            "\"Doe, Pat\" < pat@example.com >",
            "<pat@example.com>",
        ] {
            assert_eq!(
                address(text).as_deref(),
                Some("pat@example.com"),
                "{text:?}"
            );
        }
        for text in ["", " ", "\u{200b}", "<>"] {
            assert_eq!(address(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_internationalized_domain_becomes_ascii() {
        for (text, expected) in [
            ("pat@bücher.example", "pat@xn--bcher-kva.example"),
            ("pat@BÜCHER.example", "pat@xn--bcher-kva.example"),
            ("pat@例え。テスト", "pat@xn--r8jz45g.xn--zckzah"),
            ("pat@xn--bcher-kva.example", "pat@xn--bcher-kva.example"),
            ("Pat@Example.COM", "Pat@Example.COM"),
            ("pát@bücher.example", "pát@xn--bcher-kva.example"),
        ] {
            assert_eq!(address(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_stays_for_the_one_who_judges_it() {
        for text in [
            "pat",
            "pat@",
            "pat@\u{fffd}.example",
            "a <b> <c@d.example>",
            "a <b@c.example> d",
        ] {
            assert_eq!(address(text).as_deref(), Some(text));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = (code(&text), name(&text), address(&text));
        }

        #[test]
        fn an_address_in_ascii_is_never_changed(text in "[a-zA-Z0-9.+_-]{1,20}@[a-zA-Z0-9.-]{1,20}") {
            prop_assert_eq!(address(&text), Some(text));
        }
    }
}
