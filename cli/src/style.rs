//! Signs and colors of text. Color never carries a meaning alone, and [`crate::output`] removes it where it is not wanted.

use anstyle::{AnsiColor, Style};

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// For the mode of a live stack, and for headings.
#[must_use]
pub fn bold(text: &str) -> String {
    styled(Style::new().bold(), text)
}

/// For failures only.
#[must_use]
pub fn red(text: &str) -> String {
    styled(AnsiColor::Red.on_default(), text)
}

/// The text, wrapped to `width`, with each line after the first indented by `indent`.
#[must_use]
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let space = " ".repeat(indent);
    let options = textwrap::Options::new(width.max(indent + 20))
        .subsequent_indent(&space)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(text, options)
}

/// One labeled line: the label in a column of that width, then the text under itself.
#[must_use]
pub fn labeled(label: &str, column: usize, text: &str, width: usize) -> String {
    wrapped(&format!("{label:column$}{text}"), width, column)
}

/// The text with a capital first letter.
#[must_use]
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// `1 order`, `2 orders`.
#[must_use]
pub fn count(number: usize, thing: &str) -> String {
    if number == 1 {
        format!("1 {thing}")
    } else {
        format!("{number} {thing}s")
    }
}
