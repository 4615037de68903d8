//! Times as people write and read them.

use crate::error::Error;
use jiff::{SignedDuration, Timestamp, ToSpan, ZonedDateTime, civil, tz::TimeZone};

/// Reads a time: `2h`, `3d`, `90m` (ago), `now`, `today`, `yesterday`, `today 09:30`, `09:30`, `2026-03-03`,
/// `2026-03-03 09:30`, RFC 3339 or `@1760997599`. Without an offset, the zone counts.
///
/// # Errors
///
/// For another text, and for a time that daylight saving skips or repeats.
pub fn read(text: &str, zone: &TimeZone, now: Timestamp) -> Result<Timestamp, Error> {
    let text = text.trim();
    let bad = || {
        Error::usage(format!("{text:?} is not a time"))
            .cured_by("Write 2h, 3d, today 09:30, 2026-03-03 09:30 or 2026-03-03T09:30:00Z")
    };
    if let Some(seconds) = text.strip_prefix('@') {
        let seconds = seconds.parse().map_err(|_| bad())?;
        return Timestamp::from_second(seconds).map_err(|_| bad());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Some(ago) = ago(text, zone, now) {
        return Ok(ago);
    }
    let today = now.to_zoned_datetime(zone.clone()).date();
    let (day, time) = match text.split_once([' ', 'T']) {
        Some((day, time)) => (day, Some(time)),
        None if text.contains(':') => ("today", Some(text)),
        None => (text, None),
    };
    let date = match day {
        "now" if time.is_none() => return Ok(now),
        "today" => today,
        "yesterday" => today.yesterday().map_err(|_| bad())?,
        day => day.parse::<civil::Date>().map_err(|_| bad())?,
    };
    let time = match time {
        None => civil::Time::midnight(),
        Some(time) => clock(time).ok_or_else(bad)?,
    };
    in_zone(date.to_datetime(time), zone)
}

/// `HH:MM` or `HH:MM:SS`. An offset is refused, because jiff's reader of times ignores it.
fn clock(text: &str) -> Option<civil::Time> {
    let is_of_clock = |byte: u8| byte.is_ascii_digit() || matches!(byte, b':' | b'.');
    if !text.bytes().all(is_of_clock) {
        return None;
    }
    let whole = match text.matches(':').count() {
        1 => format!("{text}:00"),
        2 => text.to_owned(),
        _ => return None,
    };
    whole.parse().ok()
}

fn in_zone(time: civil::DateTime, zone: &TimeZone) -> Result<Timestamp, Error> {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    ambiguous.unambiguous().map_err(|_| {
        Error::usage(format!(
            "{time} is skipped or repeated by daylight saving in this time zone"
        ))
        .cured_by("Write the time with its offset, such as 2026-11-01T01:30:00-04:00")
    })
}

/// `90m`, `2h`, `3d`, `2w`: before now. A day is a day of the calendar.
fn ago(text: &str, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let number: i64 = text.get(..text.len().checked_sub(1)?)?.parse().ok()?;
    let span = match text.get(text.len() - 1..)? {
        "m" => number.minutes(),
        "h" => number.hours(),
        "d" => number.days(),
        "w" => number.weeks(),
        _ => return None,
    };
    let then = now.to_zoned_datetime(zone.clone()).checked_sub(span);
    then.ok().map(|then: ZonedDateTime| then.timestamp())
}

/// `28 Nov 2026 09:41 EST`.
#[must_use]
pub fn full(at: Timestamp, zone: &TimeZone) -> String {
    let at = at.to_zoned_datetime(zone.clone());
    at.strftime("%-d %b %Y %H:%M %Z").to_string()
}

/// `28 November 2026`.
#[must_use]
pub fn day(at: Timestamp, zone: &TimeZone) -> String {
    let at = at.to_zoned_datetime(zone.clone());
    at.strftime("%-d %B %Y").to_string()
}

/// `09:41:05`.
#[must_use]
pub fn second(at: Timestamp, zone: &TimeZone) -> String {
    let at = at.to_zoned_datetime(zone.clone());
    at.strftime("%H:%M:%S").to_string()
}

/// `41 s`, `9 min`, `3 h`, `2 d`.
#[must_use]
pub fn age(since: Timestamp, now: Timestamp) -> String {
    length(now.duration_since(since))
}

/// As [`age`], of a length.
#[must_use]
pub fn length(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> TimeZone {
        TimeZone::get("America/New_York").unwrap()
    }

    fn at(text: &str) -> Result<String, Error> {
        let now = "2026-11-28T14:41:03Z".parse().unwrap();
        read(text, &zone(), now).map(|time| time.to_string())
    }

    #[test]
    fn a_time_is_read_as_people_write_it() {
        for (text, time) in [
            ("2h", "2026-11-28T12:41:03Z"),
            ("90m", "2026-11-28T13:11:03Z"),
            ("3d", "2026-11-25T14:41:03Z"),
            ("now", "2026-11-28T14:41:03Z"),
            ("2026-03-03T09:30+02:00", "2026-03-03T07:30:00Z"),
            ("2026-03-03 09:30+02:00", "2026-03-03T07:30:00Z"),
            ("today", "2026-11-28T05:00:00Z"),
            ("yesterday 09:30", "2026-11-27T14:30:00Z"),
            ("07:30", "2026-11-28T12:30:00Z"),
            ("2026-03-03", "2026-03-03T05:00:00Z"),
            ("2026-07-03 09:30:15", "2026-07-03T13:30:15Z"),
            ("2026-07-03T09:30:15+02:00", "2026-07-03T07:30:15Z"),
            ("@1760997599", "2025-10-20T21:59:59Z"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(time), "{text}");
        }
        for text in [
            "",
            "soon",
            "2",
            "2x",
            "25:00",
            "2026-13-01",
            "@x",
            "today 9",
            "9:3",
            "09:30+02:00",
            "today 09:30 +02:00",
            "2026-03-03[Asia/Tokyo]",
        ] {
            assert_eq!(
                at(text).unwrap_err().exit,
                crate::error::Exit::Usage,
                "{text}"
            );
        }
    }

    #[test]
    fn a_time_that_is_skipped_or_repeated_is_refused() {
        for text in ["2026-03-08 02:30", "2026-11-01 01:30"] {
            assert!(
                at(text).unwrap_err().what.contains("daylight saving"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_time_is_shown_in_the_zone_of_the_shop() {
        let time = "2026-11-28T14:41:03Z".parse().unwrap();
        assert_eq!(full(time, &zone()), "28 Nov 2026 09:41 EST");
        assert_eq!(
            (day(time, &zone()), second(time, &zone())),
            ("28 November 2026".to_owned(), "09:41:03".to_owned())
        );
        let lengths = [
            (119, "119 s"),
            (120, "2 min"),
            (7200, "2 h"),
            (200_000, "2 d"),
        ];
        for (seconds, text) in lengths {
            assert_eq!(length(SignedDuration::from_secs(seconds)), text);
        }
    }
}
