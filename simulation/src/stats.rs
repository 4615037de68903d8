//! The figures of runs, and their faults.

use std::{collections::BTreeMap, fmt::Write as _};

/// The figures of runs, and their faults.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    pub seeds: u64,
    /// How many events the provider announced.
    pub events: u64,
    /// How many of them are Flint's.
    pub flint_events: u64,
    /// How many requests were made, resends and forgeries among them.
    pub deliveries: u64,
    pub invocations: u64,
    /// How many calls to ports were made.
    pub calls: u64,
    pub orders: u64,
    pub mails: u64,
    /// How many of them for the second time, their fate being unknown.
    pub again: u64,
    /// How many were held, their fate being unknown.
    pub held: u64,
    /// How many announcements were published.
    pub announced: u64,
    /// How many of them for the second time.
    pub announced_again: u64,
    /// How much time passed, in days.
    pub days: u64,
    /// The count of each fault.
    pub struck: BTreeMap<&'static str, u64>,
    /// A print of every call: the same for the same story.
    pub story: u64,
}

impl Stats {
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.flint_events += other.flint_events;
        self.deliveries += other.deliveries;
        self.invocations += other.invocations;
        self.calls += other.calls;
        self.orders += other.orders;
        self.mails += other.mails;
        self.again += other.again;
        self.held += other.held;
        self.announced += other.announced;
        self.announced_again += other.announced_again;
        self.days += other.days;
        self.story = self.story.wrapping_add(other.story);
        for (what, count) in &other.struck {
            *self.struck.entry(what).or_default() += count;
        }
    }

    pub fn table(&self) -> String {
        let mut table = String::new();
        let rows = [
            ("seeds", self.seeds),
            ("events", self.events),
            ("  of those Flint's", self.flint_events),
            ("deliveries", self.deliveries),
            ("invocations", self.invocations),
            ("port calls", self.calls),
            ("orders", self.orders),
            ("mails", self.mails),
            ("  of those again, their fate being unknown", self.again),
            ("mails held, their fate being unknown", self.held),
            ("announcements", self.announced),
            ("  of those again", self.announced_again),
            ("simulated days", self.days),
        ];
        for (what, count) in rows {
            let _ = writeln!(table, "{what:<46}{count:>12}");
        }
        table.push_str("what went wrong\n");
        for (what, count) in &self.struck {
            let _ = writeln!(table, "  {what:<44}{count:>12}");
        }
        table
    }
}
