//! The provider's answer to a reference.

use crate::{
    access::renewal::Renewal,
    delivery::event::{Change, Unreadable},
    sale::{refund::RefundChange, statement::Sale},
    values::ids::{OrderId, RefundId},
};

/// The provider's answer to a [`Reference`](crate::delivery::reference::Reference).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To `Reference::Sale`.
    Sale(Box<Sale>),
    /// To `Reference::SaleOfPayment`; `None` for a payment without a sale.
    SaleOfPayment(Option<OrderId>),
    /// To `Reference::RefundsOfSale` and `Reference::RefundsOfPayment`.
    Refunds(Refunds),
    /// To `Reference::Renewal`.
    Renewal(Box<Renewal>),
    /// To any other reference: the thing as an event with all facts would state it.
    Change(Box<Change>),
}

/// A list of refunds, read one by one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refunds {
    /// Those that are understood.
    pub understood: Vec<RefundChange>,
    /// The first that is not. A person must look at it; the others count.
    pub unclear: Option<UnclearRefund>,
}

/// A refund of a list that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnclearRefund {
    /// Its id, if that is understood.
    pub refund_id: Option<RefundId>,
    pub why: Unreadable,
}
