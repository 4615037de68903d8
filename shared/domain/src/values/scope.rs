//! The mode and the merchant of an event, and the events that are not this stack's.

use crate::values::mode::Mode;

/// The account of an event's sender, as the event states it. An event of a provider that states nothing passes: its endpoint's
/// secret belongs to one account and one mode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Live or test data.
    pub mode: Option<Mode>,
    /// The provider's id of the merchant.
    pub merchant_id: Option<String>,
    /// True for a synthetic event that the provider sends on request.
    pub is_trial: bool,
    /// True for an event that was sent to a partner's app, about any of its merchants.
    pub is_for_partner: bool,
}

/// The reason why an event is not this stack's. It is stored and counted, and has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    #[error("an event for a partner's app: send the merchant's own events to this endpoint")]
    Partner,
    #[error(
        "an event of {stated} mode, and this stack's Mode is {stack}: give each mode its own endpoint"
    )]
    OtherMode { stated: Mode, stack: Mode },
    #[error("an event of another merchant than the parameter names")]
    OtherMerchant,
    #[error("a synthetic test event")]
    Trial,
}

impl NotOurs {
    /// True if someone should look at the webhook endpoint. A synthetic event was asked for.
    #[must_use]
    pub fn is_mistake(&self) -> bool {
        *self != Self::Trial
    }
}

impl Scope {
    /// States nothing.
    pub const UNSTATED: Self = Self {
        mode: None,
        merchant_id: None,
        is_trial: false,
        is_for_partner: false,
    };

    /// The reason why the event is not this stack's, if it is not. Without a `merchant_id` every merchant is ours.
    #[must_use]
    pub fn not_ours(&self, stack: Mode, merchant_id: Option<&str>) -> Option<NotOurs> {
        let other_mode = self.mode.filter(|stated| *stated != stack);
        let other_merchant = merchant_id.zip(self.merchant_id.as_deref());
        if self.is_for_partner {
            Some(NotOurs::Partner)
        } else if let Some(stated) = other_mode {
            Some(NotOurs::OtherMode { stated, stack })
        } else if other_merchant.is_some_and(|(ours, stated)| ours != stated) {
            Some(NotOurs::OtherMerchant)
        } else {
            self.is_trial.then_some(NotOurs::Trial)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_ours_unless_it_states_another_mode_or_merchant_or_is_synthetic() {
        let live = |merchant_id: Option<&str>| Scope {
            mode: Some(Mode::Live),
            merchant_id: merchant_id.map(str::to_owned),
            ..Scope::default()
        };
        let trial = Scope {
            is_trial: true,
            ..live(Some("mer_1"))
        };
        let for_partner = Scope {
            is_for_partner: true,
            ..Scope::default()
        };
        let other_mode = NotOurs::OtherMode {
            stated: Mode::Live,
            stack: Mode::Test,
        };
        for (scope, stack, merchant_id, expected) in [
            (Scope::default(), Mode::Live, Some("mer_1"), None),
            (live(None), Mode::Live, Some("mer_1"), None),
            (live(Some("mer_1")), Mode::Live, Some("mer_1"), None),
            (live(Some("mer_2")), Mode::Live, None, None),
            (
                live(Some("mer_2")),
                Mode::Live,
                Some("mer_1"),
                Some(NotOurs::OtherMerchant),
            ),
            (live(None), Mode::Test, None, Some(other_mode.clone())),
            (trial.clone(), Mode::Live, None, Some(NotOurs::Trial)),
            (trial, Mode::Test, None, Some(other_mode)),
            (for_partner, Mode::Live, None, Some(NotOurs::Partner)),
        ] {
            assert_eq!(scope.not_ours(stack, merchant_id), expected, "{scope:?}");
        }
    }
}
