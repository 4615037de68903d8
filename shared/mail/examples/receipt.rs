//! Prints an invented mail, to look at it in a browser: `cargo run -p mail --example receipt > receipt.html`.
//!
//! What follows `--` chooses, in any order: the mail (`receipt`, `renewal`, `refund`, `payment-failed`,
//! `trial-ends`), the sample (`full`, `bare`, `test`) and the part (`subject.txt`, `body.txt`, `body.html`). A file of
//! your own is tried in place of that part's built-in template:
//! `cargo run -p mail --example receipt -- renewal bare body.html my-renewal.html > renewal.html`.

use mail::{Form, Part, Sample, Sources, Templates};
use std::{collections::BTreeMap, env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut form, mut sample, mut part) = (Form::Receipt, Sample::Full, Part::Html);
    let mut own = None;
    for word in env::args().skip(1) {
        if let Some(named) = Form::ALL.into_iter().find(|form| form.name() == word) {
            form = named;
            continue;
        }
        match word.as_str() {
            "full" => sample = Sample::Full,
            "bare" => sample = Sample::Bare,
            "test" => sample = Sample::Test,
            "subject.txt" => part = Part::Subject,
            "body.txt" => part = Part::Text,
            "body.html" => part = Part::Html,
            file => {
                let source = fs::read_to_string(file).map_err(|cause| {
                    format!("{file} is no mail, no sample, no part, and no file: {cause}")
                })?;
                own = Some(source);
            }
        }
    }
    let sources = match part {
        Part::Subject => Sources {
            subject: own,
            ..Sources::default()
        },
        Part::Text => Sources {
            text: own,
            ..Sources::default()
        },
        Part::Html => Sources {
            html: own,
            ..Sources::default()
        },
    };
    let rendered = Templates::new(BTreeMap::from([(form, sources)]))?.preview(form, sample)?;
    println!(
        "{}",
        match part {
            Part::Subject => rendered.subject,
            Part::Text => rendered.text,
            Part::Html => rendered.html,
        }
    );
    Ok(())
}
