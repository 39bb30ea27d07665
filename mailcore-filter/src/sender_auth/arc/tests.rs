use std::sync::Arc;

use mailcore::message::Message;
use mailcore::testing::{FixedResolver, VirtualClock};

use super::*;

async fn verify(text: &str) -> ArcReport {
    let dns = Arc::new(FixedResolver::new());
    let verifier = ArcVerifier::new(dns, Arc::new(VirtualClock::new()));
    let text = text.replace('\n', "\r\n");
    verifier.verify(&Message::from_bytes(text)).await
}

fn set(instance: &str, told: &str) -> String {
    format!(
        "ARC-Seal: i={instance}; a=rsa-sha256; cv={told}; d=a.test; s=k; b=AAAA\n\
         ARC-Message-Signature: i={instance}; a=rsa-sha256; d=a.test; s=k; h=from; bh=AAAA; b=AAAA\n\
         ARC-Authentication-Results: i={instance}; mx.a.test; spf=pass; dkim=x\n"
    )
}

/// Chains that break before any key is asked for.
#[tokio::test]
async fn a_chain_of_the_wrong_shape_is_broken() {
    let (first, second) = (set("1", "none"), set("2", "pass"));
    let many = (1..=51).map(|n| set(&n.to_string(), if n == 1 { "none" } else { "pass" }));
    for (fields, problem) in [
        (second.clone(), ArcProblem::Incomplete(1)),
        (first.clone() + &first, ArcProblem::Incomplete(1)),
        (first.clone() + &set("3", "pass"), ArcProblem::Incomplete(2)),
        (
            first.replacen("ARC-Seal", "X-Seal", 1),
            ArcProblem::Incomplete(1),
        ),
        (set("0", "none"), ArcProblem::Instance),
        (set("x", "none"), ArcProblem::Instance),
        (many.collect(), ArcProblem::Instance),
        (set("1", "pass"), ArcProblem::ToldBroken(1)),
        (first.clone() + &set("2", "none"), ArcProblem::ToldBroken(2)),
        (first.clone() + &set("2", "fail"), ArcProblem::ToldBroken(2)),
        (
            first.replacen("cv=", "h=from; cv=", 1),
            ArcProblem::NamesFields(1),
        ),
    ] {
        let report = verify(&format!("{fields}From: x@b.test\n\nHi.\n")).await;
        assert_eq!(
            (report.result, report.problem),
            (ArcResult::Fail, Some(problem)),
            "{fields}"
        );
    }
    let without = verify("From: x@b.test\n\nHi.\n").await;
    assert_eq!((without.result, without.problem), (ArcResult::None, None));
}

#[tokio::test]
async fn who_sealed_and_what_they_said_is_told_of_chains_that_break_later() {
    let chain = set("2", "pass") + &set("1", "none");
    let report = verify(&format!("{chain}From: x@b.test\n\nHi.\n")).await;
    assert_eq!(report.result, ArcResult::Fail);
    let problem = DkimProblem::NoKey;
    assert_eq!(
        report.problem,
        Some(ArcProblem::Message {
            instance: 2,
            problem
        })
    );
    assert_eq!(report.sealers.len(), 2);
    assert_eq!(
        report.said,
        [
            "i=1; mx.a.test; spf=pass; dkim=x",
            "i=2; mx.a.test; spf=pass; dkim=x"
        ]
    );
}
