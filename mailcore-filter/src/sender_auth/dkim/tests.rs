use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::message::Message;
use mailcore::seams::{DnsError, Resolver};
use mailcore::testing::{FixedResolver, VirtualClock};
use mailcore::time::Timestamp;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

const MAIL: &str = "From: Ann <ann@a.test>\r\nTo: bob@b.test\r\nSubject: Is dinner\r\n ready?\r\n\
                    X-Odd : 1\r\n\r\nHi.\r\n\r\nWe  lost. \r\n\r\n";

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

async fn signed(text: &str, algorithm: Algorithm, dns: &FixedResolver) -> String {
    let (key, pem) = SigningKey::generate(algorithm).unwrap();
    assert_eq!(SigningKey::from_pem(&pem).unwrap().record(), key.record());
    dns.forget("k._domainkey.a.test");
    dns.add_txt("k._domainkey.a.test", &key.record().unwrap());
    let signer = DkimSigner::new(domain("a.test"), domain("k"), key);
    let message = Message::from_bytes(text.to_owned());
    let field = signer.sign(&message, NOW).await.unwrap();
    String::from_utf8(field).unwrap() + text
}

async fn verify(text: &str, dns: &Arc<FixedResolver>) -> Vec<DkimVerdict> {
    let clock = Arc::new(VirtualClock::at(NOW));
    let resolver: Arc<dyn Resolver> = dns.clone();
    let verifier = DkimVerifier::new(resolver, clock);
    verifier.verify(&Message::from_bytes(text.to_owned())).await
}

fn problems(verdicts: &[DkimVerdict]) -> Vec<Option<DkimProblem>> {
    verdicts.iter().map(|it| it.problem.clone()).collect()
}

#[tokio::test]
async fn what_is_signed_here_passes_and_no_change_that_counts_does() {
    let dns = Arc::new(FixedResolver::new());
    for algorithm in [Algorithm::RsaSha256, Algorithm::Ed25519Sha256] {
        let text = signed(MAIL, algorithm, &dns).await;
        assert!(text.split("\r\n").all(|line| line.len() <= 78), "{text}");
        let verdicts = verify(&text, &dns).await;
        assert_eq!(problems(&verdicts), [None], "{text}");
        assert_eq!(verdicts[0].passed(), Some(&domain("a.test")));
        // White space may change, and fields may be put before.
        for (from, to) in [
            ("We  lost. \r\n", "We lost.\r\n"),
            ("\r\n\r\nHi.", "\r\n\r\nHi. "),
            ("Is dinner\r\n ready?", "Is \t dinner ready?  "),
            ("DKIM-Signature", "Received: from x\r\nDKIM-Signature"),
            ("lost. \r\n\r\n", "lost. \r\n\r\n\r\n\r\n"),
        ] {
            assert!(text.contains(from), "{from:?}");
            let changed = text.replacen(from, to, 1);
            assert_eq!(problems(&verify(&changed, &dns).await), [None], "{changed}");
        }
        for (from, to, problem) in [
            ("Hi.", "Ho.", DkimProblem::BodyHash),
            ("We  lost", "Welost", DkimProblem::BodyHash),
            ("Ann", "Eve", DkimProblem::Signature),
            ("dinner", "supper", DkimProblem::Signature),
            // Oversigned: none can be added.
            ("To: ", "From: eve@e.test\r\nTo: ", DkimProblem::Signature),
            ("To: ", "Cc: eve@e.test\r\nTo: ", DkimProblem::Signature),
            (
                "X-Odd",
                "Content-Type: text/html\r\nX-Odd",
                DkimProblem::Signature,
            ),
        ] {
            let changed = text.replacen(from, to, 1);
            let verdicts = verify(&changed, &dns).await;
            assert_eq!(problems(&verdicts), [Some(problem)], "{changed}");
            assert_eq!(verdicts[0].result, DkimResult::Fail);
        }
    }
}

#[tokio::test]
async fn keys_that_are_gone_wrong_or_out_of_reach_are_told_apart() {
    let dns = Arc::new(FixedResolver::new());
    let text = signed(MAIL, Algorithm::Ed25519Sha256, &dns).await;
    let name = "k._domainkey.a.test";
    let other = SigningKey::generate(Algorithm::RsaSha256)
        .unwrap()
        .0
        .record()
        .unwrap();
    for (record, problem) in [
        ("v=DKIM1; p=", DkimProblem::Revoked),
        ("v=DKIM2; p=AAAA", DkimProblem::NoKey),
        ("k=ed25519; s=tlsrpt; p=AAAA", DkimProblem::NoKey),
        ("k=ed25519; p=AAAA", DkimProblem::Signature),
        (
            "k=other; p=AAAA",
            DkimProblem::UnknownAlgorithm("other".into()),
        ),
        ("k=ed25519; h=sha1; p=AAAA", DkimProblem::KeyMismatch),
        (&other, DkimProblem::KeyMismatch),
        (
            "nonsense",
            DkimProblem::KeySyntax(SyntaxError::NoTag("nonsense".into())),
        ),
    ] {
        dns.forget(name);
        dns.add_txt(name, record);
        assert_eq!(
            problems(&verify(&text, &dns).await),
            [Some(problem)],
            "{record}"
        );
    }
    dns.forget(name);
    assert_eq!(
        problems(&verify(&text, &dns).await),
        [Some(DkimProblem::NoKey)]
    );
    dns.fail(name, DnsError::Temporary("no answer".into()));
    let verdicts = verify(&text, &dns).await;
    assert_eq!(verdicts[0].result, DkimResult::TempError);
}

#[tokio::test]
async fn signatures_that_prove_too_little_do_not_pass() {
    let dns = Arc::new(FixedResolver::new());
    let text = signed(MAIL, Algorithm::Ed25519Sha256, &dns).await;
    for (from, to, problem) in [
        ("v=1", "v=2", DkimProblem::BadTag("v")),
        ("ed25519-sha256", "rsa-sha1", DkimProblem::Sha1),
        (
            "a=ed25519",
            "a=dsa",
            DkimProblem::UnknownAlgorithm("dsa-sha256".into()),
        ),
        ("h=From:From", "h=Date", DkimProblem::FromNotSigned),
        ("d=a.test; ", "", DkimProblem::MissingTag("d")),
        (
            "d=a.test; ",
            "d=a.test; d=b.test; ",
            DkimProblem::Syntax(SyntaxError::Twice("d".into())),
        ),
        (
            "d=a.test; ",
            "d=a.test; i=x@b.test; ",
            DkimProblem::BadTag("i"),
        ),
        ("d=a.test; ", "d=a.test; l=99999; ", DkimProblem::BodyHash),
        ("d=a.test; ", "d=a.test; q=http; ", DkimProblem::BadTag("q")),
        (
            "c=relaxed/relaxed",
            "c=relaxed/odd",
            DkimProblem::BadTag("c"),
        ),
    ] {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1);
        assert_eq!(
            problems(&verify(&changed, &dns).await),
            [Some(problem)],
            "{changed}"
        );
    }
    let clock = Arc::new(VirtualClock::at(
        NOW.after(std::time::Duration::from_secs(15 * 86_400)),
    ));
    let verifier = DkimVerifier::new(dns.clone(), clock);
    let late = verifier.verify(&Message::from_bytes(text.clone())).await;
    assert_eq!(problems(&late), [Some(DkimProblem::Expired)]);
    let many = "DKIM-Signature: v=1\r\n".repeat(100) + &text;
    let verdicts = verify(&many, &dns).await;
    assert_eq!(verdicts.len(), 11);
    assert_eq!(verdicts[10].problem, Some(DkimProblem::ManySignatures));
    let large = format!("X: {}\r\n{text}", "x".repeat(2 << 20));
    assert_eq!(
        problems(&verify(&large, &dns).await),
        [Some(DkimProblem::LargeHeader)]
    );
    let crowded = "A:\r\n".repeat(5_000) + &text;
    assert_eq!(
        problems(&verify(&crowded, &dns).await),
        [Some(DkimProblem::LargeHeader)]
    );
    assert!(verify(MAIL, &dns).await.is_empty());
}

/// RFC 8463 appendix A.3, with the keys of A.2.
#[tokio::test]
async fn the_example_of_the_rfc_passes_twice() {
    let dns = Arc::new(FixedResolver::new());
    dns.add_txt(
        "brisbane._domainkey.football.example.com",
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    );
    dns.add_txt(
        "test._domainkey.football.example.com",
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6\
         wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9P\
         zoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
    );
    let text = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\n \
         d=football.example.com; i=@football.example.com;\n \
         q=dns/txt; s=brisbane; t=1528637909; h=from : to :\n \
         subject : date : message-id : from : subject : date;\n \
         bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n \
         b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\n \
         Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\n\
         DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\n \
         d=football.example.com; i=@football.example.com;\n \
         q=dns/txt; s=test; t=1528637909; h=from : to : subject :\n \
         date : message-id : from : subject : date;\n \
         bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n \
         b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\n \
         DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\n \
         dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\n\
         From: Joe SixPack <joe@football.example.com>\n\
         To: Suzie Q <suzie@shopping.example.net>\n\
         Subject: Is dinner ready?\n\
         Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\n\
         Message-ID: <20030712040037.46341.5F8J@football.example.com>\n\
         \n\
         Hi.\n\
         \n\
         We lost the game.  Are you hungry yet?\n\
         \n\
         Joe.\n";
    let verdicts = verify(&text.replace('\n', "\r\n"), &dns).await;
    assert_eq!(problems(&verdicts), [None, None]);
}
