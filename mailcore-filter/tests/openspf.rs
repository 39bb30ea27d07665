//! The openspf.org test suite, which is not part of this repository:
//! `just openspf SUITE.yml` turns its YAML into JSON and runs this.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::seams::{DnsError, DnssecStatus, Lookup, Mx, Resolver, Tlsa};
use mailcore::testing::VirtualClock;
use mailcore_filter::sender_auth::spf::{Spf, SpfQuery};
use serde_json::Value;

/// The suite's zones: what each name has, by type.
#[derive(Debug, Default)]
struct Zone(HashMap<String, Vec<(String, Value)>>);

impl Zone {
    fn of(zone: &Value) -> Self {
        let mut names = HashMap::new();
        for (name, records) in zone.as_object().unwrap() {
            let mut found: Vec<(String, Value)> = Vec::new();
            for record in records.as_array().unwrap() {
                match record {
                    Value::String(timeout) => found.push((timeout.clone(), Value::Null)),
                    record => found.extend(record.as_object().unwrap().clone()),
                }
            }
            // A suite for TXT reads the records of type SPF as such, unless
            // it says what TXT has.
            if !found.iter().any(|(kind, _)| kind == "TXT") {
                let spf = found.iter().filter(|(kind, _)| kind == "SPF");
                let spf: Vec<_> = spf.map(|it| ("TXT".to_owned(), it.1.clone())).collect();
                found.extend(spf);
            }
            names.insert(name.trim_end_matches('.').to_lowercase(), found);
        }
        Self(names)
    }

    fn find<T>(
        &self,
        name: &str,
        kinds: &[&str],
        read: impl Fn(&Value) -> T,
    ) -> Result<Lookup<T>, DnsError> {
        let none = DnsError::NotFound {
            dnssec: DnssecStatus::Insecure,
        };
        let records = self.0.get(&name.to_lowercase()).ok_or(none.clone())?;
        if let Some((_, to)) = records.iter().find(|(kind, _)| kind == "CNAME") {
            return self.find(to.as_str().unwrap(), kinds, read);
        }
        let of_kind = records
            .iter()
            .filter(|(kind, value)| kinds.contains(&kind.as_str()) && value != "NONE");
        let records: Vec<T> = of_kind.map(|(_, value)| read(value)).collect();
        if !records.is_empty() {
            return Ok(Lookup {
                records,
                dnssec: DnssecStatus::Insecure,
                ttl: Duration::from_secs(1),
                alias: None,
            });
        }
        let all = self.0.get(&name.to_lowercase()).into_iter().flatten();
        let mut timeouts = all.filter(|(kind, _)| kind == "TIMEOUT");
        match timeouts.next() {
            Some(_) => Err(DnsError::Temporary("time-out".into())),
            None => Err(none),
        }
    }
}

/// Octets as the suite writes them: a character each.
fn octets(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap()).collect()
}

#[async_trait]
impl Resolver for Zone {
    async fn mx(&self, domain: &Domain) -> Result<Lookup<Mx>, DnsError> {
        self.find(domain.as_str(), &["MX"], |value| Mx {
            preference: u16::try_from(value[0].as_u64().unwrap()).unwrap(),
            host: Domain::for_lookup(value[1].as_str().unwrap()).ok(),
        })
    }

    async fn addresses(&self, host: &Domain) -> Result<Lookup<IpAddr>, DnsError> {
        self.find(host.as_str(), &["A", "AAAA"], |value| {
            value.as_str().unwrap().parse().unwrap()
        })
    }

    async fn txt(&self, name: &Domain) -> Result<Lookup<Vec<u8>>, DnsError> {
        self.find(name.as_str(), &["TXT"], |value| match value {
            Value::Array(strings) => {
                let strings = strings.iter().map(|it| octets(it.as_str().unwrap()));
                strings.flatten().collect()
            }
            value => octets(value.as_str().unwrap()),
        })
    }

    async fn ptr(&self, ip: IpAddr) -> Result<Lookup<Domain>, DnsError> {
        let name = match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            IpAddr::V6(ip) => {
                let digits = format!("{:032x}", ip.to_bits());
                let digits: Vec<String> = digits.chars().rev().map(String::from).collect();
                format!("{}.ip6.arpa", digits.join("."))
            }
        };
        let names = self.find(&name, &["PTR"], |value| {
            Domain::parse(value.as_str().unwrap()).ok()
        })?;
        Ok(Lookup {
            records: names.records.into_iter().flatten().collect(),
            dnssec: names.dnssec,
            ttl: names.ttl,
            alias: None,
        })
    }

    async fn tlsa(&self, _: &Domain) -> Result<Lookup<Tlsa>, DnsError> {
        Err(DnsError::Temporary("not asked".into()))
    }
}

/// Whether an outcome is one of those the suite allows.
fn is_allowed(allowed: &Value, got: &str) -> bool {
    match allowed {
        Value::Array(several) => several.iter().any(|it| it == got),
        one => one == got,
    }
}

#[tokio::test]
#[ignore = "takes a suite: just openspf SUITE.yml"]
async fn every_case_of_the_suite_comes_to_what_it_says() {
    let path = std::env::var("OPENSPF").expect("OPENSPF names the suite, as JSON");
    let suite: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (mut cases, mut wrong) = (0, Vec::new());
    for scenario in suite.as_array().unwrap() {
        let zone = Arc::new(Zone::of(&scenario["zonedata"]));
        let clock = Arc::new(VirtualClock::new());
        let receiver = Domain::parse("receiver.example.com").unwrap();
        let spf = Spf::new(zone, clock, receiver);
        for (name, case) in scenario["tests"].as_object().unwrap() {
            cases += 1;
            let text = |key: &str| case[key].as_str().unwrap();
            let (ip, helo, from) = (text("host"), text("helo"), text("mailfrom"));
            let (local, domain) = match from.rsplit_once('@') {
                Some(parts) => parts,
                None => ("", helo),
            };
            let query = SpfQuery::of(ip.parse().unwrap(), helo, (local, domain));
            let report = spf.check(&query).await;
            let result_fits = is_allowed(&case["result"], report.result.as_str());
            let words_fit = match &case["explanation"] {
                Value::Null => true,
                words if words == "DEFAULT" => report.explanation.is_none(),
                // The digits of an IPv6 address are written in either case.
                words => {
                    let (got, words) = (report.explanation.as_deref(), words.as_str());
                    got.zip(words)
                        .is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
                }
            };
            if !result_fits || !words_fit {
                wrong.push(format!("{name}: {case:#} came to {report:#?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    println!("{cases} cases");
}
