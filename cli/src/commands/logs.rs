//! `till logs` and `till watch`: lines of the functions' log as sentences.

use super::events::range;
use crate::{
    Context,
    answers::{Logs, Watch},
    args::LogsArgs,
    backend::{Backend, LogLine, LogQuery},
    error::{Error, Exit},
    output::Answer,
    style::wrapped,
    time,
};
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

pub(super) async fn logs<B: Backend>(
    on: &Context<'_, B>,
    args: &LogsArgs,
) -> Result<Answer, Error> {
    let (mut since, before) = range(on, &args.range)?;
    if args.range.since.is_none() {
        since = on.now - 24.hours();
    }
    let query = LogQuery {
        gateway: args.gateway,
        pattern: pattern(args)?,
        since,
        before,
        most: args.limit,
    };
    let mut lines = on.backend.platform().log_lines(&query).await?;
    let is_cut = lines.len() >= args.limit;
    lines.retain(|line| is_wanted(line, args));
    let mut text: String = lines.iter().map(|line| sentence(line, on)).collect();
    if text.is_empty() {
        text += "No lines.\n";
    }
    let is_missing = lines.is_empty() && args.id.is_some();
    let data = Logs {
        since,
        before,
        lines,
    };
    let answer = Answer::of(&data, text)?;
    let answer = answer.ending_if(is_missing, Exit::NotFound).cut(is_cut);
    let warning = "these are the first lines: raise --limit, or begin later.";
    Ok(if is_cut {
        answer.warned("limit", warning)
    } else {
        answer
    })
}

/// The pattern by which `CloudWatch` Logs finds the lines.
fn pattern(args: &LogsArgs) -> Result<String, Error> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut words = args.outcome.iter().chain(&args.field);
    if let Some(bad) = words.find(|word| !word.bytes().all(is_letter)) {
        return Err(Error::usage(format!("{bad:?} is no word of the log")));
    }
    match &args.id {
        Some(id) if id.contains(['"', '\\', '@']) => Err(Error::usage("this is no id")),
        // A text pattern; the other conditions are looked at afterwards.
        Some(id) => Ok(format!("\"{id}\"")),
        None if args.gateway => Ok("{ ($.status = \"4*\") || ($.status = \"5*\") }".to_owned()),
        None => Ok(pattern_of_fields(args)),
    }
}

/// The pattern for the function, the outcome and the fields of a line. Without them, for all lines but those of Lambda.
fn pattern_of_fields(args: &LogsArgs) -> String {
    let functions = args.function.iter();
    let functions = functions.map(|of| format!("($.function = \"{}\")", of.name()));
    let outcomes = args.outcome.iter();
    let outcomes = outcomes.map(|word| format!("($.outcome = \"{word}\")"));
    let fields = args.field.iter().map(|name| format!("($.{name} IS TRUE)"));
    let any = |parts: Vec<String>| (!parts.is_empty()).then(|| format!("({})", parts.join(" || ")));
    let functions = any(functions.collect());
    let others = any(outcomes.chain(fields).collect());
    let parts: Vec<String> = functions.into_iter().chain(others).collect();
    if parts.is_empty() {
        BOUNDARIES.map(|start| format!("-\"{start}\"")).join(" ")
    } else {
        format!("{{ {} }}", parts.join(" && "))
    }
}

/// The starts of Lambda's own lines around each call. They say nothing about an event.
const BOUNDARIES: [&str; 4] = [
    "START RequestId",
    "END RequestId",
    "REPORT RequestId",
    "INIT_START",
];

/// True for a line of a function, and for one of Lambda's that tells more than the bounds of a call.
fn is_news(line: &LogLine) -> bool {
    let message = line.text("message");
    !message.is_some_and(|text| BOUNDARIES.iter().any(|start| text.starts_with(start)))
}

/// The local AWS ignores patterns.
fn is_wanted(line: &LogLine, args: &LogsArgs) -> bool {
    if args.id.is_none() && !is_news(line) {
        return false;
    }
    let text = |name: &str| line.text(name).unwrap_or_default();
    let is_true = |name: &String| line.fields.get(name.as_str()) == Some(&Value::Bool(true));
    let has_any =
        args.outcome.iter().any(|word| word == text("outcome")) || args.field.iter().any(is_true);
    let status = line
        .fields
        .get("status")
        .map(|status| status.to_string().replace('"', ""));
    let is_failure = status.is_some_and(|status| status.starts_with(['4', '5']));
    (args.function.is_empty() || args.function.iter().any(|of| of.name() == text("function")))
        && (args.outcome.is_empty() && args.field.is_empty() || has_any)
        && args
            .id
            .as_ref()
            .is_none_or(|id| line.fields.to_string().contains(id.as_str()))
        && (!args.gateway || is_failure)
}

/// The fields that lead a sentence, and those that are no news for a person.
const LEADING: [&str; 3] = ["function", "outcome", "message"];
const QUIET: [&str; 6] = [
    "timestamp",
    "level",
    "duration_ms",
    "age_ms",
    "target",
    "flags",
];

/// The other fields of a line, each with its value.
pub(super) fn details(line: &LogLine) -> Vec<String> {
    let mut parts = Vec::new();
    for (name, value) in line.fields.as_object().into_iter().flatten() {
        let is_empty = value.is_null() || *value == Value::Bool(false);
        if LEADING.contains(&&**name) || QUIET.contains(&&**name) || is_empty {
            continue;
        }
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        parts.push(format!("{name}={value}"));
    }
    parts
}

/// `09:41:03  fulfillment  fulfilled   order fulfilled: event_id=…`.
fn sentence<B>(line: &LogLine, on: &Context<'_, B>) -> String {
    let field = |name: &str| line.text(name).unwrap_or_default();
    let parts = details(line);
    let zone = &on.stack.zone;
    let head = format!(
        "{}  {:15}{:13}",
        time::second(line.at, zone),
        field("function"),
        field("outcome")
    );
    let text = format!("{head}{}", field("message"));
    let detail = if parts.is_empty() {
        String::new()
    } else {
        // Fields are on lines of their own, so that ids stay whole.
        format!(
            "\n{:10}{}",
            "",
            wrapped(
                &parts.join("  "),
                on.terminal.width().saturating_sub(10),
                10
            )
        )
    };
    format!("{}{detail}\n", text.trim_end())
}

/// How often the log is read.
const EVERY_SECONDS: u64 = 2;

/// Follows the log until Ctrl-C. Says when it last received something, because silence looks like an outage.
pub(super) async fn watch<B: Backend>(on: &Context<'_, B>) -> Result<Answer, Error> {
    let platform = on.backend.platform();
    let (mut since, mut seen, mut last) = (on.now - 1.minute(), Vec::<LogLine>::new(), None);
    let mut clock = on.now;
    while !on.terminal.is_interrupted() {
        let query = LogQuery {
            gateway: false,
            pattern: String::new(),
            since,
            before: clock + 1.minute(),
            most: 1000,
        };
        let lines = platform.log_lines(&query).await?;
        let is_new = |line: &&LogLine| !seen.contains(line) && is_news(line);
        let new: Vec<&LogLine> = lines.iter().filter(is_new).collect();
        for line in &new {
            on.terminal.say(sentence(line, on).trim_end());
            last = Some(line.at);
        }
        let silence = last.map_or_else(
            || "no line yet; a quiet stack logs a sweep every five minutes".to_owned(),
            |last: Timestamp| format!("last line {} ago", time::age(last, clock)),
        );
        on.terminal.progress(Some(&silence));
        // Lines may arrive late: read the last minute again.
        since = clock - 1.minute();
        seen = lines;
        platform.wait(EVERY_SECONDS).await?;
        clock += i64::try_from(EVERY_SECONDS).unwrap_or(1).seconds();
    }
    on.terminal.progress(None);
    let data = Watch { last_line_at: last };
    Ok(Answer::of(&data, String::new())?
        .raw()
        .ending(Exit::Interrupted))
}
