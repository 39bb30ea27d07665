//! `[filter]`: what is asked of mail on its way in, and what is done about the
//! answers. One file for each of its tables.

mod batv;
mod callback;
mod dmarc_reports;
mod dns_lists;
mod greylist;
mod lists;
mod quarantine;
mod rules;
mod sender;
mod sender_auth;
mod signing;
mod zones;

use std::path::Path;
use std::time::Duration;

use mailcore::plan::Stage;
use mailcore_filter::batv::BatvConfig;
use mailcore_filter::greylist::GreylistConfig;
use mailcore_filter::lists::Network;
use mailcore_filter::pipeline::FilterSettings;
use mailcore_filter::sender::CallbackConfig;

use super::file::Section;
pub(crate) use dmarc_reports::DmarcReportsConfig;
pub(crate) use dns_lists::AskFrom;
use dns_lists::DnsListsConfig;
pub(crate) use lists::ListsConfig;
pub(crate) use rules::{RulesConfig, read as read_rules};
pub(crate) use sender::SenderConfig;

pub(crate) use quarantine::QuarantineConfig;
use sender_auth::SenderAuthConfig;
pub(crate) use sender_auth::{Bimi, Fields};
pub(crate) use signing::SigningConfig;

/// Filters.
#[derive(Debug, Clone)]
pub(crate) struct FilterConfig {
    /// False: mail is asked nothing but for the file of lists.
    pub(crate) on: bool,
    /// Who is let in and who is not, before anything else is asked.
    pub(crate) lists: ListsConfig,
    /// Clients that are no strangers.
    pub(crate) exempt: Vec<Network>,
    /// Tests that come first, in order.
    pub(crate) order: Vec<String>,
    /// Tests that are asked later than they ask to be.
    pub(crate) stages: Vec<(String, Stage)>,
    /// The lines of what names tests, to be looked at once all of them are known.
    pub(crate) named: Vec<Named>,
    /// How long one test may take.
    pub(crate) deadline: Option<Duration>,
    /// What is done about what tests say.
    pub(crate) settings: FilterSettings,
    /// Who sent it.
    pub(crate) sender_auth: SenderAuthConfig,
    /// Mail that is kept apart.
    pub(crate) quarantine: QuarantineConfig,
    /// Signatures on what leaves.
    pub(crate) signing: SigningConfig,
    /// What DNS is asked of clients and senders.
    pub(crate) sender: SenderConfig,
    /// How unknown senders are put off.
    pub(crate) greylist: Option<GreylistConfig>,
    /// Lists in DNS.
    pub(crate) dns_lists: DnsListsConfig,
    /// Whose senders are signed.
    pub(crate) batv: Option<BatvConfig>,
    /// How hosts are asked for senders.
    pub(crate) callback: Option<CallbackConfig>,
    /// Reports about mail, sent and received.
    pub(crate) dmarc_reports: DmarcReportsConfig,
    /// What is asked of the content.
    pub(crate) rules: RulesConfig,
}

/// What names a test, or one of its results.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) key: String,
    /// When it is to be asked.
    pub(crate) stage: Option<Stage>,
    pub(crate) line: usize,
}

impl Default for FilterConfig {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1"];
        Self {
            on: true,
            lists: ListsConfig::default(),
            exempt: loopback.iter().filter_map(|it| it.parse().ok()).collect(),
            order: Vec::new(),
            stages: Vec::new(),
            named: Vec::new(),
            deadline: None,
            settings: FilterSettings::default(),
            sender_auth: SenderAuthConfig::default(),
            quarantine: QuarantineConfig::default(),
            signing: SigningConfig::default(),
            sender: SenderConfig::default(),
            greylist: None,
            dns_lists: DnsListsConfig::default(),
            batv: None,
            callback: None,
            dmarc_reports: DmarcReportsConfig::default(),
            rules: RulesConfig::default(),
        }
    }
}

/// Reads the table and those within it.
pub(super) fn filter(root: &Section<'_, '_>, folder: &Path, config: &mut FilterConfig) {
    let section = root.section("filter", "[filter]");
    config.on = section.flag("on") != Some(false);
    lists::lists(&section, folder, &mut config.lists);
    if let Some(networks) = section.strings("exempt") {
        config.exempt = Vec::new();
        for network in networks {
            match network.value.parse() {
                Ok(network) => config.exempt.push(network),
                Err(error) => section.problem(network.line, format!("exempt: {error}")),
            }
        }
    }
    if let Some(order) = section.strings("order") {
        config.order = order.iter().map(|test| test.value.to_owned()).collect();
        config.named.extend(order.iter().map(|test| Named {
            key: test.value.to_owned(),
            stage: None,
            line: test.line,
        }));
    }
    config.deadline = section.duration("deadline").map(|time| time.value);
    reactions(&section, config);
    stages(&section, config);
    sender_auth::sender_auth(&section, &mut config.sender_auth);
    quarantine::quarantine(&section, &mut config.quarantine);
    signing::signing(&section, &mut config.signing);
    sender::sender(&section, &mut config.sender);
    config.greylist = greylist::greylist(&section);
    dns_lists::dns_lists(&section, &mut config.dns_lists);
    config.batv = batv::batv(&section);
    config.callback = callback::callback(&section);
    config.dmarc_reports = dmarc_reports::dmarc_reports(&section);
    rules::rules(&section, folder, &mut config.rules);
    section.finish();
}

/// `[filter.reactions]`: keys are tests, their results, and the scores that
/// count.
fn reactions(section: &Section<'_, '_>, config: &mut FilterConfig) {
    let table = section.section("reactions", "[filter.reactions]");
    for (key, value) in table.pairs() {
        if let Err(error) = config.settings.set(&key, value.value) {
            section.problem(value.line, format!("{key}: {error}"));
            continue;
        }
        config.named.push(Named {
            key,
            stage: None,
            line: value.line,
        });
    }
}

/// `[filter.stages]`: a test, and when it is asked.
fn stages(section: &Section<'_, '_>, config: &mut FilterConfig) {
    let table = section.section("stages", "[filter.stages]");
    for (key, value) in table.pairs() {
        let Some(stage) = Stage::parse(value.value) else {
            let wrong = format!("{key}: write connect, helo, auth, mail, data or content");
            section.problem(value.line, wrong);
            continue;
        };
        config.stages.push((key.clone(), stage));
        config.named.push(Named {
            key,
            stage: Some(stage),
            line: value.line,
        });
    }
}
