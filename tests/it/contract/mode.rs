//! A stack keeps the mode that it began in.

use super::unique;
use aws::links;
use domain::{ports::FirstMode, values::mode::Mode};
use futures_util::future::join_all;
use kit::{fakes::World, stack::Stack};

on_both! {
    the_first_mode_is_kept,
    of_many_that_begin_at_once_all_are_told_the_same_mode,
}

fn memory() -> World {
    World::default()
}

/// On a table of its own: the deployed stack has begun.
async fn dynamodb() -> links::FirstMode {
    let stack = Stack::named()
        .unwrap()
        .with_copied_tables(&unique("-mode"))
        .await;
    links::FirstMode::new(
        aws_sdk_dynamodb::Client::new(&stack.config().await),
        stack.tables.links,
    )
}

async fn the_first_mode_is_kept(on: &impl FirstMode) {
    assert_eq!(on.first().await, Ok(None));
    assert_eq!(on.begin(Mode::Test).await, Ok(Mode::Test));
    assert_eq!(on.first().await, Ok(Some(Mode::Test)));
    assert_eq!(on.begin(Mode::Live).await, Ok(Mode::Test));
    assert_eq!(on.begin(Mode::Test).await, Ok(Mode::Test));
    assert_eq!(on.first().await, Ok(Some(Mode::Test)));
}

async fn of_many_that_begin_at_once_all_are_told_the_same_mode(on: &impl FirstMode) {
    let modes = [Mode::Test, Mode::Live].into_iter().cycle().take(16);
    let facts = join_all(modes.map(|mode| on.begin(mode))).await;
    let first = on.first().await.unwrap().unwrap();
    assert!(facts.iter().all(|facts| *facts == Ok(first)), "{facts:?}");
}
