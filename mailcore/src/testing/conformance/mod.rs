//! Suites that show whether an implementation keeps a seam's contract.
//!
//! Each suite takes a closure that makes a fresh, empty implementation and runs
//! its checks one by one, each on one of its own. A check that fails panics and
//! says what is wrong; the check's name is printed before it. What an
//! implementation leaves out in its [`Abilities`](crate::seams::Abilities) is
//! not asked of it.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use mailcore::seams::Storage;
//! # fn my_storage() -> Arc<dyn Storage> { unimplemented!() }
//! # async fn test() {
//! mailcore::testing::conformance::storage(async || my_storage()).await;
//! # }
//! ```

mod annotations;
mod batches;
mod directories;
mod durability;
mod events;
mod fixtures;
mod flags;
mod mailboxes;
mod messages;
mod queue;
mod quotas;
mod removed;
mod rights;
mod state;
mod threads;

use std::sync::Arc;

use crate::seams::Storage;
use crate::server::Stores;

use super::VirtualClock;

pub use batches::commit;
pub use directories::{Accounts, directory};
pub use durability::durability;
pub use events::outbox;
pub use queue::spool;
pub use state::state;

/// Runs checks, each on a fresh subject.
macro_rules! run {
    ($make:expr; $($check:path),+ $(,)?) => {
        $(
            eprintln!("check: {}", stringify!($check));
            $check($make).await;
        )+
    };
}
use run;

/// Checks [`Storage`] and [`Mailbox`](crate::seams::Mailbox).
pub async fn storage(make: impl AsyncFn() -> Arc<dyn Storage>) {
    mailboxes::run_all(&make).await;
    messages::run_all(&make).await;
    flags::run_all(&make).await;
    threads::run_all(&make).await;
    quotas::run_all(&make).await;
    rights::run_all(&make).await;
    annotations::run_all(&make).await;
    removed::run_all(&make).await;
}

/// Checks every seam of a store.
pub async fn store(make: impl AsyncFn(VirtualClock) -> Stores) {
    storage(async || make(VirtualClock::new()).await.storage).await;
    commit(&make).await;
    spool(&make).await;
    state(&make).await;
    outbox(&make).await;
}
