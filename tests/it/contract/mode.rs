//! A stack keeps the mode that it began in.

use super::unique;
use aws::Store;
use domain::values::mode::Mode;
use futures_util::future::join_all;
use kit::stack::Stack;

/// On a separate table, because the deployed stack has begun.
async fn store() -> Store {
    let stack = Stack::named().unwrap();
    let stack = stack.with_copied_tables(&unique("-mode")).await;
    stack.tables().await.store
}

#[tokio::test]
async fn the_first_mode_is_kept() {
    let on = store().await;
    assert_eq!(on.first_mode().await, Ok(None));
    assert_eq!(on.keep_first_mode(Mode::Test).await, Ok(Mode::Test));
    assert_eq!(on.first_mode().await, Ok(Some(Mode::Test)));
    assert_eq!(on.keep_first_mode(Mode::Live).await, Ok(Mode::Test));
    assert_eq!(on.keep_first_mode(Mode::Test).await, Ok(Mode::Test));
    assert_eq!(on.first_mode().await, Ok(Some(Mode::Test)));
}

#[tokio::test]
async fn of_many_that_begin_at_once_all_are_told_the_same_mode() {
    let on = store().await;
    let modes = [Mode::Test, Mode::Live].into_iter().cycle().take(16);
    let facts = join_all(modes.map(|mode| on.keep_first_mode(mode))).await;
    let first = on.first_mode().await.unwrap().unwrap();
    assert!(facts.iter().all(|facts| *facts == Ok(first)), "{facts:?}");
}
