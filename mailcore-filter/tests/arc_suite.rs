//! The ARC test suites of ValiMail, which are not part of this repository:
//! `just arc SUITE.yml` and `just arc-seal SUITE.yml` turn their YAML into JSON
//! and run this.
#![cfg(feature = "dkim")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use mailcore::message::Message;
use mailcore::testing::{FixedResolver, VirtualClock};
use mailcore::time::Timestamp;
use mailcore_filter::sender_auth::arc::{ArcResult, ArcSealer, ArcVerifier};
use mailcore_filter::sender_auth::dkim::{Algorithm, SigningKey};
use serde_json::Value;

#[tokio::test]
#[ignore = "takes a suite: just arc SUITE.yml"]
async fn every_chain_of_the_suite_comes_to_what_it_says() {
    let path = std::env::var("ARC_SUITE").expect("ARC_SUITE names the suite, as JSON");
    let suite: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (mut cases, mut wrong) = (0, Vec::new());
    for scenario in suite.as_array().unwrap() {
        let dns = FixedResolver::new();
        let records = scenario.get("txt-records").or(scenario.get("txt_records"));
        for (name, txt) in records.unwrap().as_object().unwrap() {
            dns.add_txt(name, txt.as_str().unwrap().trim_end());
        }
        let verifier = ArcVerifier::new(Arc::new(dns), Arc::new(VirtualClock::new()));
        for (name, case) in scenario["tests"].as_object().unwrap() {
            cases += 1;
            let text = case["message"].as_str().unwrap_or_default();
            let message = Message::from_bytes(text.replace('\n', "\r\n"));
            let report = verifier.verify(&message).await;
            let wanted = case["cv"].as_str().unwrap_or_default().trim();
            // Of some the suite says nothing.
            if wanted.is_empty() {
                continue;
            }
            if !report.result.as_str().eq_ignore_ascii_case(wanted) {
                let what = &case["description"];
                wrong.push(format!(
                    "{name} ({what}): {wanted}, came to {:?} {:?}",
                    report.result, report.problem
                ));
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

/// A value without white space, which seals mind as little.
fn bare(text: &str) -> String {
    text.split_whitespace().collect()
}

fn tag<'a>(field: &'a str, name: &str) -> &'a str {
    let tags = field.split(';').filter_map(|it| it.split_once('='));
    let mut found = tags.filter(|(it, _)| it.trim() == name);
    found.next().map_or("", |(_, value)| value.trim())
}

/// What the host before said of the chain.
fn said(text: &str) -> ArcResult {
    match text.split("arc=").nth(1).map(|it| &it[..4]) {
        Some("pass") => ArcResult::Pass,
        Some("fail") => ArcResult::Fail,
        _ => ArcResult::None,
    }
}

/// The signatures are others than the suite's: of another key, and over fields in
/// an order of their own. What they say is the same, and they hold.
#[tokio::test]
#[ignore = "takes a suite: just arc-seal SUITE.yml"]
async fn every_message_of_the_suite_is_sealed_as_it_says_and_the_chain_holds() {
    let path = std::env::var("ARC_SEAL_SUITE").expect("ARC_SEAL_SUITE names the suite, as JSON");
    let suite: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (mut cases, mut wrong) = (0, Vec::new());
    for scenario in suite.as_array().unwrap() {
        let (key, _) = SigningKey::generate(Algorithm::RsaSha256).unwrap();
        let (key, dns) = (Arc::new(key), FixedResolver::new());
        for (name, txt) in scenario["txt-records"].as_object().unwrap() {
            dns.add_txt(name, txt.as_str().unwrap().trim_end());
        }
        let domain = scenario["domain"].as_str().unwrap();
        dns.add_txt(&format!("ours._domainkey.{domain}"), &key.record().unwrap());
        let verifier = ArcVerifier::new(Arc::new(dns), Arc::new(VirtualClock::new()));
        for (name, case) in scenario["tests"].as_object().unwrap() {
            cases += 1;
            let text = case["message"].as_str().unwrap().replace('\n', "\r\n");
            let found = said(&text);
            let named = (domain.parse().unwrap(), "ours".parse().unwrap());
            let host = case["srv-id"].as_str().unwrap().parse().unwrap();
            let sealer = ArcSealer::new(host, named, Arc::clone(&key));
            let message = Message::from_bytes(text.clone());
            let now = Timestamp::from_secs(case["t"].as_i64().unwrap());
            let set = sealer.seal(&message, found, now).await.unwrap();
            let wanted = case["AS"].as_str().unwrap_or_default();
            let Some(set) = set else {
                if !wanted.trim().is_empty() {
                    wrong.push(format!("{name}: no seal"));
                }
                continue;
            };
            let set = String::from_utf8(set).unwrap();
            let (seal, results) = (set.split("\r\nARC-M").next().unwrap(), set.find("ARC-A"));
            let results = set[results.unwrap()..].split_once(':').unwrap().1;
            let (_, seal) = seal.split_once(':').unwrap();
            let same = ["a", "cv", "d", "i", "t"]
                .iter()
                .all(|it| tag(seal, it) == tag(wanted, it));
            if !same || bare(results) != bare(case["AAR"].as_str().unwrap()) {
                wrong.push(format!("{name}: {set}, wanted {wanted}"));
            }
            let sealed = Message::from_bytes(set.clone() + &text);
            let result = verifier.verify(&sealed).await.result;
            let holds = if found == ArcResult::Fail {
                ArcResult::Fail
            } else {
                ArcResult::Pass
            };
            if result != holds {
                wrong.push(format!("{name}: comes to {result}"));
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
