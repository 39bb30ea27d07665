//! `[filter]`: what is asked of mail on its way in, and what is done about the
//! answers. One file for each of its tables.

mod batv;
mod callback;
mod dmarc_reports;
mod dns_lists;
mod greylist;
mod quarantine;
mod sender;
mod sender_auth;
mod signing;
mod zones;

use std::path::Path;
use std::time::Duration;

use mailcore_filter::AccessList;
use mailcore_filter::batv::BatvConfig;
use mailcore_filter::greylist::GreylistConfig;
use mailcore_filter::lists::Network;
use mailcore_filter::pipeline::FilterSettings;
use mailcore_filter::sender::CallbackConfig;

use super::file::Section;
pub(crate) use dmarc_reports::DmarcReportsConfig;
pub(crate) use dns_lists::AskFrom;
use dns_lists::DnsListsConfig;
pub(crate) use sender::SenderConfig;

pub(crate) use quarantine::QuarantineConfig;
use sender_auth::SenderAuthConfig;
pub(crate) use sender_auth::{Bimi, Fields};
pub(crate) use signing::SigningConfig;

/// Filters.
#[derive(Debug, Clone)]
pub(crate) struct FilterConfig {
    /// False: mail is asked nothing but for the access list.
    pub(crate) on: bool,
    /// Who is let in and who is not, before anything else is asked.
    pub(crate) access_list: Option<AccessList>,
    /// Clients that are no strangers.
    pub(crate) exempt: Vec<Network>,
    /// Tests that come first, in order.
    pub(crate) order: Vec<String>,
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
}

impl Default for FilterConfig {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1"];
        Self {
            on: true,
            access_list: None,
            exempt: loopback.iter().filter_map(|it| it.parse().ok()).collect(),
            order: Vec::new(),
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
        }
    }
}

/// Reads the table and those within it.
pub(super) fn filter(root: &Section<'_, '_>, folder: &Path, config: &mut FilterConfig) {
    let section = root.section("filter", "[filter]");
    config.on = section.flag("on") != Some(false);
    access_list(&section, folder, config);
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
    }
    config.deadline = section.duration("deadline").map(|time| time.value);
    reactions(&section, &mut config.settings);
    sender_auth::sender_auth(&section, &mut config.sender_auth);
    quarantine::quarantine(&section, &mut config.quarantine);
    signing::signing(&section, &mut config.signing);
    sender::sender(&section, &mut config.sender);
    config.greylist = greylist::greylist(&section);
    dns_lists::dns_lists(&section, &mut config.dns_lists);
    config.batv = batv::batv(&section);
    config.callback = callback::callback(&section);
    config.dmarc_reports = dmarc_reports::dmarc_reports(&section);
    section.finish();
}

fn access_list(section: &Section<'_, '_>, folder: &Path, config: &mut FilterConfig) {
    let Some(file) = section.string("access_list") else {
        return;
    };
    let path = folder.join(file.value);
    let list = std::fs::read_to_string(&path)
        .map_err(|error| error.to_string())
        .and_then(|text| AccessList::parse(&text).map_err(|error| error.to_string()));
    match list {
        Ok(list) => config.access_list = Some(list),
        Err(error) => section.problem(
            file.line,
            format!("access_list {}: {error}", path.display()),
        ),
    }
}

/// `[filter.reactions]`: keys are tests, their results, and the scores that
/// count.
fn reactions(section: &Section<'_, '_>, settings: &mut FilterSettings) {
    let table = section.section("reactions", "[filter.reactions]");
    for (key, value) in table.pairs() {
        if let Err(error) = settings.set(&key, value.value) {
            section.problem(value.line, format!("{key}: {error}"));
        }
    }
}
