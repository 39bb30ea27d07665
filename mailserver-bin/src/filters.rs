//! The tests of mail, put into one pipeline.

mod catalogue;

use std::sync::Arc;

use mailcore::seams::{Clock, Commit, Directory, Resolver, State};
use mailcore::server::Builder;
use mailcore_filter::lists::{ListTest, ScopedLists};
use mailcore_filter::pipeline::{Pipeline, Test};
use mailcore_filter::rules::ContentRules;
use mailcore_filter::sender_auth::ask::{
    ArcTest, AuthenticationFields, DkimTest, DmarcTest, SpfTest,
};
use mailcore_filter::sender_auth::bimi::BimiTest;
use mailcore_sieve::filter::SieveFilter;

pub(crate) use catalogue::{catalogue, problems};

use crate::config::{Bimi, Config, Fields};
use crate::dns_lists;
use crate::senders::SenderParts;

/// What tests are made from.
pub(crate) struct TestSeams<'a> {
    pub(crate) resolver: &'a Arc<dyn Resolver>,
    pub(crate) state: &'a Arc<dyn State>,
    pub(crate) commit: &'a Arc<dyn Commit>,
    pub(crate) directory: &'a Arc<dyn Directory>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) senders: &'a SenderParts,
}

/// The tests that the configuration asks for; `None` when it asks for none.
///
/// # Errors
/// Settings about tests that are not there.
pub(crate) fn pipeline(config: &Config, seams: &TestSeams<'_>) -> Result<Option<Pipeline>, String> {
    let filter = &config.filter;
    let pipeline = if filter.on {
        all(config, seams)
    } else if filter.lists.file.is_empty() {
        return Ok(None);
    } else {
        Pipeline::new(Arc::clone(&seams.clock)).test(lists(config, seams))
    };
    let mut pipeline = pipeline
        .settings(filter.settings.clone())
        .directory(Arc::clone(seams.directory))
        .exempt(filter.exempt.iter().copied())
        .order(filter.order.iter().map(String::as_str));
    if let Some(deadline) = filter.deadline {
        pipeline = pipeline.deadline(deadline);
    }
    for (test, stage) in filter.stages.iter().filter(|_| filter.on) {
        let later = pipeline.ask_at(test, *stage);
        pipeline = later.map_err(|error| format!("[filter.stages] {error}"))?;
    }
    Ok(Some(pipeline))
}

/// The server with the filters that the configuration asks for. The site's scripts
/// are asked before all tests: what they accept is not asked about any more.
pub(crate) fn added(
    mut builder: Builder,
    config: &Config,
    scripts: Option<SieveFilter>,
    pipeline: Option<Pipeline>,
) -> Builder {
    if let Some(scripts) = scripts {
        builder = builder.filter(Arc::new(scripts));
    }
    if let Some(pipeline) = pipeline {
        builder = builder.filter(Arc::new(pipeline));
    }
    if let Some(fields) = fields(config) {
        builder = builder.filter(Arc::new(fields));
    }
    builder
}

fn all(config: &Config, seams: &TestSeams<'_>) -> Pipeline {
    let pipeline = Pipeline::new(Arc::clone(&seams.clock));
    tests(config, seams)
        .into_iter()
        .fold(pipeline, Pipeline::test)
}

/// Who is let in and who is not: asked before all others.
fn lists(config: &Config, seams: &TestSeams<'_>) -> Arc<dyn Test> {
    let lists = ScopedLists::new(Arc::clone(seams.directory));
    let (resolver, clock) = (Arc::clone(seams.resolver), Arc::clone(&seams.clock));
    let test = ListTest::new(lists, resolver, clock)
        .file(config.filter.lists.file.clone())
        .proof(config.filter.lists.proof);
    Arc::new(test)
}

/// Every test, in the order in which they are asked.
fn tests(config: &Config, seams: &TestSeams<'_>) -> Vec<Arc<dyn Test>> {
    let mut tests = vec![lists(config, seams)];
    tests.extend(dns_lists::tests(config, seams));
    tests.extend(seams.senders.tests(config, seams));
    tests.extend(sender_auth(config, seams));
    let rules = &config.filter.rules;
    if rules.on {
        let clock = Arc::clone(&seams.clock);
        match rules.rules() {
            Ok(set) => {
                let test = ContentRules::new(set, rules.limits.clone(), clock);
                tests.push(Arc::new(test));
            }
            Err(errors) => tracing::error!(%errors, "the shipped rules are not asked"),
        }
    }
    tests
}

/// What is written on mail of what the tests found of its sender.
fn fields(config: &Config) -> Option<AuthenticationFields> {
    let sender_auth = &config.filter.sender_auth;
    let written = config.filter.on && sender_auth.fields == Fields::Written;
    written.then(|| {
        AuthenticationFields::new(config.hostname.clone())
            .received_spf(sender_auth.received_spf)
            .logins(sender_auth.logins)
    })
}

/// Tests of who sent a message.
fn sender_auth(config: &Config, seams: &TestSeams<'_>) -> Vec<Arc<dyn Test>> {
    let sender_auth = &config.filter.sender_auth;
    let dns = || (Arc::clone(seams.resolver), Arc::clone(&seams.clock));
    let (spf, dkim, arc, dmarc, bimi) = (dns(), dns(), dns(), dns(), dns());
    let sealers = sender_auth.trusted_sealers.iter().cloned();
    let (mut spf, mut dkim) = (
        SpfTest::new(spf.0, spf.1, config.hostname.clone()),
        DkimTest::new(dkim.0, dkim.1),
    );
    let mut arc = ArcTest::new(arc.0, arc.1);
    let mut dmarc = DmarcTest::new(dmarc.0, dmarc.1).trusted_sealers(sealers);
    if let Some(deadline) = config.filter.deadline {
        // Each says what it has found before it is not listened to any more.
        let time = deadline / 2;
        (spf, dkim) = (spf.within(time), dkim.within(time));
        (arc, dmarc) = (arc.within(time), dmarc.within(time));
    }
    let mut tests: Vec<Arc<dyn Test>> = vec![
        Arc::new(spf),
        Arc::new(dkim),
        Arc::new(arc),
        Arc::new(dmarc),
    ];
    if sender_auth.bimi == Bimi::Asked {
        tests.push(Arc::new(BimiTest::new(bimi.0, bimi.1)));
    }
    tests
}
