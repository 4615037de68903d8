//! `till completions` and `man`: both are made from the arguments, and need no stack.

use crate::{
    answers::{Completions, ManPages},
    args::{Cli, Command},
    error::{Error, Exit},
    output::Answer,
};
use clap::CommandFactory as _;
use std::path::Path;

/// The answer of a command about the program itself; `None` for the others.
#[must_use]
pub fn command(command: &Command) -> Option<Result<Answer, Error>> {
    match command {
        Command::Completions { shell } => Some(completions(*shell)),
        Command::Man { dir } => Some(man(dir)),
        _ => None,
    }
}

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<Answer, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "till", &mut script);
    let data = Completions {
        shell: shell.to_string(),
        script: String::from_utf8_lossy(&script).into_owned(),
    };
    Ok(Answer::of(&data, data.script.clone())?.raw())
}

pub(crate) fn man(dir: &Path) -> Result<Answer, Error> {
    let failed = |error: std::io::Error| {
        Error::new(
            Exit::Failed,
            format!("{} cannot be written: {error}", dir.display()),
        )
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut all = Cli::command();
    all.build();
    let mut pages = Vec::new();
    render(&all, &mut pages).map_err(failed)?;
    for (name, page) in &pages {
        std::fs::write(dir.join(name), page).map_err(failed)?;
    }
    let data = ManPages {
        dir: dir.display().to_string(),
        files: pages.into_iter().map(|(name, _)| name).collect(),
    };
    let text = format!("{} man pages are in {}\n", data.files.len(), data.dir);
    Answer::of(&data, text)
}

/// The page of a command, then those of the commands below it: file name and text.
fn render(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    pages.push((page.get_filename(), text));
    let below = command.get_subcommands();
    for command in below.filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        render(command, pages)?;
    }
    Ok(())
}
