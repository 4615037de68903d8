//! The expected access of a customer, in the plainest form: one change after the other, in their true order. It is
//! written from Flex's guides and our promises alone. It has no facts, no merging and no rows. The tests compare it
//! with the rules' result for the same history in any order.

/// A change of a subscription. Moments are seconds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Happens {
    /// The provider stated its status: at its creation, or after a change.
    Stands {
        new: bool,
        status: &'static str,
        period_end: i64,
        trial_end: Option<i64>,
    },
    /// An invoice for a time until then was paid.
    Paid { until: i64 },
    /// An invoice for a time until then was not paid.
    NotPaid { until: i64 },
    /// The subscription has ended.
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

/// The documented order of changes within one second. The subscription comes first: its creation, its changes in the
/// order of its life, its end. Then come its invoices, the paid ones last.
pub(super) fn rank(what: &Happens) -> usize {
    match what {
        Happens::Stands { new: true, .. } => 0,
        // An unknown word comes before all known ones, where it has no effect.
        Happens::Stands { status, .. } => LIFE
            .iter()
            .position(|word| word == status)
            .map_or(1, |n| n + 2),
        Happens::Over => 20,
        Happens::NotPaid { .. } => 30,
        Happens::Paid { .. } => 40,
    }
}

/// The present state of a subscription.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// The time that a customer keeps access after a renewal has failed.
    grace: i64,
    status: &'static str,
    period_end: i64,
    trial_end: Option<i64>,
    /// The end of the paid time, if any is paid.
    paid_until: Option<i64>,
    /// The start of an unpaid invoice, and the end of its time.
    owing: Option<(i64, i64)>,
    /// True if there ever was a trial.
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

    /// Applies a change.
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

    /// True if the customer has access at that moment, if nothing else changes before.
    pub(super) fn lets_in(&self, now: i64) -> bool {
        if self.over_at.is_some_and(|over_at| over_at <= now) {
            return false;
        }
        let paid = Some(now) < self.paid_until;
        let tried = self.tried && Some(now) < self.trial_end;
        // Grace needs earlier access.
        let known = self.paid_until.is_some() || self.tried || self.status == "past_due";
        let graced = known
            && self
                .owing
                .is_some_and(|(since, _)| now < since + self.grace);
        paid || match self.status {
            "active" if self.owing.is_none() => now < self.period_end,
            "trialing" | "active" | "past_due" => tried || graced,
            "incomplete" => graced,
            // Stopped or given up: access for the paid time only.
            _ => false,
        }
    }
}
