//! The tests of a configuration without a server: what they are called, what they
//! say, and what is done about it. They are never asked.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::seams::{
    Directory, DnsError, Lookup, Mx, RecipientCheck, RecipientQuery, Resolver, Standing,
    SystemClock, Tlsa,
};
use mailcore::server::Stores;
use mailcore::status::Status;
use mailcore_filter::pipeline::{FilterSettings, Pipeline};
use mailcore_store::MemoryStore;
use mailcore_store::directory::{MemoryDirectory, PasswordHashing};

use super::{TestSeams, all};
use crate::config::Config;
use crate::senders::SenderParts;

/// Every test of a configuration, with its settings and those of a directory.
pub(crate) fn catalogue(config: &Config, directory: &Arc<dyn Directory>) -> Pipeline {
    let resolver: Arc<dyn Resolver> = Arc::new(Nobody);
    let stores: Stores = Arc::new(MemoryStore::new()).into();
    let mut senders = SenderParts::new(config, &stores, &[]);
    senders.check = Some(Arc::new(Nobody));
    let seams = TestSeams {
        resolver: &resolver,
        state: &stores.state,
        commit: &stores.commit,
        directory,
        clock: Arc::new(SystemClock::new()),
        senders: &senders,
    };
    let filter = &config.filter;
    let mut pipeline = all(config, &seams)
        .settings(filter.settings.clone())
        .directory(Arc::clone(directory))
        .order(filter.order.iter().map(String::as_str));
    for (test, stage) in &filter.stages {
        // What can't be is a problem of the configuration and told there.
        pipeline = pipeline.clone().ask_at(test, *stage).unwrap_or(pipeline);
    }
    pipeline
}

/// What a configuration says of tests that are not there, and of results they
/// never have: lines and words.
pub(crate) fn problems(config: &Config) -> Vec<(usize, String)> {
    let named = &config.filter.named;
    if named.is_empty() {
        return Vec::new();
    }
    let Ok(directory) = MemoryDirectory::new(PasswordHashing::default()) else {
        return Vec::new();
    };
    let directory: Arc<dyn Directory> = Arc::new(directory);
    let pipeline = catalogue(config, &directory);
    let wrong = named.iter().filter_map(|it| {
        let checked = match it.stage {
            Some(stage) => pipeline.clone().ask_at(&it.key, stage).map(drop),
            None => FilterSettings::check_key(&it.key, &pipeline),
        };
        let error = checked.err()?;
        Some((it.line, format!("{}: {error}", it.key)))
    });
    wrong.collect()
}

/// Who is never asked.
#[derive(Debug)]
struct Nobody;

fn never<T>() -> Result<Lookup<T>, DnsError> {
    Err(DnsError::Temporary("nobody asks".into()))
}

#[async_trait]
impl Resolver for Nobody {
    async fn mx(&self, _: &Domain) -> Result<Lookup<Mx>, DnsError> {
        never()
    }

    async fn addresses(&self, _: &Domain) -> Result<Lookup<IpAddr>, DnsError> {
        never()
    }

    async fn txt(&self, _: &Domain) -> Result<Lookup<Vec<u8>>, DnsError> {
        never()
    }

    async fn ptr(&self, _: IpAddr) -> Result<Lookup<Domain>, DnsError> {
        never()
    }

    async fn tlsa(&self, _: &Domain) -> Result<Lookup<Tlsa>, DnsError> {
        never()
    }
}

#[async_trait]
impl RecipientCheck for Nobody {
    async fn check(&self, _: &RecipientQuery<'_>) -> Standing {
        Standing::NoAnswer(Status::transient(4, 0, "nobody asks"))
    }
}
