//! TLS to the provider, by the deployed binaries. The stand-in has a certificate of the test's authority, which
//! `SSL_CERT_FILE` trusts.

use crate::local::{Bench, ORDER, no_failures};
use kit::prelude::*;
use kit::stand_in::{Authority, Flaw, StandIn};
use std::{fs, path::PathBuf};

/// A file with the authority's certificate.
fn pem_file(name: &str, authority: &Authority) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("{name}-{}.pem", std::process::id()));
    fs::write(&file, authority.pem()).unwrap();
    file
}

async fn seller(authority: &Authority, flaw: Flaw) -> StandIn {
    let stand_in = StandIn::over_tls(authority, flaw).await.unwrap();
    stand_in.put_purchase(&Purchase::sample());
    stand_in
}

#[tokio::test]
async fn a_provider_with_a_trusted_certificate_is_read() {
    let bench = Bench::new("trusted").await;
    bench.store_event().await;
    let authority = Authority::new("trusted").unwrap();
    let trusted = pem_file("trusted", &authority);
    let provider = seller(&authority, Flaw::None).await;
    let settings = [
        ("FLEX_API_BASE_URL", provider.url.as_str()),
        ("SSL_CERT_FILE", trusted.to_str().unwrap()),
    ];

    let fulfilled = bench.invoke("FulfillmentFunction", None, &settings).await;
    assert_eq!(fulfilled.answer, no_failures(), "{}", fulfilled.log);
    assert_eq!(bench.event().await.state, Processed);
    assert_eq!(bench.order().await.unwrap().totals.total, 6994);
    assert_eq!(
        provider.requests_for(&format!("/v1/checkout/sessions/{ORDER}")),
        1
    );

    let reconciled = bench.invoke("ReconcileFunction", None, &settings).await;
    assert!(reconciled.succeeded, "{}", reconciled.log);
    assert!(
        provider.requests_for("/v1/checkout/sessions") > 0,
        "{:?}",
        provider.requests()
    );
}

#[tokio::test]
async fn a_provider_whose_certificate_is_not_trusted_is_sent_no_request_and_the_event_waits() {
    let bench = Bench::new("refused").await;
    bench.store_event().await;
    let (authority, other) = (
        Authority::new("known").unwrap(),
        Authority::new("unknown").unwrap(),
    );
    let (trusted, untrusted) = (pem_file("known", &authority), pem_file("unknown", &other));
    for (flaw, roots, cause) in [
        (Flaw::None, &untrusted, "UnknownIssuer"),
        (Flaw::OtherHost, &trusted, "not valid for name"),
        (Flaw::Expired, &trusted, "expired"),
    ] {
        let provider = seller(&authority, flaw).await;
        let settings = [
            ("FLEX_API_BASE_URL", provider.url.as_str()),
            ("SSL_CERT_FILE", roots.to_str().unwrap()),
        ];
        let refused = bench.invoke("FulfillmentFunction", None, &settings).await;
        let failed = json!({"batchItemFailures": [{"itemIdentifier": "00000000-0000-4000-8000-000000000001"}]});
        assert_eq!(refused.answer, failed, "{}", refused.log);
        let event = bench.event().await;
        let reason = event.reason.unwrap();
        assert_eq!(
            (event.state, event.class),
            (Stored, Some(Class::Away)),
            "{reason}"
        );
        assert!(
            reason.starts_with("Flex is away") && reason.contains("certificate"),
            "{reason}"
        );
        assert!(
            reason.contains(cause) && refused.log.contains(cause),
            "{reason}; {}",
            refused.log
        );
        assert_eq!(bench.order().await, None, "{cause}");

        let refused = bench.invoke("ReconcileFunction", None, &settings).await;
        assert!(
            !refused.succeeded && refused.log.contains(cause),
            "{}",
            refused.log
        );
        assert_eq!(provider.requests(), Vec::<String>::new(), "{cause}");
    }
    let provider = seller(&authority, Flaw::None).await;
    let settings = [
        ("FLEX_API_BASE_URL", provider.url.as_str()),
        ("SSL_CERT_FILE", trusted.to_str().unwrap()),
    ];
    let retried = bench.invoke("FulfillmentFunction", None, &settings).await;
    assert_eq!(retried.answer, no_failures(), "{}", retried.log);
    assert_eq!(bench.event().await.state, Processed);
}
