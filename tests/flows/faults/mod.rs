//! Mail among bad hosts, bad name servers and bad disks: every recipient is
//! served once, or told of in one notice, or still waits for a reason that an
//! operator understands; doubled only where RFC 5321 section 6.1 leaves no
//! choice.

mod crowds;
mod disks;
mod long;
mod loops;
mod names;
mod peers;
mod repeat;

use std::sync::Arc;

use mailcore_tests::StoreKind;
use mailcore_tests::rough::{Fate, Fates, Office, Rough, ScriptedHost, Setup};

const STORES: [StoreKind; 2] = [StoreKind::Memory, StoreKind::Embedded];

/// A world with an office and a host for `far.test`.
struct Scene {
    world: Rough,
    office: Office,
    host: Arc<ScriptedHost>,
}

impl Scene {
    async fn new(store: StoreKind) -> Self {
        let world = Rough::seeded(1);
        let office = world.office(Setup::of("a.test", store)).await;
        let host = world.host("far.test");
        Self {
            world,
            office,
            host,
        }
    }

    async fn send(&self, to: &[&str]) {
        self.office.submit(to).await.unwrap();
    }

    async fn fates(&self, to: &[&str]) -> Fates {
        let hosts = [Arc::clone(&self.host)];
        self.office.fates(to.iter().copied(), &hosts).await
    }

    async fn fate(&self, to: &str) -> Fate {
        self.fates(&[to]).await.of(to)
    }
}

/// Delivered once.
fn once() -> Fate {
    Fate {
        delivered: 1,
        ..Fate::default()
    }
}

/// Told of in one notice.
fn returned() -> Fate {
    Fate {
        returned: 1,
        ..Fate::default()
    }
}
