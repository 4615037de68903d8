//! Sanitizing of foreign text, and layout of plain text.

use std::borrow::Cow;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm, core::display_width};

/// Columns of the text part: a quoted line must fit in the 80 columns of a terminal.
pub(super) const WIDTH: usize = 72;

/// The column where the values of [`entry`] begin.
const VALUE_COLUMN: usize = 16;

/// Sanitizes foreign text for one line of a header or a body, with at most `max` characters.
///
/// Line breaks and other control characters become spaces, so nothing can end a header or fake a
/// line of the receipt. Invisible characters that change the writing direction are dropped: they
/// can disguise an amount or a name (<https://www.unicode.org/reports/tr9/>). A text that is too
/// long ends in `…`.
pub(super) fn clean(text: &str, max: usize) -> String {
    let visible: String = text
        .chars()
        .filter(|&character| !is_deceptive(character))
        .map(|character| if is_break(character) { ' ' } else { character })
        .collect();
    let line = evenly_spaced(&visible);
    if line.chars().count() <= max {
        return line;
    }
    let mut cut: String = line.chars().take(max.saturating_sub(1)).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

/// The words of a text with one space between them.
fn evenly_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Like [`clean`]; `None` if nothing is left.
pub(super) fn clean_some(text: Option<&str>, max: usize) -> Option<String> {
    text.map(|text| clean(text, max))
        .filter(|text| !text.is_empty())
}

fn is_break(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// Direction marks, embeddings, overrides and isolates; zero-width spaces; the invisible tag
/// characters. Joiners stay: Indic scripts and emoji need them.
fn is_deceptive(character: char) -> bool {
    matches!(
        character,
        '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}'
    )
}

/// Wraps a text to the page and indents every line.
pub(super) fn wrap(text: &str, indent: usize) -> String {
    // A template may pass any number, and the result would take as much memory.
    let indent = indent.min(WIDTH);
    let margin = " ".repeat(indent);
    let lines = lines(text, WIDTH.saturating_sub(indent));
    lines
        .iter()
        .map(|line| format!("{margin}{line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A label at the left and an amount at the right edge; a long label continues below.
pub(super) fn row(label: &str, amount: &str, indent: usize) -> String {
    // As in `wrap`.
    let indent = indent.min(WIDTH);
    let room = WIDTH.saturating_sub(display_width(amount) + 2 + indent);
    let margin = " ".repeat(indent);
    let mut lines = lines(label, room).into_iter();
    let first = lines.next().unwrap_or_default();
    let gap =
        " ".repeat(WIDTH.saturating_sub(indent + display_width(&first) + display_width(amount)));
    lines.fold(format!("{margin}{first}{gap}{amount}"), |page, line| {
        format!("{page}\n{margin}{line}")
    })
}

/// A label with its value at a fixed column; a long value continues below itself.
pub(super) fn entry(label: &str, value: &str) -> String {
    let margin = " ".repeat(VALUE_COLUMN);
    let mut lines = lines(value, WIDTH - VALUE_COLUMN).into_iter();
    let first = lines.next().unwrap_or_default();
    let gap = " ".repeat(VALUE_COLUMN.saturating_sub(display_width(label)).max(1));
    lines.fold(format!("{label}{gap}{first}"), |page, line| {
        format!("{page}\n{margin}{line}")
    })
}

/// Breaks a text at spaces. Breaks a word only if it is wider than the line.
fn lines(text: &str, width: usize) -> Vec<String> {
    let words = evenly_spaced(text);
    if words.is_empty() {
        return Vec::new();
    }
    // Two columns have room for any character.
    let options = Options::new(width.max(2))
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::wrap(&words, options)
        .into_iter()
        .map(Cow::into_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn line_breaks_and_direction_overrides_do_not_survive() {
        assert_eq!(
            clean("Sam\r\nBcc: eve@example.com", 100),
            "Sam Bcc: eve@example.com"
        );
        assert_eq!(clean("a\u{2028}b\u{85}c\u{0}d\te", 100), "a b c d e");
        assert_eq!(
            clean("\u{202E}00.5$\u{202C} \u{2066}x\u{2069}\u{200F}", 100),
            "00.5$ x"
        );
        assert_eq!(
            clean("👩\u{200D}🔬 क्\u{200D}ष", 100),
            "👩\u{200D}🔬 क्\u{200D}ष"
        );
        assert_eq!(clean_some(Some(" \u{200B}\n"), 100), None);
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(clean("one two three", 8), "one two…");
        assert_eq!(clean(&"é".repeat(500), 100).chars().count(), 100);
    }

    #[test]
    fn a_long_label_goes_on_below_its_amount() {
        let page = row(&"mat ".repeat(30), "$1.00", 2);
        assert!(page.lines().count() > 1);
        let first = page.lines().next().unwrap();
        assert_eq!(
            (display_width(first), first.ends_with("$1.00")),
            (WIDTH, true),
            "{page}"
        );
        assert!(page.lines().all(|line| line.starts_with("  mat")), "{page}");
    }

    #[test]
    fn between_a_label_and_its_amount_there_are_two_columns() {
        for indent in [0, 2, 5] {
            let fits = "x".repeat(WIDTH - indent - "$100.00".len() - 2);
            let is_one_line = |label: &str| !row(label, "$100.00", indent).contains('\n');
            assert!(
                is_one_line(&fits) && !is_one_line(&format!("{fits}x")),
                "{indent}"
            );
            assert!(row(&fits, "$100.00", indent).ends_with("x  $100.00"));
        }
    }

    #[test]
    fn a_word_is_broken_only_where_it_is_wider_than_its_line() {
        let lengths = |text: &str| {
            lines(text, 10)
                .iter()
                .map(|line| display_width(line))
                .collect::<Vec<_>>()
        };
        assert_eq!(lengths(&"x".repeat(25)), [10, 10, 5]);
        assert_eq!(lengths("four five six"), [9, 3]);
        assert_eq!(lengths("four sixsix six"), [4, 10]);
        assert_eq!(lengths(&"漢".repeat(6)), [10, 2]);
    }

    #[test]
    fn a_character_is_as_wide_as_a_terminal_shows_it() {
        assert_eq!(
            ["e", "e\u{301}", "é", "漢", "ﾊ", "👩", ""].map(display_width),
            [1, 1, 1, 2, 1, 2, 0]
        );
    }

    #[test]
    fn an_indent_is_no_wider_than_the_page() {
        assert_eq!(wrap("x", usize::MAX), format!("{}x", " ".repeat(WIDTH)));
        assert_eq!(
            row("x", "$1.00", usize::MAX),
            format!("{}x$1.00", " ".repeat(WIDTH))
        );
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_page(text in any::<String>(), amount in "-?[$€]?[0-9,.]{0,30}", indent in 0..9usize) {
            let text = clean(&text, 300);
            for page in [wrap(&text, indent), row(&text, &amount, indent), entry("Order", &text)] {
                for line in page.lines() {
                    prop_assert!(display_width(line) <= WIDTH, "{line:?}");
                }
            }
        }

        #[test]
        fn clean_text_is_one_line_within_its_bound(text in any::<String>(), max in 1..80usize) {
            let cleaned = clean(&text, max);
            prop_assert!(cleaned.chars().count() <= max);
            prop_assert!(!cleaned.chars().any(|character| is_break(character) || is_deceptive(character)));
            prop_assert_eq!(clean(&cleaned, max), cleaned);
        }
    }
}
