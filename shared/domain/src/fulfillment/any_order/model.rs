//! What a customer's access should be, as plainly as it can be told: one thing after the other, in the order in which
//! they happened. Written from Flex's guides and our promises, and from nothing else: it knows no facts, no merging
//! and no rows, so that whatever the rules make of the same history in any order can be held against it.

/// Something that happened to a subscription. Moments are seconds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Happens {
    /// The provider told how it stands: at its creation, or after a change.
    Stands {
        new: bool,
        status: &'static str,
        period_end: i64,
        trial_end: Option<i64>,
    },
    /// An invoice was paid for a time until then.
    Paid { until: i64 },
    /// An invoice for a time until then was not.
    NotPaid { until: i64 },
    /// It has ended.
    Over,
}

/// The words of a subscription's life, in its order.
pub(super) const LIFE: [&str; 8] = [
    "incomplete",
    "trialing",
    "active",
    "past_due",
    "unpaid",
    "paused",
    "incomplete_expired",
    "canceled",
];

/// The documented order of what happens within one second: what the provider tells of the subscription (its creation,
/// changes in the order in which a subscription lives through them, its end), then its invoices, paid for good.
pub(super) fn rank(what: &Happens) -> usize {
    match what {
        Happens::Stands { new: true, .. } => 0,
        // A word that means nothing to us comes before all that we know, where it does nothing.
        Happens::Stands { status, .. } => LIFE
            .iter()
            .position(|word| word == status)
            .map_or(1, |n| n + 2),
        Happens::Over => 20,
        Happens::NotPaid { .. } => 30,
        Happens::Paid { .. } => 40,
    }
}

/// A subscription as it stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// How long a customer may stay whose renewal fails.
    grace: i64,
    status: &'static str,
    period_end: i64,
    trial_end: Option<i64>,
    /// Until when is paid, if anything is.
    paid_until: Option<i64>,
    /// Since when a payment is owed, and for a time until when.
    owing: Option<(i64, i64)>,
    /// Whether there ever was a trial.
    tried: bool,
    over_at: Option<i64>,
}

impl Model {
    /// A subscription that does not exist yet.
    pub(super) fn new(grace: i64) -> Self {
        Self {
            grace,
            ..Self::default()
        }
    }

    /// Something happens.
    pub(super) fn step(&mut self, at: i64, what: Happens) {
        match what {
            Happens::Stands { status, .. } if !LIFE.contains(&status) => {}
            Happens::Stands {
                status,
                period_end,
                trial_end,
                ..
            } => {
                self.status = status;
                self.period_end = period_end;
                self.trial_end = trial_end;
                self.tried |= status == "trialing";
                match status {
                    "active" => self.owing = None,
                    "past_due" if self.paid_until < Some(period_end) => self.owes(at, period_end),
                    _ => {}
                }
            }
            Happens::Paid { until } => {
                self.paid_until = self.paid_until.max(Some(until));
                self.owing = self
                    .owing
                    .filter(|(_, unsent)| Some(*unsent) > self.paid_until);
            }
            Happens::NotPaid { until } if self.paid_until < Some(until) => self.owes(at, until),
            Happens::NotPaid { .. } => {}
            Happens::Over => self.over_at = self.over_at.or(Some(at)),
        }
    }

    /// A payment fails. The first failure sets the clock.
    fn owes(&mut self, at: i64, until: i64) {
        let (since, unsent) = self.owing.unwrap_or((at, until));
        self.owing = Some((since, unsent.max(until)));
    }

    /// Whether the customer is let in at that moment, if nothing else happens before.
    pub(super) fn lets_in(&self, now: i64) -> bool {
        if self.over_at.is_some_and(|over_at| over_at <= now) {
            return false;
        }
        let paid = Some(now) < self.paid_until;
        let tried = self.tried && Some(now) < self.trial_end;
        // Nobody is graced who was never let in.
        let known = self.paid_until.is_some() || self.tried || self.status == "past_due";
        let graced = known
            && self
                .owing
                .is_some_and(|(since, _)| now < since + self.grace);
        paid || match self.status {
            "active" if self.owing.is_none() => now < self.period_end,
            "trialing" | "active" | "past_due" => tried || graced,
            "incomplete" => graced,
            // Stopped or given up: what is paid for, and no more.
            _ => false,
        }
    }
}
