//! The ARC test suite of ValiMail, which is not part of this repository:
//! `just arc SUITE.yml` turns its YAML into JSON and runs this.
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
use mailcore_filter::sender_auth::arc::ArcVerifier;
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
