//! The story at Flint: each thing with the time of each of its states, and its announcements.

use crate::plan::{Moment, Truth, Webhook};
use domain::values::provider::Party;
use kit::dice::Dice;
use kit::prelude::*;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const MONTH: i64 = 30 * DAY;
/// The prices of a unit of each SKU, in minor units.
const PRICES: [(&str, i64); 2] = [("FL-A", 1_900), ("FL-B", 700)];

/// How an order of Flint ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Paid,
    PaidInParts,
    PaidAfterFailure,
    HeldForAWhile,
    OutOfStockForAWhile,
    /// A person has to release an event about it.
    Exception,
    PartlyPaid,
    Closed,
    Abandoned,
    /// It is open, with an open session.
    Open,
}

const FATES: [Fate; 12] = [
    Fate::Paid,
    Fate::Paid,
    Fate::Paid,
    Fate::PaidInParts,
    Fate::PaidAfterFailure,
    Fate::HeldForAWhile,
    Fate::OutOfStockForAWhile,
    Fate::Exception,
    Fate::PartlyPaid,
    Fate::Closed,
    Fate::Abandoned,
    Fate::Open,
];

#[derive(Debug, Clone)]
pub struct FlintRefund {
    pub id: String,
    pub amount: i64,
    pub status: &'static str,
    pub succeeded: bool,
}

/// An order of Flint, as it ends.
#[derive(Debug, Clone)]
pub struct FlintOrder {
    pub id: String,
    pub fate: Fate,
    pub renews: bool,
    pub total: i64,
    /// The received money.
    pub paid: i64,
    pub goods: BTreeMap<Sku, i64>,
    pub email: String,
    pub payments: Vec<String>,
    pub sessions: Vec<String>,
    pub refunds: Vec<FlintRefund>,
    /// The present state of the thing, and its lines.
    thing: Value,
}

impl FlintOrder {
    /// True if all money was received.
    pub fn is_paid(&self) -> bool {
        self.paid == self.total
    }
}

/// A subscription of Flint, as it ends.
#[derive(Debug, Clone)]
pub struct FlintLife {
    pub id: String,
    pub customer: String,
    pub product: String,
    pub status: &'static str,
    /// The end of the last paid period.
    pub paid_until: i64,
    /// When it was paused, canceled or not paid.
    pub stopped_at: Option<i64>,
}

/// A balance transaction, as it ends.
#[derive(Debug, Clone)]
pub struct FlintTransaction {
    pub id: String,
    pub status: &'static str,
    pub amount: i64,
    pub fee: i64,
}

/// The shop's months at Flint.
#[derive(Debug)]
pub struct FlintPlan {
    pub moments: Vec<Moment>,
    pub stock_levels: BTreeMap<Sku, i64>,
    pub receipts: Party,
    pub reserves: bool,
    pub expands: bool,
    pub orders: Vec<FlintOrder>,
    pub lives: Vec<FlintLife>,
    pub transactions: Vec<FlintTransaction>,
    /// The last status of each session, invoice and payment method, by its path.
    pub things: BTreeMap<String, &'static str>,
    dice: Dice,
    next: u64,
}

fn money(amount: i64) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

fn text(second: i64) -> Value {
    json!(
        Timestamp::from_second(second)
            .unwrap_or_default()
            .to_string()
    )
}

/// A copy with these members.
pub(super) fn with(thing: &Value, members: &[(&str, Value)]) -> Value {
    let mut thing = thing.clone();
    if let Some(object) = thing.as_object_mut() {
        for (name, value) in members {
            object.insert((*name).to_owned(), value.clone());
        }
    }
    thing
}

impl FlintPlan {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, 6);
        let is_used = dice.percent(65);
        let sold = if is_used { 1 + dice.below(5) } else { 0 };
        let lives = if is_used { dice.below(3) } else { 0 };
        let mut stock = |most: u64| i64::try_from(dice.below(most)).unwrap_or_default();
        let levels = PRICES.map(|(name, _)| (sku(name), stock(3 * sold + 4)));
        let receipts = if dice.percent(50) {
            Party::Us
        } else {
            Party::Provider
        };
        let mut plan = Self {
            moments: Vec::new(),
            stock_levels: BTreeMap::from(levels),
            receipts,
            reserves: dice.percent(60),
            expands: dice.percent(60),
            orders: Vec::new(),
            lives: Vec::new(),
            transactions: Vec::new(),
            things: BTreeMap::new(),
            dice,
            next: 0,
        };
        for n in 1..=sold {
            plan.sell(n);
        }
        for n in 1..=lives {
            plan.live(100 * n);
        }
        if is_used && plan.dice.percent(50) {
            plan.save_method();
        }
        plan
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn later(&mut self, least: i64, most: i64) -> i64 {
        let span = u64::try_from(most - least + 1).unwrap_or(1);
        least + i64::try_from(self.dice.below(span)).unwrap_or_default()
    }

    /// From then on Flint's API has this thing.
    fn put(&mut self, at: i64, path: String, thing: Value) {
        let truth = Truth::Flint(path, thing);
        self.moments.push(Moment::of_truth(at, truth));
    }

    fn tell(&mut self, at: i64, kind: &str, data: &Value) {
        let event_id = format!("whev_{}", self.number());
        let body = json!({
            "webhook_event_id": event_id, "event_type": kind, "payload_version": 1,
            "api_version": "2026-09-07", "mode": "live", "merchant_id": "mer_1",
            "created_at": text(at), "request": null, "data": data,
        });
        let webhook = Webhook {
            provider: "flint",
            event_id,
            body: body.to_string(),
            // Reconcile reads the list of failed deliveries.
            listed: true,
        };
        self.moments.push(Moment::of_webhook(at, webhook));
    }

    /// The order is like this from now on.
    fn order(&mut self, order: &mut FlintOrder, at: i64, members: &[(&str, Value)]) {
        order.thing = with(&order.thing, members);
        order.thing = with(&order.thing, &[("updated_at", text(at))]);
        self.put(at, format!("orders/{}", order.id), order.thing.clone());
    }

    /// An event of the order with the stamp of its present state.
    fn tell_of(&mut self, order: &FlintOrder, at: i64, kind: &str) {
        let stamp = order.thing.get("updated_at").cloned();
        let data = json!({"order_id": order.id, "resource_updated_at": stamp});
        self.tell(at, kind, &data);
    }

    fn begun(&mut self, number: u64, fate: Fate) -> FlintOrder {
        let (mut goods, mut lines, mut total) = (BTreeMap::new(), Vec::new(), 0);
        for (name, price) in PRICES {
            let quantity = self.later(i64::from(name == "FL-A"), 2);
            if quantity > 0 {
                goods.insert(sku(name), quantity);
                let amount = quantity * price;
                total += amount;
                lines.push(json!({
                    "order_line_item_id": format!("li_{number}_{name}"), "name": name, "quantity": quantity,
                    "sku": name, "unit_price_money": money(price), "subtotal_money": money(amount),
                    "total_money": money(amount), "product_id": format!("prod_{name}"),
                }));
            }
        }
        let (id, email) = (
            format!("ord_{number}"),
            format!("flint{number}@example.com"),
        );
        let thing = json!({
            "order_id": id, "status": "open", "payment_status": "unpaid", "refund_status": "none",
            "origin": "checkout", "line_items": lines, "buyer_contact": {"email": email},
            "customer_id": format!("cus_fl_{number}"), "payment_intent_ids": [], "refund_ids": [],
            "checkout_session_ids": [],
            "pricing_amounts": {"subtotal_money": money(total), "total_money": money(total)},
            "settlement_amounts": {"paid_money": money(0), "outstanding_money": money(total)},
        });
        FlintOrder {
            id,
            fate,
            renews: false,
            total,
            paid: 0,
            goods,
            email,
            payments: Vec::new(),
            sessions: Vec::new(),
            refunds: Vec::new(),
            thing,
        }
    }

    fn sell(&mut self, number: u64) {
        let fate = self.dice.one_of(&FATES);
        let mut order = self.begun(number, fate);
        let begin = BEGIN + self.later(0, 10 * DAY);
        let made = [("created_at", text(begin))];
        self.order(&mut order, begin, &made);
        self.tell_of(&order, begin, "order.created");
        let mut at = begin + self.later(1, HOUR);
        let (sessions, mut next) = (self.dice.below(4), None);
        for nth in 1..=sessions {
            let id = next.take().unwrap_or_else(|| self.session_id());
            self.open_session(&mut order, id, at);
            at += self.later(1, HOUR);
            if nth < sessions {
                next = self.replace_session(&order, at);
                at += 1;
            }
        }
        self.end_sale(&mut order, at);
        self.orders.push(order);
    }

    /// The end of an order with its sessions.
    fn end_sale(&mut self, order: &mut FlintOrder, at: i64) {
        let wait = self.later(1, 3 * DAY);
        let at = at + wait;
        let (total, part) = (order.total, order.total / 3);
        match order.fate {
            Fate::Paid => self.pay(order, at, total),
            Fate::PaidInParts => {
                self.pay(order, at, part);
                let rest = at + self.later(HOUR, 5 * DAY);
                self.pay(order, rest, total - part);
            }
            Fate::PaidAfterFailure => {
                self.fail(order, at);
                let again = at + self.later(HOUR, 2 * DAY);
                self.pay(order, again, total);
            }
            Fate::HeldForAWhile => self.hold(order, at),
            Fate::OutOfStockForAWhile => self.out_of_stock(order, at),
            Fate::Exception => {
                self.pay(order, at, total);
                let kinds = [
                    "order.inventory_action_required",
                    "order.reconciliation_exception.created",
                ];
                let kind = self.dice.one_of(&kinds);
                self.tell_of(order, at + 1, kind);
            }
            Fate::PartlyPaid => self.pay(order, at, part),
            Fate::Closed => {
                self.order(order, at, &[("status", json!("closed"))]);
                self.tell_of(order, at, "order.closed");
                self.end_session(order, at, "closed", "api");
            }
            Fate::Abandoned => self.end_session(order, at, "expired", "expired"),
            Fate::Open => {}
        }
        if order.is_paid() && self.dice.percent(35) {
            let then = at + self.later(7 * DAY, 20 * DAY);
            self.refund(order, then);
        }
    }

    fn session(
        &mut self,
        order: &FlintOrder,
        at: i64,
        status: &'static str,
        more: &[(&str, Value)],
    ) {
        let Some(id) = order.sessions.last() else {
            return;
        };
        let path = format!("checkout-sessions/{id}");
        let thing = json!({
            "checkout_session_id": id, "order_id": order.id, "status": status, "updated_at": text(at),
        });
        self.put(at, path.clone(), with(&thing, more));
        self.things.insert(path, status);
    }

    fn session_id(&mut self) -> String {
        format!("cs_{}", self.number())
    }

    fn open_session(&mut self, order: &mut FlintOrder, id: String, at: i64) {
        order.sessions.push(id);
        self.session(order, at, "open", &[]);
        let ids = json!(order.sessions);
        self.order(order, at, &[("checkout_session_ids", ids)]);
        self.tell_of(order, at, "order.updated");
    }

    /// The last session ends, since another one is to come: `Some` if it names that one.
    fn replace_session(&mut self, order: &FlintOrder, at: i64) -> Option<String> {
        let next = self.dice.percent(60).then(|| self.session_id());
        let more = match &next {
            Some(next) => vec![
                ("terminal_reason", json!("superseded")),
                ("superseding_checkout_session_id", json!(next)),
            ],
            None => vec![("terminal_reason", json!("order_mutated"))],
        };
        self.session(order, at, "invalidated", &more);
        let ended = order.sessions.last().map(String::as_str);
        self.tell_session(ended, at, "invalidated");
        next
    }

    fn tell_session(&mut self, id: Option<&str>, at: i64, verb: &str) {
        if let Some(id) = id {
            let data = json!({"checkout_session_id": id, "resource_updated_at": text(at)});
            self.tell(at, &format!("checkout_session.{verb}"), &data);
        }
    }

    fn end_session(&mut self, order: &mut FlintOrder, at: i64, status: &'static str, reason: &str) {
        self.session(order, at, status, &[("terminal_reason", json!(reason))]);
        let verb = if status == "paid" {
            "completed"
        } else {
            status
        };
        self.tell_session(order.sessions.last().cloned().as_deref(), at, verb);
    }

    fn intent(&mut self, order: &FlintOrder, id: &str, at: i64, members: &[(&str, Value)]) {
        let flow = if order.renews {
            "subscription_renewal"
        } else {
            "one_time"
        };
        let thing = json!({
            "payment_intent_id": id, "order_id": order.id, "payment_flow": flow,
            "amount_money": money(order.total), "captured_money": money(0), "created_at": text(at),
            "updated_at": text(at),
        });
        self.put(at, format!("payment-intents/{id}"), with(&thing, members));
    }

    fn tell_payment(&mut self, id: &str, at: i64, verb: &str) {
        let data = json!({"payment_intent_id": id, "resource_updated_at": text(at)});
        self.tell(at, &format!("payment_intent.{verb}"), &data);
    }

    fn new_intent(&mut self, order: &mut FlintOrder) -> String {
        let id = format!("pi_{}", self.number());
        order.payments.push(id.clone());
        id
    }

    /// An attempt to pay fails.
    fn fail(&mut self, order: &mut FlintOrder, at: i64) {
        let id = self.new_intent(order);
        let failed = [
            ("status", json!("requires_payment_method")),
            ("last_payment_error", json!({"code": "card_declined"})),
        ];
        self.intent(order, &id, at, &failed);
        let ids = json!(order.payments);
        self.order(order, at, &[("payment_intent_ids", ids)]);
        self.tell_payment(&id, at, "payment_failed");
        // It is given up, and another one pays.
        let canceled = [("status", json!("canceled")), ("created_at", text(at))];
        self.intent(order, &id, at + 60, &canceled);
        self.tell_payment(&id, at + 60, "canceled");
    }

    /// A payment brings this amount.
    fn pay(&mut self, order: &mut FlintOrder, at: i64, amount: i64) {
        self.pay_with(order, at, amount, &[], &[]);
    }

    fn pay_with(
        &mut self,
        order: &mut FlintOrder,
        at: i64,
        amount: i64,
        of_intent: &[(&str, Value)],
        of_order: &[(&str, Value)],
    ) {
        let id = self.new_intent(order);
        let mut paid = vec![
            ("status", json!("succeeded")),
            ("amount_money", money(amount)),
            ("captured_money", money(amount)),
        ];
        paid.extend(of_intent.iter().cloned());
        self.intent(order, &id, at, &paid);
        order.paid += amount;
        let is_all = order.is_paid();
        let (status, payment) = if is_all {
            ("closed", "paid")
        } else {
            ("open", "partially_paid")
        };
        let settled = json!({
            "paid_money": money(order.paid), "outstanding_money": money(order.total - order.paid),
        });
        let mut state = vec![
            ("payment_intent_ids", json!(order.payments)),
            ("status", json!(status)),
            ("payment_status", json!(payment)),
            ("settlement_amounts", settled),
        ];
        state.extend(of_order.iter().cloned());
        if is_all {
            self.session(order, at, "paid", &[]);
        }
        self.order(order, at, &state);
        self.tell_payment(&id, at, "succeeded");
        self.tell_of(order, at, "order.payment_captured");
        let data = json!({"order_id": order.id});
        if is_all {
            self.tell(at, "order.paid", &data);
            self.tell_session(order.sessions.last().cloned().as_deref(), at, "completed");
        } else {
            self.tell(at, "order.partially_paid", &data);
        }
        self.book(order, at, "payment", amount, amount / 40);
    }

    /// The movement on the balance, and what becomes of it.
    fn book(&mut self, order: &FlintOrder, at: i64, kind: &str, amount: i64, fee: i64) {
        let id = format!("btxn_{}", self.number());
        let last = match self.dice.below(10) {
            0 => "failed",
            1 => "reversed",
            2 | 3 => "pending",
            _ => "available",
        };
        let path = format!("balance-transactions/{id}");
        let thing = json!({
            "balance_transaction_id": id, "type": kind, "status": "pending",
            "amount_money": money(amount), "fee_money": money(fee), "net_money": money(amount - fee),
            "occurred_at": text(at), "order_id": order.id,
            "related_resource": {"type": "order", "order_id": order.id},
        });
        self.put(at, path.clone(), thing.clone());
        let data = json!({"balance_transaction_id": id});
        self.tell(at, "balance_transaction.created", &data);
        if last != "pending" {
            let then = at + self.later(HOUR, 4 * DAY);
            self.put(then, path, with(&thing, &[("status", json!(last))]));
            self.tell(then, "balance_transaction.updated", &data);
        }
        self.transactions.push(FlintTransaction {
            id,
            status: last,
            amount,
            fee,
        });
    }

    /// It is paid, and an external hold on the payment ends later.
    fn hold(&mut self, order: &mut FlintOrder, at: i64) {
        let hold = |status: &str| ("fulfillment_hold", json!({"status": status}));
        let total = order.total;
        self.pay_with(order, at, total, &[hold("active")], &[]);
        let Some(id) = order.payments.last().cloned() else {
            return;
        };
        let tell = |plan: &mut Self, at: i64, status: &str| {
            let hold = json!({"status": status, "updated_at": text(at)});
            let data = json!({
                "payment_intent_id": id, "order_id": order.id, "fulfillment_hold": hold,
            });
            plan.tell(at, "payment_intent.fulfillment_hold.updated", &data);
        };
        tell(self, at, "active");
        let end = at + self.later(HOUR, 3 * DAY);
        let paid = [
            ("status", json!("succeeded")),
            ("captured_money", money(total)),
            ("created_at", text(at)),
            hold("released"),
        ];
        self.intent(order, &id, end, &paid);
        tell(self, end, "released");
    }

    /// It is paid, and Flint's inventory exception ends later.
    fn out_of_stock(&mut self, order: &mut FlintOrder, at: i64) {
        let total = order.total;
        let failed = ("inventory_exception_status", json!("paid_inventory_failed"));
        self.pay_with(order, at, total, &[], &[failed]);
        self.tell_of(order, at, "order.inventory_exception.created");
        let end = at + self.later(HOUR, 3 * DAY);
        let resolved = ("inventory_exception_status", json!("resolved"));
        self.order(order, end, &[resolved]);
        self.tell_of(order, end, "order.inventory_exception.resolved");
    }

    /// All or a part of the money goes back, or does not after all.
    fn refund(&mut self, order: &mut FlintOrder, at: i64) {
        let id = format!("ref_{}", self.number());
        // No line has this price, so a part returns no goods.
        let amount = if self.dice.percent(50) {
            order.total
        } else {
            111
        };
        let payment = order.payments.last().cloned().unwrap_or_default();
        if order.fate == Fate::PaidInParts && amount != 111 {
            return;
        }
        let status = self
            .dice
            .one_of(&["succeeded", "succeeded", "succeeded", "failed"]);
        let thing = json!({
            "refund_id": id, "status": "pending", "amount_money": money(amount), "order_id": order.id,
            "payment_intent_id": payment, "created_at": text(at), "updated_at": text(at),
        });
        let (path, data) = (format!("refunds/{id}"), json!({"refund_id": id}));
        self.put(at, path.clone(), thing.clone());
        self.order(order, at, &[("refund_ids", json!([id]))]);
        self.tell(at, "refund.created", &data);
        let then = at + self.later(HOUR, 4 * DAY);
        let ended = [("status", json!(status)), ("updated_at", text(then))];
        self.put(then, path, with(&thing, &ended));
        if status == "succeeded" {
            let word = if amount == order.total {
                "refunded"
            } else {
                "partially_refunded"
            };
            self.order(order, then, &[("refund_status", json!(word))]);
            self.tell(then, "refund.updated", &data);
            self.tell_of(order, then, "order.refunded");
            self.book(order, then, "refund", -amount, 0);
        } else {
            self.tell(then, "refund.failed", &data);
        }
        order.refunds.push(FlintRefund {
            id,
            amount,
            status,
            succeeded: status == "succeeded",
        });
    }

    /// A subscription with its cycles: each is an order, and has an invoice.
    fn live(&mut self, number: u64) {
        let begin = BEGIN + self.later(0, 5 * DAY);
        let mut life = FlintLife {
            id: format!("sub_fl_{number}"),
            customer: format!("cus_fl_{number}"),
            product: format!("plan_{}", number % 2),
            status: "active",
            paid_until: begin + MONTH,
            stopped_at: None,
        };
        let cycles = 1 + self.dice.below(4);
        let mut at = begin;
        for cycle in 1..=cycles {
            self.cycle(&life, number + cycle, cycle, at);
            life.paid_until = at + MONTH;
            let kind = if cycle == 1 {
                "activated"
            } else {
                "payment_succeeded"
            };
            self.subscription(&life, at + 1, begin, "active", kind, &[]);
            at += MONTH;
        }
        let then = at - self.later(DAY, 20 * DAY);
        match self.dice.below(5) {
            0 => self.stop(&mut life, then, begin, "canceled", "canceled_at"),
            1 => self.stop(&mut life, then, begin, "paused", "paused_at"),
            2 => self.stop(&mut life, at, begin, "past_due", "past_due_at"),
            3 => {
                let ends = [("cancel_at_period_end", json!(true))];
                self.subscription(
                    &life,
                    then,
                    begin,
                    "active",
                    "cancellation_scheduled",
                    &ends,
                );
            }
            _ => {}
        }
        self.lives.push(life);
    }

    fn stop(
        &mut self,
        life: &mut FlintLife,
        at: i64,
        begin: i64,
        status: &'static str,
        member: &str,
    ) {
        (life.status, life.stopped_at) = (status, Some(at));
        self.subscription(life, at, begin, status, status, &[(member, text(at))]);
    }

    fn subscription(
        &mut self,
        life: &FlintLife,
        at: i64,
        begin: i64,
        status: &str,
        kind: &str,
        more: &[(&str, Value)],
    ) {
        let thing = json!({
            "subscription_id": life.id, "customer_id": life.customer, "subscription_plan_id": life.product,
            "status": status, "current_period_end": text(life.paid_until), "created_at": text(begin),
            "updated_at": text(at),
        });
        let path = format!("subscriptions/{}", life.id);
        self.put(at, path, with(&thing, more));
        let data = json!({"subscription_id": life.id, "resource_updated_at": text(at)});
        self.tell(at, &format!("subscription.{kind}"), &data);
    }

    /// A paid cycle: its order, and its invoice.
    fn cycle(&mut self, life: &FlintLife, number: u64, cycle: u64, at: i64) {
        let mut order = self.begun(number, Fate::Paid);
        order.renews = cycle > 1;
        let of_life = [
            ("origin", json!("subscription")),
            ("subscription_id", json!(life.id)),
            ("subscription_cycle", json!(cycle)),
            ("customer_id", json!(life.customer)),
            ("created_at", text(at)),
        ];
        self.order(&mut order, at, &of_life);
        let total = order.total;
        self.invoice(&order, number, at, 1, "open", total);
        let paid_at = at + self.later(1, HOUR);
        self.pay(&mut order, paid_at, total);
        self.invoice(&order, number, paid_at, 2, "paid", 0);
        self.orders.push(order);
    }

    fn invoice(
        &mut self,
        order: &FlintOrder,
        number: u64,
        at: i64,
        version: u64,
        status: &'static str,
        outstanding: i64,
    ) {
        let id = format!("inv_{number}");
        let thing = json!({
            "invoice_id": id, "version": version, "status": status, "order_id": order.id,
            "outstanding_money": money(outstanding), "total_money": money(order.total),
            "paid_money": money(order.total - outstanding), "updated_at": text(at),
        });
        let path = format!("invoices/{id}");
        self.put(at, path.clone(), thing);
        let verb = if status == "open" { "issued" } else { status };
        let data = json!({"invoice_id": id, "version": version, "resource_updated_at": text(at)});
        self.tell(at, &format!("invoice.{verb}"), &data);
        self.things.insert(path, status);
    }

    /// A saved payment method, and its end.
    fn save_method(&mut self) {
        let path = "payment-methods/pm_1".to_owned();
        let begin = BEGIN + self.later(0, 5 * DAY);
        let thing = json!({
            "payment_method_id": "pm_1", "customer_id": "cus_fl_1", "type": "card", "status": "active",
            "usage": "off_session", "updated_at": text(begin),
        });
        self.put(begin, path.clone(), thing);
        let data = json!({"payment_method_id": "pm_1", "resource_updated_at": text(begin)});
        self.tell(begin, "payment_method.saved", &data);
        let mut status = "active";
        if self.dice.percent(50) {
            status = "removed";
            let end = begin + self.later(HOUR, 9 * DAY);
            let data = json!({"payment_method_id": "pm_1"});
            self.tell(end, "payment_method.removed", &data);
        }
        self.things.insert(path, status);
    }
}
