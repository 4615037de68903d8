//! The signing keys.

use super::World;
use aws::secrets::REREAD_AFTER;
use domain::{
    delivery::secrets::Keys,
    ports::{Clock, SigningKeys},
    values::provider::ProviderId,
};

impl SigningKeys for World {
    async fn keys(&self, _: &ProviderId) -> Keys {
        // Only a reading is a call: keys that have not aged come from the process's own memory.
        if std::mem::take(&mut self.kept().keys_aged) {
            let now = self.now();
            self.kept().keys_read_at = Some(now);
            let read = self.call("keys.read", |kept| {
                if let Some(newer) = kept.newer_keys.take() {
                    kept.keys = newer;
                }
            });
            // While the store does not answer, the old keys stay in use.
            let _ = read.await;
        }
        self.kept().keys.clone()
    }

    async fn reread(&self, _: &ProviderId) -> Option<Keys> {
        let now = self.now();
        let read_at = self.kept().keys_read_at;
        if read_at.is_some_and(|then| now.duration_since(then).unsigned_abs() < REREAD_AFTER) {
            return None;
        }
        let reread = self.call("keys.reread", |kept| {
            let newer = kept.newer_keys.take()?;
            kept.keys.clone_from(&newer);
            Some(newer)
        });
        // A store that does not answer has no newer keys to offer.
        reread.await.ok().flatten()
    }
}
