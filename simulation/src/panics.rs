//! The panics of a thread, also caught ones: an edge fails the message and continues.

use std::{cell::RefCell, panic, sync::Once};

thread_local! {
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// From now on the panics of this thread are kept.
pub(super) fn listen() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            HEARD.with_borrow_mut(|heard| {
                if let Some(heard) = heard {
                    heard.push(info.to_string());
                }
            });
            before(info);
        }));
    });
    HEARD.set(Some(Vec::new()));
}

/// The panics since then, with their places. From now on none are recorded.
pub(super) fn heard() -> Vec<String> {
    HEARD.take().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_that_somebody_catches_is_heard_all_the_same() {
        listen();
        let caught = panic::catch_unwind(|| panic!("on purpose"));
        let heard = heard();
        assert!(caught.is_err() && heard.len() == 1, "{heard:?}");
        assert!(
            heard[0].contains("panics.rs") && heard[0].contains("on purpose"),
            "{heard:?}"
        );
    }
}
