//! The tests that ask lists in DNS, and who is told what becomes of lists.

use std::sync::Arc;

use mailcore::event::EventName;
use mailcore::seams::Commit;
use mailcore_filter::dns::{
    Backscatter, DnsLists, Dnsbl, ListWatch, Rhsbl, RhsblFrom, Uribl, ZoneChange,
};
use mailcore_filter::pipeline::Test;

use crate::config::{AskFrom, Config};
use crate::filters::TestSeams;
use crate::telling;

/// A test for each table that names a list.
pub(crate) fn tests(config: &Config, seams: &TestSeams<'_>) -> Vec<Arc<dyn Test>> {
    let config = &config.filter.dns_lists;
    let (resolver, clock) = (Arc::clone(seams.resolver), Arc::clone(&seams.clock));
    let watch = Arc::new(Teller(Arc::clone(seams.commit)));
    let lists = DnsLists::new(resolver, clock, config.limits.clone()).watched_by(watch);
    let mut tests: Vec<Arc<dyn Test>> = Vec::new();
    let dnsbl = &config.dnsbl;
    if !dnsbl.zones.is_empty() {
        let test = Dnsbl::new(lists.clone(), dnsbl.zones.clone());
        tests.push(Arc::new(test.except(dnsbl.exceptions.clone())));
    }
    let backscatter = &config.backscatter;
    if !backscatter.zones.is_empty() {
        let test = Backscatter::new(lists.clone(), backscatter.zones.clone());
        tests.push(Arc::new(test.except(backscatter.exceptions.clone())));
    }
    let rhsbl = &config.rhsbl;
    if !rhsbl.zones.is_empty() {
        let test = Rhsbl::new(lists.clone(), rhsbl.zones.clone()).helo(rhsbl.helo);
        tests.push(Arc::new(test.except(rhsbl.exceptions.clone())));
    }
    if !rhsbl.zones.is_empty() && rhsbl.from == AskFrom::Yes {
        let test = RhsblFrom::new(lists.clone(), rhsbl.zones.clone());
        tests.push(Arc::new(test.except(rhsbl.exceptions.clone())));
    }
    let uribl = &config.uribl;
    if !uribl.zones.is_empty() {
        let mut test = Uribl::new(lists, uribl.zones.clone()).except(uribl.exceptions.clone());
        if let Some(most) = uribl.most {
            test = test.at_most(most);
        }
        tests.push(Arc::new(test));
    }
    tests
}

/// Raises an event for each change.
#[derive(Debug)]
struct Teller(Arc<dyn Commit>);

impl ListWatch for Teller {
    fn changed(&self, change: &ZoneChange) {
        let mut fields = vec![
            ("zone", change.zone.clone()),
            ("kind", change.kind.to_string()),
        ];
        let name = match change.fault {
            Some(fault) => {
                fields.push(("fault", fault.to_string()));
                EventName::DnsListOff
            }
            None => EventName::DnsListOn,
        };
        let commit = Arc::clone(&self.0);
        // Mail does not wait for it.
        tokio::spawn(async move { telling::raise(&commit, name, &fields).await });
    }
}
