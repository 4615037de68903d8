//! Announcements over the world in memory: every change is announced, none is invented, and no failure loses one; and on
//! the deployed stack.

use announcements::Call;
use domain::{
    announcement::{Batch, Cause, MOST_ENTRY_BYTES, NoEntry, Published, State, personal::Contact},
    ports::{AnnouncementAdmin as _, Events as _},
    sale::order::Shortfall,
};
use kit::{
    announcing::{announcer_over, counted},
    fakes::{Call as PortCall, Fate, Turn},
    prelude::*,
    subscriber::Subscriber,
};
use operator::{
    announce::{Bounds, announce},
    events::{drop_event, release},
    note::Note,
};

const MINUTE: Duration = Duration::from_mins(1);

/// A call of the schedule, a minute later.
async fn each_minute(bundle: &Bundle) -> Result<(), RetryableError> {
    bundle.world.pass(MINUTE + Duration::from_secs(1));
    announcer_over(&bundle.world).answer(&Call::default()).await
}

/// The ids of what the bus has, in its order.
fn ids(bundle: &Bundle) -> Vec<String> {
    let kept = bundle.world.kept();
    kept.published
        .iter()
        .map(|entry| entry.id.clone())
        .collect()
}

fn unpublished(bundle: &Bundle) -> usize {
    let kept = bundle.world.kept();
    kept.batches
        .values()
        .filter(|(_, published)| !published)
        .count()
}

/// The announcements that are stored, published or not, in no order.
fn stored_ids(bundle: &Bundle) -> BTreeSet<String> {
    let kept = bundle.world.kept();
    let all = kept
        .batches
        .values()
        .flat_map(|(batch, _)| &batch.announcements);
    all.map(|one| one.id.clone()).collect()
}

/// A sale with its receipt; nothing is published yet.
async fn sold() -> Bundle {
    let bundle = open_shop(OnUnknown::Hold);
    bundle.sell(1).await;
    bundle.drain().await;
    assert_eq!(bundle.mails(), 1);
    bundle
}

#[tokio::test]
async fn a_sale_is_announced_once_in_its_order_with_the_contact_of_its_order_alone() {
    let bundle = sold().await;
    each_minute(&bundle).await.unwrap();
    let order = bundle.order(1);
    let id = &order.order_id;
    // No time passes between the two.
    let mut details: Vec<Value> = {
        let kept = bundle.world.kept();
        let published = kept.published.iter();
        let details = published.map(|entry| serde_json::from_str(&entry.detail).unwrap());
        details.collect()
    };
    details.sort_by_key(|detail: &Value| detail["kind"].to_string());
    let told: Vec<&str> = details
        .iter()
        .filter_map(|detail| detail["id"].as_str())
        .collect();
    let expected = [
        format!("{id}/1/order.paid"),
        format!("{id}-order/3/receipt.sent"),
    ];
    assert_eq!(told, expected);
    let [paid, sent] = &details[..] else {
        panic!("{details:?}")
    };
    assert_eq!(paid["mode"], "live");
    assert_eq!(paid["caused_by"], "fevt_1");
    assert_eq!(
        paid["thing"],
        json!({"type": "order", "id": id.as_str(), "version": 1})
    );
    assert_eq!(paid["order"]["state"], "paid");
    assert_eq!(paid["contact"]["email"], json!(order.customer.email));
    assert_eq!(sent["receipt"]["status"], "sent");
    let email = order.customer.email.unwrap();
    assert!(!sent.to_string().contains(&email));
    // The table has no contact at all.
    let stored = format!("{:?}", bundle.world.kept().batches);
    assert!(!stored.contains(&email));
    assert_eq!(bundle.world.kept().unannounced(), Vec::<String>::new());
    // Nothing is left, and nothing comes twice.
    each_minute(&bundle).await.unwrap();
    bundle.play(&Delivery::of(&purchase(1), "fevt_1")).await;
    bundle.play(&Delivery::of(&purchase(1), "fevt_twin")).await;
    each_minute(&bundle).await.unwrap();
    assert_eq!(ids(&bundle).len(), 2);
}

#[tokio::test]
async fn without_personal_data_no_announcement_has_a_contact() {
    let bundle = sold().await;
    bundle.world.pass(MINUTE * 2);
    let announcer = announcements::Announcer {
        announces_contacts: false,
        ..announcer_over(&bundle.world)
    };
    announcer.answer(&Call::default()).await.unwrap();
    let published = format!("{:?}", bundle.world.kept().published);
    assert!(published.contains("order.paid") && !published.contains("contact"));
}

/// Refuses every call to the bus.
#[derive(Debug)]
struct BusAway;

impl Fate for BusAway {
    fn turn(&mut self, call: PortCall, _: &mut Kept) -> Turn {
        if call.name == "bus.publish" {
            return Turn::Strikes(FailBefore);
        }
        Turn::Goes
    }
}

#[tokio::test]
async fn three_days_without_the_bus_or_the_function_lose_and_delay_nothing_else() {
    for function_is_away in [false, true] {
        let bundle = open_shop(OnUnknown::Hold);
        bundle.world.decide_by(Some(Box::new(BusAway)));
        for hour in 0..72 {
            bundle.sell(hour + 1).await;
            bundle.drain().await;
            bundle.world.pass(Duration::from_hours(1));
            // A person counts, and no stream's record is left after a day.
            *bundle
                .world
                .kept()
                .counters
                .get_mut(&sku("BRACE-M"))
                .unwrap() += 1;
            if !function_is_away {
                assert!(each_minute(&bundle).await.is_err());
            }
        }
        assert_eq!(bundle.mails(), 72, "orders and mails do not wait");
        assert_eq!(ids(&bundle), Vec::<String>::new());
        bundle.world.decide_by(None);
        bundle.world.pass(MINUTE * 2);
        let announcer = announcer_over(&bundle.world);
        announcer.answer(&Call::default()).await.unwrap();
        let all = Call {
            all_counters: true,
            ..Call::default()
        };
        announcer.answer(&all).await.unwrap();
        let published = ids(&bundle);
        let once: BTreeSet<String> = published.iter().cloned().collect();
        assert_eq!(once.len(), published.len(), "each once");
        assert_eq!(once, stored_ids(&bundle));
        let paid = published.iter().filter(|id| id.ends_with("/order.paid"));
        assert_eq!(paid.count(), 72);
        let level = bundle.on_hand("BRACE-M").to_string();
        let kept = bundle.world.kept();
        let moved = kept
            .published
            .iter()
            .find(|entry| entry.id == "BRACE-M/1/stock.moved");
        let moved: Value = serde_json::from_str(&moved.unwrap().detail).unwrap();
        assert_eq!(moved["stock"]["on_hand"].to_string(), level);
        assert_eq!(kept.unannounced(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn wherever_a_run_fails_or_stops_nothing_is_lost_and_what_comes_twice_has_its_id() {
    let undisturbed = {
        let bundle = sold().await;
        each_minute(&bundle).await.unwrap();
        ids(&bundle)
    };
    let calls = {
        let bundle = sold().await;
        let before = bundle.world.kept().calls.len();
        each_minute(&bundle).await.unwrap();
        bundle.world.kept().calls.len() - before
    };
    assert!(calls > 5, "{calls}");
    let mut twice = 0;
    for call in 0..calls {
        for fault in [FailBefore, FailAfter, StopBefore, StopAfter, Throttled] {
            let bundle = sold().await;
            bundle.strike_next(call, fault);
            bundle.world.run(each_minute(&bundle)).await;
            for _ in 0..2 {
                each_minute(&bundle).await.unwrap();
            }
            assert_eq!(unpublished(&bundle), 0, "{fault:?} at {call}");
            let published = ids(&bundle);
            let once: BTreeSet<String> = published.iter().cloned().collect();
            assert_eq!(
                once,
                undisturbed.iter().cloned().collect(),
                "{fault:?} at {call}"
            );
            twice += usize::from(once.len() < published.len());
        }
    }
    assert!(
        twice > 0,
        "a stop between publication and mark publishes twice"
    );
}

#[tokio::test]
async fn an_entry_that_the_bus_refuses_and_a_row_that_cannot_be_read_keep_no_other_from_it() {
    let bundle = sold().await;
    let id = bundle.order(1).order_id;
    bundle.world.kept().refused_entries = 1;
    each_minute(&bundle).await.unwrap();
    assert_eq!((ids(&bundle).len(), unpublished(&bundle)), (1, 1));
    let all = [
        format!("{id}/1/order.paid"),
        format!("{id}-order/3/receipt.sent"),
    ];
    let poison = all
        .into_iter()
        .find(|id| !ids(&bundle).contains(id))
        .unwrap();
    bundle
        .world
        .kept()
        .unreadable_batches
        .insert(poison.clone());
    bundle.sell(2).await;
    bundle.drain().await;
    each_minute(&bundle).await.unwrap();
    assert_eq!((ids(&bundle).len(), unpublished(&bundle)), (3, 1));
    bundle.world.kept().unreadable_batches.clear();
    each_minute(&bundle).await.unwrap();
    assert_eq!(unpublished(&bundle), 0);
    assert_eq!(ids(&bundle).last(), Some(&poison));
}

#[tokio::test]
async fn an_order_of_very_many_lines_is_announced_without_them() {
    let mut order = sold().await.order(1);
    let cause = Cause {
        at: order.placed_at,
        provider: None,
        event_id: None,
    };
    for (lines, kept) in [(300, true), (1_500, false)] {
        order.lines = order.lines.iter().cycle().take(lines).cloned().collect();
        let announced = domain::announcement::order::changed(None, &order, cause);
        let batch = Batch::new(announced, order.placed_at).unwrap();
        let [announcement] = &batch.announcements[..] else {
            panic!("{batch:?}")
        };
        let State::Order(summary) = &announcement.state else {
            panic!("{announcement:?}")
        };
        assert_eq!(summary.lines.is_some(), kept, "{lines}");
        assert_eq!(summary.amounts.received, order.paid());
        let published = Published {
            announcement: announcement.clone(),
            mode: Mode::Live,
            contact: Contact::of(&order),
        };
        assert!(published.entry().unwrap().detail.len() < MOST_ENTRY_BYTES);
    }
    // What not even that makes small enough waits for a person, and keeps no other from the bus.
    let short = |n| Shortfall {
        sku: sku(&format!("SHORT-{n}")),
        missing: 1,
        filled_at: None,
    };
    order.shortfalls = (0..9_000).map(short).collect();
    let announced = domain::announcement::order::changed(None, &order, cause);
    let batch = Batch::new(announced, order.placed_at).unwrap();
    let published = Published {
        announcement: batch.announcements[0].clone(),
        mode: Mode::Live,
        contact: None,
    };
    assert_matches!(published.entry(), Err(NoEntry::TooLarge(_)));
}

#[tokio::test]
async fn a_count_by_hand_is_announced_and_a_low_counter_once_until_it_rises() {
    let bundle = open_shop(OnUnknown::Hold);
    let announcer = announcer_over(&bundle.world);
    bundle.world.kept().low_at.insert(sku("BRACE-M"), 5);
    let mut told = Vec::new();
    for on_hand in [9, 9, 5, 4, 6, 3] {
        bundle.world.kept().counters.insert(sku("BRACE-M"), on_hand);
        for _ in 0..2 {
            announcer
                .answer(&counted(&["BRACE-M", "NOT-COUNTED"]))
                .await
                .unwrap();
        }
        told.push(ids(&bundle).split_off(told.iter().map(Vec::len).sum()));
    }
    let expected = [
        &["BRACE-M/1/stock.moved"][..],
        &[],
        &["BRACE-M/2/stock.moved", "BRACE-M/2/stock.low"],
        &["BRACE-M/3/stock.moved"],
        &["BRACE-M/4/stock.moved"],
        &["BRACE-M/5/stock.moved", "BRACE-M/5/stock.low"],
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn wherever_a_comparison_of_counters_fails_or_stops_the_daily_one_finishes_it() {
    let all = Call {
        all_counters: true,
        ..Call::default()
    };
    let undisturbed = {
        let bundle = open_shop(OnUnknown::Hold);
        let announcer = announcer_over(&bundle.world);
        announcer.answer(&all).await.unwrap();
        ids(&bundle).into_iter().collect::<BTreeSet<_>>()
    };
    assert!(undisturbed.len() > 1, "{undisturbed:?}");
    for call in 0..12 {
        for fault in [FailBefore, FailAfter, StopBefore, StopAfter, Twice] {
            let bundle = open_shop(OnUnknown::Hold);
            let announcer = announcer_over(&bundle.world);
            bundle.strike_next(call, fault);
            let changed = counted(&["BRACE-M", "TOTE"]);
            bundle.world.run(announcer.answer(&changed)).await;
            bundle.world.kept().faults.clear();
            announcer.answer(&all).await.unwrap();
            assert_eq!(unpublished(&bundle), 0, "{fault:?} at {call}");
            let published: BTreeSet<String> = ids(&bundle).into_iter().collect();
            assert_eq!(published, undisturbed, "{fault:?} at {call}");
        }
    }
}

#[tokio::test]
async fn what_a_person_decides_about_an_event_is_announced() {
    let bundle = open_shop(OnUnknown::Hold);
    // The provider does not know the sale.
    for n in [1, 2] {
        bundle
            .play(&Delivery::of(&purchase(n), &format!("fevt_{n}")))
            .await;
    }
    let note = Note::new("ana", "looked at it", bundle.world.now()).unwrap();
    bundle.provider_has(&sale(&purchase(1)));
    let world = &bundle.world;
    release(world, world, &event_id("fevt_1"), &note)
        .await
        .unwrap();
    drop_event(world, &event_id("fevt_2"), &note).await.unwrap();
    bundle.drain().await;
    each_minute(&bundle).await.unwrap();
    let kinds: Vec<&str> = {
        let kept = bundle.world.kept();
        kept.published
            .iter()
            .map(|entry| entry.kind.as_str())
            .collect()
    };
    let of = |kind: &str| kinds.iter().filter(|known| **known == kind).count();
    let counts = [
        "event.parked",
        "event.released",
        "event.dropped",
        "order.paid",
    ]
    .map(of);
    assert_eq!(counts, [2, 1, 1, 1], "{kinds:?}");
    assert!(world.event(&event_id("fevt_1")).await.unwrap().is_some());
}

#[tokio::test]
async fn announcements_since_a_time_are_published_again_with_their_ids_and_a_dry_run_publishes_none()
 {
    let bundle = sold().await;
    each_minute(&bundle).await.unwrap();
    let since = bundle.world.now();
    bundle.sell(2).await;
    bundle.drain().await;
    each_minute(&bundle).await.unwrap();
    let before = ids(&bundle);
    assert_eq!(before.len(), 4);
    let bounds = |dry_run, since| Bounds {
        dry_run,
        since,
        batches: 1_000,
        after: None,
    };
    let world = &bundle.world;
    assert_eq!(announce(world, &bounds(true, since)).await.batches, 2);
    assert_eq!(unpublished(&bundle), 0);
    assert_eq!(announce(world, &bounds(false, since)).await.batches, 2);
    each_minute(&bundle).await.unwrap();
    assert_eq!(ids(&bundle), [&before[..], &before[2..]].concat());
    let all = announce(world, &bounds(true, Timestamp::UNIX_EPOCH)).await;
    assert_eq!((all.batches, all.cursor), (4, None));
    let page = world.published_since(since, None).await.unwrap();
    assert_eq!(page.batches.len(), 2);
}

#[tokio::test]
async fn on_the_deployed_stack_a_sale_and_a_count_by_hand_reach_a_rule_of_the_bus() {
    let play = play().await;
    let mut subscriber = Subscriber::of(&play).await.unwrap();
    let purchase = Purchase::numbered(number());
    let order_id = purchase.order_id().to_owned();
    play.sell(&purchase).await.unwrap();
    let event_id = id("fevt", number());
    play.takes(&purchase.completed(&event_id)).await;
    play.sent_receipt(&order_id, Duration::from_mins(1)).await;
    let counted = sku(&format!("COUNTED-{}", number()));
    play.tables
        .stock_levels
        .put_counter(&counted, 3)
        .await
        .unwrap();
    let wanted = BTreeSet::from([
        format!("{order_id}/1/order.paid"),
        format!("{order_id}-order/3/receipt.sent"),
        format!("{counted}/1/stock.moved"),
    ]);
    // By the streams alone.
    let deadline = Timestamp::now() + Duration::from_mins(1);
    while !wanted.iter().all(|id| subscriber.told.contains_key(id)) {
        assert!(Timestamp::now() < deadline, "{:?}", subscriber.told.keys());
        subscriber.receive().await.unwrap();
    }
    let paid = &subscriber.told[&format!("{order_id}/1/order.paid")];
    assert_eq!(paid["source"], "fulfillment");
    assert_eq!(paid["detail-type"], "order.paid");
    assert!(paid["detail"]["contact"]["email"].is_string());
    // What the schedules do.
    assert_eq!(play.invoke("announcements").await.unwrap(), "null");
    let all_counters = json!({"all_counters": true});
    let answer = play.invoke_with("announcements", &all_counters).await;
    assert_eq!(answer.unwrap(), "null");
}
