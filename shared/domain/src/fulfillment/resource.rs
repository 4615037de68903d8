//! Things that the stack mirrors: the fetched facts merge into the row of the thing.

use crate::{
    fulfillment::{
        Decision, Stop, checkout_session, commit::Commit, dunning, known::Case, payment_method,
        read_set::ReadSet,
    },
    resource::{Resource, ResourceChange, checkout_session::SessionSale},
    values::ids::ReceiptId,
};

/// Decides a change of a mirrored thing.
pub(super) fn decide(case: &Case<'_>, change: &ResourceChange) -> Result<Decision, Stop> {
    let id = change.id();
    let rows = case.known.rows(&ReadSet {
        resources: vec![id.clone()],
        ..checkout_session::read_set(case, change)
    })?;
    let known = rows.resources.get(&id);
    let learned = Resource::learn(known, &case.event.provider, change, case.stated_at);
    let learned = checkout_session::asked(case, learned)?;
    let mut learned = without_erased_contact(case, learned)?;
    let notice = match &mut learned {
        Resource::Invoice(invoice) => dunning::notice(case, invoice)?,
        _ => None,
    };
    let row = learned.is_news(known).then(|| learned.clone().next());
    if let Resource::CheckoutSession(session) = &learned {
        return checkout_session::decide(case, session, row.as_ref());
    }
    let Some(row) = row else {
        return Ok(Decision::Nothing {
            unsent: unsent(&learned),
        });
    };
    let charged = match &learned {
        Resource::PaymentMethod(method) => payment_method::flagged(case, method)?,
        _ => Vec::new(),
    };
    Ok(Decision::write(Commit {
        charged,
        receipts: notice.into_iter().collect(),
        resources: vec![row],
        ..Commit::of(case.event.event_id.clone())
    }))
}

/// The receipts of an earlier event that stated the same facts.
fn unsent(learned: &Resource) -> Vec<ReceiptId> {
    match learned {
        Resource::Invoice(invoice) => invoice.notice_id.iter().cloned().collect(),
        _ => Vec::new(),
    }
}

/// The row without the address of a buyer whose order is erased: a late fact must not bring it back.
fn without_erased_contact(case: &Case<'_>, row: Resource) -> Result<Resource, Stop> {
    let Resource::CheckoutSession(session) = &row else {
        return Ok(row);
    };
    let Some(SessionSale::Order(order_id)) = session.sale() else {
        return Ok(row);
    };
    if session.contact.is_unknown() {
        return Ok(row);
    }
    let rows = case.known.rows(&ReadSet {
        order: Some(order_id),
        ..ReadSet::default()
    })?;
    let order = rows.order.as_ref();
    Ok(if order.is_some_and(|order| order.is_erased) {
        Resource::CheckoutSession(Box::new(session.erased()))
    } else {
        row
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delivery::event::Change,
        fulfillment::testing::{SALE, Shop, completed, id, line, order_id, sale},
        resource::{
            ResourceId,
            checkout_session::{CheckoutSession, CheckoutSessionFacts, ContactEmail},
        },
        values::ids::CheckoutSessionId,
    };

    fn session_of(shop: &Shop, id: &CheckoutSessionId) -> CheckoutSession {
        match &shop.tables.resources[&ResourceId::CheckoutSession(id.clone())] {
            Resource::CheckoutSession(session) => (**session).clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_session_of_an_erased_order_keeps_no_contact_and_another_one_does() {
        for is_erased in [true, false] {
            let mut shop = Shop::selling(sale(vec![line("brace", 1, 5000, None)]));
            shop.tell(SALE, completed());
            let order = shop.tables.orders.get_mut(&order_id()).unwrap();
            order.is_erased = is_erased;
            let id = id("cs_1");
            for second in 1..=2 {
                let facts = CheckoutSessionFacts {
                    order_id: Some(order_id()),
                    contact: Some(ContactEmail("pat@example.com".to_owned())),
                    ..CheckoutSessionFacts::default()
                };
                let change = ResourceChange::CheckoutSession {
                    id: CheckoutSessionId::clone(&id),
                    facts: Box::new(facts.into()),
                };
                shop.tell(SALE + second, Change::Resource(Box::new(change)));
                let session = session_of(&shop, &id);
                assert_eq!(session.contact.is_unknown(), is_erased);
                assert_eq!(session.erased, is_erased);
                assert_eq!(session.order_id.get(), Some(&order_id()));
            }
        }
    }
}
