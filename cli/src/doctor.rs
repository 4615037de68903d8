//! `till doctor`: checks, causes first. A check whose need failed is skipped, so that one cause appears once.

mod deep;
mod fix;
mod mail;
mod platform;
mod provider;
mod work;

pub use fix::Fixed;

use crate::{
    Context,
    args::{DoctorArgs, FailOn},
    backend::Backend,
    error::{Error, Exit},
    output::Answer,
    style::{labeled, red, wrapped},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _, pin::Pin};

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    Warn,
    Fail,
    /// Not looked at: a need failed, or a service did not answer.
    Skipped,
}

/// The finding of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub status: Status,
    pub says: String,
    /// The repair, for a warning or a failure.
    pub cure: String,
}

impl Seen {
    /// Nothing to do.
    #[must_use]
    pub fn ok(says: impl Into<String>) -> Self {
        Self {
            status: Status::Ok,
            says: says.into(),
            cure: String::new(),
        }
    }

    /// A problem that stops something.
    #[must_use]
    pub fn fail(says: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            status: Status::Fail,
            says: says.into(),
            cure: cure.into(),
        }
    }

    /// A problem that may wait.
    #[must_use]
    pub fn warn(says: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            status: Status::Warn,
            ..Self::fail(says, cure)
        }
    }
}

/// The future of a look.
type Look<'a> = Pin<Box<dyn Future<Output = Result<Seen, Error>> + Send + 'a>>;

/// A check over a backend.
pub struct Check<B> {
    /// `group.name`.
    pub id: &'static str,
    /// The checks without which this one says nothing.
    pub needs: &'static [&'static str],
    look: for<'a> fn(&'a Context<'a, B>) -> Look<'a>,
    /// True if it takes long or leaves a trace.
    pub is_deep: bool,
    fix: Option<fix::Fix<B>>,
}

impl<B> Check<B> {
    /// The same check, for `--deep` only.
    fn deep(self) -> Self {
        Self {
            is_deep: true,
            ..self
        }
    }

    /// True if `--fix` has a repair of its problem.
    #[must_use]
    pub fn has_fix(&self) -> bool {
        self.fix.is_some()
    }
}

/// All findings.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Report {
    pub checks: Vec<Line>,
    pub failed: usize,
    pub warned: usize,
    pub skipped: usize,
    /// The repairs that `--fix` offered.
    pub fixed: Vec<Fixed>,
}

/// A check's line in the report.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Line {
    pub id: &'static str,
    pub status: Status,
    pub says: String,
    pub cure: String,
    pub needs: &'static [&'static str],
}

/// Writes a check down. One that only looks at the description of the stack needs no other.
macro_rules! check {
    ($id:literal, $seen:ident) => {
        $crate::doctor::Check {
            id: $id,
            needs: &[],
            look: |on| Box::pin(std::future::ready(Ok($seen(on)))),
            is_deep: false,
            fix: None,
        }
    };
    ($id:literal, [$($need:literal),*], $look:expr) => {
        $crate::doctor::Check {
            id: $id,
            needs: &[$($need),*],
            look: |on| Box::pin($look(on)),
            is_deep: false,
            fix: None,
        }
    };
    ($id:literal, [$($need:literal),*], $look:expr, $does:literal, $fix:expr) => {
        $crate::doctor::Check {
            fix: Some($crate::doctor::fix::Fix {
                does: $does,
                run: |on| Box::pin($fix(on)),
            }),
            ..check!($id, [$($need),*], $look)
        }
    };
}
pub(crate) use check;

/// All checks, each after its needs.
#[must_use]
pub fn checks<B: Backend>() -> Vec<Check<B>> {
    let mut all = platform::checks();
    all.extend(provider::checks());
    // After the others of its group, so that the report has the group once.
    all.extend(deep::checks());
    all.extend(mail::checks());
    all.extend(work::checks());
    all
}

/// Runs the checks that are named, or all, and those that they need. A deep check runs if `deep` is set, or its own name
/// is given.
pub async fn report<B: Backend>(
    on: &Context<'_, B>,
    wanted: &[String],
    deep: bool,
) -> Result<Vec<Line>, Error> {
    let all = checks::<B>();
    for name in wanted {
        if !all.iter().any(|check| is_named(check.id, name)) {
            let groups: std::collections::BTreeSet<&str> = all
                .iter()
                .filter_map(|check| check.id.split('.').next())
                .collect();
            let groups: Vec<&str> = groups.into_iter().collect();
            return Err(Error::usage(format!("no check and no group {name:?}"))
                .cured_by(format!("The groups are {}", groups.join(", "))));
        }
    }
    let mut needed: Vec<&str> = Vec::new();
    // A check comes after its needs, so one pass backwards finds all of them.
    for check in all.iter().rev() {
        let is_wanted = wanted.is_empty() || wanted.iter().any(|name| is_named(check.id, name));
        let is_wanted =
            is_wanted && (deep || !check.is_deep) || wanted.iter().any(|name| name == check.id);
        if is_wanted || needed.contains(&check.id) {
            needed.push(check.id);
            needed.extend(check.needs);
        }
    }
    let mut lines: Vec<Line> = Vec::new();
    for check in all.iter().filter(|check| needed.contains(&check.id)) {
        on.terminal.progress(Some(check.id));
        lines.push(line(on, check, &lines).await);
    }
    on.terminal.progress(None);
    Ok(lines)
}

fn is_named(id: &str, name: &str) -> bool {
    id == name || id.split('.').next() == Some(name)
}

async fn line<B: Backend>(on: &Context<'_, B>, check: &Check<B>, before: &[Line]) -> Line {
    let is_bad = |need: &&&str| {
        before
            .iter()
            .any(|line| line.id == **need && matches!(line.status, Status::Fail | Status::Skipped))
    };
    let seen = match check.needs.iter().find(is_bad) {
        Some(need) => Seen {
            status: Status::Skipped,
            says: format!("needs {need}"),
            cure: String::new(),
        },
        None => (check.look)(on).await.unwrap_or_else(|error| Seen {
            // A service that does not answer proves no defect. A refusal does.
            status: if error.exit == Exit::Denied {
                Status::Fail
            } else {
                Status::Skipped
            },
            says: error.what,
            cure: error.cure.unwrap_or_default(),
        }),
    };
    Line {
        id: check.id,
        status: seen.status,
        says: seen.says,
        cure: seen.cure,
        needs: check.needs,
    }
}

/// `till doctor`.
pub async fn doctor<B: Backend>(on: &Context<'_, B>, args: &DoctorArgs) -> Result<Answer, Error> {
    let mut lines = report(on, &args.checks, args.deep).await?;
    let mut fixed = Vec::new();
    if args.fix {
        fixed = fix::offered(on, &checks(), &lines, args.yes).await?;
        again(on, &fixed, &mut lines).await?;
    }
    let [failed, warned, skipped] = problems(&lines);
    let is_bad = failed > 0 || (warned > 0 && args.fail_on == FailOn::Warn);
    let exit = match (is_bad, skipped) {
        (true, _) => Exit::Attention,
        (false, 1..) => Exit::Unavailable,
        (false, 0) => Exit::Done,
    };
    let mut text = text(&lines, on.terminal.width());
    for fixed in &fixed {
        let sign = if fixed.done { "done" } else { "not done" };
        let line = format!("{sign:11}{:22}{}", fixed.id, fixed.text);
        text += &(wrapped(&line, on.terminal.width(), 0) + "\n");
    }
    let data = Report {
        checks: lines,
        failed,
        warned,
        skipped,
        fixed,
    };
    Ok(Answer::of(&data, text)?.ending(exit))
}

/// Runs the checks whose problem was repaired once more.
async fn again<B: Backend>(
    on: &Context<'_, B>,
    fixed: &[Fixed],
    lines: &mut [Line],
) -> Result<(), Error> {
    let done = fixed.iter().filter(|fixed| fixed.done);
    let ids: Vec<String> = done.map(|fixed| fixed.id.to_owned()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    for now in report(on, &ids, false).await? {
        if let Some(line) = lines.iter_mut().find(|line| line.id == now.id) {
            *line = now;
        }
    }
    Ok(())
}

/// The report as text: a line for each group, and one for each problem.
#[must_use]
pub fn text(lines: &[Line], width: usize) -> String {
    let mut groups: Vec<(&str, Vec<&Line>)> = Vec::new();
    for line in lines {
        let group = line.id.split('.').next().unwrap_or_default();
        match groups.last_mut() {
            Some((name, of)) if *name == group => of.push(line),
            _ => groups.push((group, vec![line])),
        }
    }
    let mut out = String::new();
    for (group, of) in &groups {
        let good = of.iter().filter(|line| line.status == Status::Ok).count();
        let sign = if good == of.len() { "ok" } else { "!" };
        let _ = writeln!(out, "{group:12}{sign:4}{good} of {}", of.len());
        for line in of.iter().filter(|line| line.status != Status::Ok) {
            let sign = match line.status {
                Status::Fail => red("✗"),
                Status::Warn => "!".to_owned(),
                Status::Skipped | Status::Ok => "–".to_owned(),
            };
            let _ = writeln!(
                out,
                "  {sign} {:22}{}",
                line.id,
                wrapped(&line.says, width.saturating_sub(26), 0)
                    .replace('\n', "\n                          ")
            );
            if !line.cure.is_empty() {
                let cure = labeled("Fix: ", 5, &line.cure, width.saturating_sub(26));
                let _ = writeln!(
                    out,
                    "{:26}{}",
                    "",
                    cure.replace('\n', "\n                          ")
                );
            }
        }
    }
    out + &summary(lines)
}

/// The numbers of checks that failed, that warn, and that were skipped.
fn problems(lines: &[Line]) -> [usize; 3] {
    let count = |status| lines.iter().filter(|line| line.status == status).count();
    [Status::Fail, Status::Warn, Status::Skipped].map(count)
}

/// The number of problems, and the cause to begin with.
fn summary(lines: &[Line]) -> String {
    let [failed, warned, skipped] = problems(lines);
    let mut text = format!(
        "\n{failed} failed, {warned} warnings, {skipped} skipped, of {}.",
        lines.len()
    );
    let mut depends: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.status == Status::Skipped) {
        for need in line.needs {
            *depends.entry(need).or_default() += 1;
        }
    }
    // The first of equals: causes come before effects.
    let cause = lines.iter().filter(|line| line.status == Status::Fail);
    let cause = cause
        .rev()
        .max_by_key(|line| depends.get(line.id).copied().unwrap_or_default());
    if let Some(cause) = cause {
        let _ = write!(text, " Begin with {}.", cause.id);
    }
    text + "\n"
}
