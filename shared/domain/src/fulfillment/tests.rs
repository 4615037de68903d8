use super::{testing::*, *};

#[test]
fn only_what_the_provider_may_yet_tell_otherwise_is_worth_waiting_for() {
    let told = |status| Doubt::NotTold(ReadError::Permanent { status, code: None });
    let not_understood = Doubt::NotTold(ReadError::NotUnderstood("no `checkout_session`".into()));
    for short in [Doubt::NotComplete("open".into()), Doubt::NoRefund, told(404), not_understood] {
        assert_eq!(short.patience(), Patience::Short, "{short}");
    }
    assert_eq!(Doubt::OrderUnknown("refund").patience(), Patience::Long);
    for stays in [told(422), Doubt::ModeNotFulfilled("setup".into()), Doubt::NoSubject] {
        assert_eq!(stays.patience(), Patience::None, "{stays}");
    }
}

#[test]
fn an_event_whose_effects_are_committed_names_the_receipts_still_to_queue() {
    let row = stored(&told("fevt_1", SALE, completed()));
    assert_eq!(committed(&row), None);
    let receipt_ids = vec![id("fcs_1-order")];
    let row = StoredEvent { state: EventState::Committed, receipt_ids: receipt_ids.clone(), ..row };
    assert_eq!(committed(&row), Some(receipt_ids.as_slice()));
}
