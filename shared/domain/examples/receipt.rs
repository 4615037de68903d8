//! Prints an invented receipt, to look at it in a browser: `cargo run -p domain --example receipt > receipt.html`.
//!
//! `full`, `bare` or `test` chooses the sample; a file name after it is tried in place of the built-in HTML:
//! `cargo run -p domain --example receipt -- full my-receipt.html > receipt.html`.

use domain::receipt::mail::{Sample, Sources, Templates};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let sample = match arguments.next().as_deref() {
        None | Some("full") => Sample::Full,
        Some("bare") => Sample::Bare,
        Some("test") => Sample::Test,
        Some(other) => return Err(format!("no sample is called {other}: full, bare or test").into()),
    };
    let html = arguments.next().map(fs::read_to_string).transpose()?;
    let templates = Templates::new(Sources { html, ..Sources::default() })?;
    println!("{}", templates.preview(sample)?.html);
    Ok(())
}
