//! Flex's status words, each list in the order of the thing's life.
//!
//! Flex states time in whole seconds, and several statuses of a thing may pass within one. The place of a word in its
//! list ranks them. An unknown word ranks below all known ones.

use domain::sale::{
    dispute::{DisputeFunds, DisputeStatus},
    payment::PaymentStatus,
    refund::RefundStatus,
};
use reading::{Known, known_word};

/// <https://docs.withflex.com/api-reference/payment-intents/get-payment-intent>
const PAYMENT: [(&str, PaymentStatus); 7] = [
    // No card yet, or the last one was declined.
    ("requires_payment_method", PaymentStatus::Failed),
    ("requires_confirmation", PaymentStatus::Open),
    ("requires_action", PaymentStatus::Open),
    ("processing", PaymentStatus::Processing),
    ("requires_capture", PaymentStatus::Authorized),
    ("canceled", PaymentStatus::Canceled),
    ("succeeded", PaymentStatus::Received),
];

/// <https://docs.withflex.com/api-reference/refunds/list-refunds>
const REFUND: [(&str, RefundStatus); 5] = [
    ("pending", RefundStatus::Pending),
    ("requires_action", RefundStatus::Pending),
    ("succeeded", RefundStatus::Succeeded),
    // Perhaps after a success.
    ("failed", RefundStatus::Failed),
    ("canceled", RefundStatus::Canceled),
];

/// <https://docs.withflex.com/disputes-api-guide>, and `prevented` from the processor behind Flex
/// (<https://docs.stripe.com/api/disputes/object#dispute_object-status>).
const DISPUTE: [(&str, DisputeStatus); 8] = [
    ("warning_needs_response", DisputeStatus::Inquiry),
    ("warning_under_review", DisputeStatus::Inquiry),
    ("needs_response", DisputeStatus::Open),
    ("under_review", DisputeStatus::Open),
    ("warning_closed", DisputeStatus::InquiryClosed),
    ("prevented", DisputeStatus::InquiryClosed),
    ("lost", DisputeStatus::Lost),
    ("won", DisputeStatus::Won),
];

pub(crate) fn payment(text: &str) -> Known<PaymentStatus> {
    known_word(&PAYMENT, text, PaymentStatus::Unknown)
}

pub(crate) fn refund(text: &str) -> Known<RefundStatus> {
    known_word(&REFUND, text, RefundStatus::Unknown)
}

/// The money's movement ranks within a status.
pub(crate) fn dispute(text: &str, funds: Option<DisputeFunds>) -> Known<DisputeStatus> {
    let status = known_word(&DISPUTE, text, DisputeStatus::Unknown);
    let moved = match funds {
        None => 0,
        Some(DisputeFunds::Withdrawn) => 1,
        Some(DisputeFunds::Reinstated) => 2,
    };
    Known {
        rank: status.rank * 4 + moved,
        ..status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_a_second_a_word_ranks_by_its_place_in_the_life() {
        let funds = [
            None,
            Some(DisputeFunds::Withdrawn),
            Some(DisputeFunds::Reinstated),
        ];
        let lives: [Vec<u8>; 3] = [
            PAYMENT.map(|(word, _)| payment(word).rank).to_vec(),
            REFUND.map(|(word, _)| refund(word).rank).to_vec(),
            DISPUTE
                .iter()
                .flat_map(|(word, _)| funds.map(|funds| dispute(word, funds).rank))
                .collect(),
        ];
        for ranks in lives {
            assert!(ranks.is_sorted_by(|one, next| one < next), "{ranks:?}");
        }
    }

    #[test]
    fn an_unknown_word_is_kept_shortened_and_ranks_lowest() {
        let long = "x".repeat(500);
        let found = payment(&long);
        let expected = (PaymentStatus::Unknown, "x".repeat(64), 0);
        assert_eq!((found.known, found.word, found.rank), expected);
        assert_eq!(refund("gone").known, RefundStatus::Unknown);
        assert_eq!(dispute("gone", None).known, DisputeStatus::Unknown);
    }
}
