//! A rough world: bad hosts, bad name servers, bad lines and bad disks around a
//! whole server, in virtual time and by one seed.

mod fates;
mod host;
mod manner;
mod office;
mod still;
mod talk;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mailcore::seams::{BoxStream, DialError, Dialer};
use mailcore::server::ServiceHandle;
use mailcore::testing::FixedResolver;
use mailcore::testing::faults::{FaultPlan, FaultyDialer, FaultyResolver};

pub use fates::{Fate, Fates};
pub use host::{ScriptedHost, Taken};
pub use manner::{Act, END, GREETING, Manner};
pub use office::{Office, Setup};

/// DNS, network, time and faults.
#[derive(Debug)]
pub struct Rough {
    /// What goes wrong.
    pub plan: FaultPlan,
    /// DNS as it is.
    pub zone: Arc<FixedResolver>,
    /// DNS as it is answered.
    pub dns: Arc<FaultyResolver>,
    /// Connections as they are made.
    pub dialer: Arc<FaultyDialer>,
    streets: Arc<Streets>,
}

impl Rough {
    /// A world without faults so far.
    pub fn seeded(seed: u64) -> Self {
        let plan = FaultPlan::seeded(seed);
        let zone = Arc::new(FixedResolver::new());
        let streets = Arc::new(Streets::default());
        Self {
            dns: plan.resolver(zone.clone()),
            dialer: plan.dialer(streets.clone()),
            plan,
            zone,
            streets,
        }
    }

    /// A host for `domain`, found by MX.
    pub fn host(&self, domain: &str) -> Arc<ScriptedHost> {
        let name = format!("mx.{domain}");
        self.zone.add_mx(domain, 10, &name);
        self.host_named(&name)
    }

    /// A host that is found by its name alone.
    pub fn host_named(&self, name: &str) -> Arc<ScriptedHost> {
        let ip = self.streets.next_address();
        self.zone.add_address(name, ip);
        let host = ScriptedHost::new(name, ip, self.plan.clone());
        self.streets.settle(ip, Resident::Host(Arc::clone(&host)));
        host
    }

    /// Lets so many seconds go by.
    pub async fn wait(&self, seconds: u64) {
        self.plan.run_for(Duration::from_secs(seconds)).await;
    }

    /// Lets so many days go by.
    pub async fn days(&self, days: u64) {
        self.wait(days * 86_400).await;
    }
}

#[derive(Debug, Clone)]
enum Resident {
    Nobody,
    Host(Arc<ScriptedHost>),
    Office(Arc<ServiceHandle>),
}

/// Addresses and who lives there.
#[derive(Debug, Default)]
struct Streets(Mutex<HashMap<IpAddr, Resident>>);

impl Streets {
    fn next_address(&self) -> IpAddr {
        let mut streets = self.streets();
        let number = u32::try_from(streets.len() + 1).unwrap_or(u32::MAX);
        let ip = IpAddr::V4(Ipv4Addr::from_bits(
            Ipv4Addr::new(198, 18, 0, 0).to_bits() + number,
        ));
        streets.insert(ip, Resident::Nobody);
        ip
    }

    fn settle(&self, ip: IpAddr, resident: Resident) {
        self.streets().insert(ip, resident);
    }

    fn streets(&self) -> MutexGuard<'_, HashMap<IpAddr, Resident>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Dialer for Streets {
    async fn connect(&self, address: SocketAddr) -> Result<BoxStream, DialError> {
        let resident = self.streets().get(&address.ip()).cloned();
        let stream = match resident {
            Some(Resident::Host(host)) => {
                let (ours, theirs) = tokio::io::duplex(64 * 1024);
                host.serve(theirs);
                Some(ours)
            }
            Some(Resident::Office(smtp)) => smtp.connect(),
            Some(Resident::Nobody) | None => None,
        };
        match stream {
            Some(stream) => Ok(Box::new(stream)),
            None => Err(DialError::Io {
                address,
                source: io::ErrorKind::ConnectionRefused.into(),
            }),
        }
    }
}
