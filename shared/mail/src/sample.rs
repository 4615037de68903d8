//! Sample mails, to prove and preview templates.

use crate::{
    form::Form,
    view::{
        Amount, FailedInvoiceView, FailedPaymentView, FailedRefundView, GoodsView, LineView,
        MerchantView, PackageView, PaymentView, PeriodView, RefundTotalsView, RefundView,
        RenewalView, ShipmentView, TestView, TotalsView, TrialView, View,
    },
};

/// A sample mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// All optional values are present.
    Full,
    /// All optional values are absent.
    Bare,
    /// [`Sample::Full`] in test mode.
    Test,
    /// [`Sample::Full`] from a provider that certifies no eligibility.
    Uncertified,
}

impl Sample {
    /// All samples; together they cover every value, present and absent.
    pub const ALL: [Self; 4] = [Self::Full, Self::Bare, Self::Test, Self::Uncertified];

    /// The values of the sample for this form.
    pub(super) fn view(self, form: Form) -> View {
        let is_full = self != Self::Bare;
        let mut view = self.order();
        view.test =
            (self == Self::Test).then(|| TestView::new(form, Some("sam.rivera@example.com")));
        let receipt_id = match form {
            Form::Receipt => return view,
            Form::Renewal => {
                "fin_sample".clone_into(&mut view.order_id);
                view.renewal = Some(renewal(&view, is_full));
                "fin_sample-order"
            }
            Form::Refund => {
                view.refund = Some(refund(is_full));
                "fre_sample-refund"
            }
            Form::RefundFailed => {
                view.failed_refund = Some(failed_refund());
                "fre_sample-refund_failed"
            }
            Form::PaymentFailed => {
                view.failed_payment = Some(failed_payment(is_full));
                "fin_sample-payment_failed"
            }
            Form::InvoicePaymentFailed => {
                view.failed_invoice = Some(failed_invoice(is_full));
                "inv_sample-payment_failed"
            }
            Form::Shipment => {
                view.shipment = Some(self.shipment());
                "ful_sample-shipment"
            }
            Form::TrialEnds => {
                view.trial = Some(trial());
                "fsub_sample-trial_ends"
            }
        };
        receipt_id.clone_into(&mut view.receipt_id);
        view
    }

    /// Goods in two packages, goods in a package with a number alone, or goods that are picked up.
    fn shipment(self) -> ShipmentView {
        let text = |text: &str| Some(text.to_owned());
        let first = PackageView {
            carrier: text("Example Post"),
            tracking_number: text("EX-1042-7"),
            tracking_url: text("https://track.example.com/EX-1042-7"),
        };
        let second = PackageView {
            carrier: None,
            tracking_number: None,
            ..first.clone()
        };
        let goods = GoodsView::new("Acupressure mat, organic cotton".to_owned(), 2);
        match self {
            Self::Full | Self::Test => ShipmentView {
                is_pickup: false,
                goods: vec![goods],
                packages: vec![first, second],
            },
            Self::Bare => ShipmentView {
                is_pickup: false,
                goods: Vec::new(),
                packages: vec![PackageView {
                    carrier: None,
                    tracking_url: None,
                    ..first
                }],
            },
            Self::Uncertified => ShipmentView {
                is_pickup: true,
                goods: vec![goods],
                packages: Vec::new(),
            },
        }
    }

    /// The values of its order.
    fn order(self) -> View {
        match self {
            Self::Full | Self::Test => full(),
            Self::Bare => bare(),
            Self::Uncertified => uncertified(),
        }
    }
}

fn renewal(order: &View, is_full: bool) -> RenewalView {
    RenewalView {
        amount: order.totals.total.clone(),
        paid_at: order.sold_at.clone(),
        paid_on: order.sold_on.clone(),
        period: is_full.then(|| PeriodView {
            starts_on: "October 10, 2025".to_owned(),
            ends_on: "November 10, 2025".to_owned(),
        }),
    }
}

fn refund(is_full: bool) -> RefundView {
    RefundView {
        amount: amount("$20.00"),
        refunded_at: "October 20, 2025, 9:53 AM EDT".to_owned(),
        refunded_on: "October 20, 2025".to_owned(),
        totals: is_full.then(|| RefundTotalsView {
            paid: amount("$81.61"),
            refunded: amount("$25.00"),
            remaining: amount("$56.61"),
        }),
    }
}

fn failed_payment(is_full: bool) -> FailedPaymentView {
    FailedPaymentView {
        amount: is_full.then(|| amount("$52.71")),
    }
}

fn failed_invoice(is_full: bool) -> FailedInvoiceView {
    FailedInvoiceView {
        number: is_full.then(|| "INV-2025-0117".to_owned()),
        amount: is_full.then(|| amount("$52.71")),
    }
}

fn failed_refund() -> FailedRefundView {
    FailedRefundView {
        amount: amount("$20.00"),
        refunded_at: "October 20, 2025, 9:53 AM EDT".to_owned(),
        refunded_on: "October 20, 2025".to_owned(),
    }
}

fn trial() -> TrialView {
    TrialView {
        ends_at: "October 24, 2025, 5:53 AM EDT".to_owned(),
        ends_on: "October 24, 2025".to_owned(),
    }
}

fn full() -> View {
    View {
        order_number: Some("NW-1042".to_owned()),
        customer_name: Some("Sam Rivera".to_owned()),
        lines: vec![mat(), scarf()],
        totals: TotalsView {
            subtotal: amount("$79.00"),
            discount: amount("-$5.00"),
            tax: amount("$6.11"),
            shipping: amount("$6.00"),
            fees: amount("$1.50"),
            adjustment: amount("$1.00"),
            tax_included: false,
            ordered: amount("$88.61"),
            differs: true,
            not_charged: amount("-$4.61"),
            waived: amount("-$0.39"),
            open: amount("-$2.00"),
            total: amount("$81.61"),
        },
        eligible: Some(amount("$52.71")),
        other: Some(amount("$28.90")),
        not_itemized: amount("$1.00"),
        is_spread: true,
        payments: 2,
        payment_details: vec![
            PaymentView {
                label: "Payment 1 (primary card)".to_owned(),
                card: Some("primary".to_owned()),
                amount: amount("$52.71"),
            },
            PaymentView {
                label: "Payment 2".to_owned(),
                card: None,
                amount: amount("$28.90"),
            },
        ],
        ..bare()
    }
}

fn uncertified() -> View {
    let line = |line| LineView {
        eligible: false,
        eligibility: None,
        ..line
    };
    View {
        lines: vec![line(mat()), line(scarf())],
        eligible: None,
        other: None,
        provider: "Acme".to_owned(),
        ..full()
    }
}

fn bare() -> View {
    View {
        merchant: MerchantView {
            name: "Northwind Wellness".to_owned(),
            address: vec!["12 Hill Road".to_owned(), "Portland, OR 97201".to_owned()],
            support_email: "help@northwind.example".to_owned(),
        },
        receipt_id: "fcs_sample-order".to_owned(),
        order_id: "fcs_sample".to_owned(),
        order_number: None,
        customer_name: None,
        sold_at: "October 10, 2025, 5:53 AM EDT".to_owned(),
        sold_on: "October 10, 2025".to_owned(),
        currency: "USD".to_owned(),
        lines: vec![bare_mat()],
        totals: bare_totals(),
        eligible: Some(amount("$50.00")),
        other: Some(nothing()),
        not_itemized: nothing(),
        is_spread: false,
        payments: 1,
        payment_details: vec![],
        provider: "Flex".to_owned(),
        renewal: None,
        refund: None,
        failed_refund: None,
        failed_payment: None,
        failed_invoice: None,
        shipment: None,
        trial: None,
        test: None,
    }
}

fn bare_totals() -> TotalsView {
    TotalsView {
        subtotal: amount("$50.00"),
        discount: nothing(),
        tax: nothing(),
        shipping: nothing(),
        fees: nothing(),
        adjustment: nothing(),
        tax_included: true,
        ordered: amount("$50.00"),
        differs: false,
        not_charged: nothing(),
        waived: nothing(),
        open: nothing(),
        total: amount("$50.00"),
    }
}

fn bare_mat() -> LineView {
    LineView {
        unit_price: None,
        discount: nothing(),
        tax: nothing(),
        shipping: nothing(),
        fee: nothing(),
        adjustment: nothing(),
        tax_included: true,
        total: amount("$50.00"),
        has_breakdown: false,
        ..mat()
    }
}

fn mat() -> LineView {
    LineView {
        description: "Acupressure mat, organic cotton".to_owned(),
        quantity: 2,
        unit_price: Some("$25.00".to_owned()),
        subtotal: amount("$50.00"),
        discount: amount("-$5.00"),
        tax: amount("$3.71"),
        shipping: amount("$4.00"),
        fee: nothing(),
        adjustment: nothing(),
        tax_included: false,
        total: amount("$52.71"),
        has_breakdown: true,
        eligible: true,
        eligibility: Some("HSA/FSA eligible"),
    }
}

fn scarf() -> LineView {
    LineView {
        description: "Linen scarf, moss green".to_owned(),
        quantity: 1,
        unit_price: Some("$29.00".to_owned()),
        subtotal: amount("$29.00"),
        discount: nothing(),
        tax: amount("$2.40"),
        shipping: amount("$2.00"),
        fee: amount("$0.50"),
        adjustment: amount("-$6.00"),
        tax_included: false,
        total: amount("$27.90"),
        has_breakdown: true,
        eligible: false,
        eligibility: Some("Not eligible"),
    }
}

fn amount(text: &str) -> Amount {
    Amount {
        text: text.to_owned(),
        nonzero: text != "$0.00",
    }
}

fn nothing() -> Amount {
    amount("$0.00")
}
