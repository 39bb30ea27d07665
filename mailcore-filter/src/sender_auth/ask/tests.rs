use std::sync::Arc;

use mailcore::account::{AccountId, Identity};
use mailcore::address::{Address, Domain, ReversePath};
use mailcore::envelope::Envelope;
use mailcore::intake::SessionKind;
use mailcore::message::{HeaderWriter, Message, Summary};
use mailcore::plan::{Disposition, Edit, Plan};
use mailcore::seams::{DnsError, Filter, FilterSession, IncomingMail, Resolver};
use mailcore::testing::{FixedResolver, VirtualClock};
use mailcore::time::Timestamp;

use super::*;
use crate::pipeline::Pipeline;
use crate::sender_auth::bimi::BimiTest;
use crate::sender_auth::dkim::{Algorithm, DkimSigner, SigningKey};
use crate::sender_auth::outcome::SenderAuthentication;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

/// A receiver, its DNS, and what it writes.
struct Receiver {
    dns: Arc<FixedResolver>,
    pipeline: Pipeline,
    fields: AuthenticationFields,
}

impl Receiver {
    fn new() -> Self {
        let dns = Arc::new(FixedResolver::new());
        let clock = Arc::new(VirtualClock::at(NOW));
        let resolver: Arc<dyn Resolver> = dns.clone();
        let seams = || (Arc::clone(&resolver), clock.clone());
        let here = domain("mx.here.test");
        let (spf, dkim, arc, dmarc, bimi) = (seams(), seams(), seams(), seams(), seams());
        // In the wrong order: each says itself what it is after.
        let pipeline = Pipeline::new(clock.clone())
            .test(Arc::new(BimiTest::new(bimi.0, bimi.1)))
            .test(Arc::new(DmarcTest::new(dmarc.0, dmarc.1)))
            .test(Arc::new(ArcTest::new(arc.0, arc.1)))
            .test(Arc::new(DkimTest::new(dkim.0, dkim.1)))
            .test(Arc::new(SpfTest::new(spf.0, spf.1, here.clone())));
        Self {
            dns,
            pipeline,
            fields: AuthenticationFields::new(here),
        }
    }

    async fn receive(&self, from: &str, text: &str) -> Received {
        let session = stranger();
        let reverse_path = match from {
            "" => ReversePath::Null,
            from => ReversePath::Address(from.parse().unwrap()),
        };
        self.pipeline.connect(&session).await;
        self.pipeline.helo(&session).await;
        self.pipeline.mail(&session, &reverse_path).await;
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let (disposition, edits) = self.message(&session, reverse_path, &text).await;
        Received {
            disposition,
            edits,
            known: SenderAuthentication::of(&session.memory),
        }
    }

    async fn message(
        &self,
        session: &FilterSession,
        reverse_path: ReversePath,
        text: &str,
    ) -> (Disposition, Vec<Edit>) {
        let recipient: Address = "ann@here.test".parse().unwrap();
        let envelope = Envelope::new(reverse_path, [recipient]);
        let message = Message::from_bytes(text.to_owned());
        let summary = Summary::scan(text.as_bytes());
        let mail = IncomingMail::new(&envelope, &message, &summary);
        let mut plan = Plan::accept(1);
        self.pipeline.message(session, &mail, &mut plan).await;
        self.fields.message(session, &mail, &mut plan).await;
        let copy = plan.recipients.remove(0);
        (copy.disposition, copy.edits)
    }

    /// The text with a signature of `a.test`, whose key is published.
    async fn sign(&self, text: &str) -> String {
        let (key, _) = SigningKey::generate(Algorithm::Ed25519Sha256).unwrap();
        self.dns.forget("k._domainkey.a.test");
        self.dns
            .add_txt("k._domainkey.a.test", &key.record().unwrap());
        let signer = DkimSigner::new(domain("a.test"), domain("k"), key);
        let text = text.replace('\n', "\r\n");
        let message = Message::from_bytes(text.clone());
        let field = signer.sign(&message, NOW).await.unwrap();
        String::from_utf8(field).unwrap() + &text
    }
}

struct Received {
    disposition: Disposition,
    edits: Vec<Edit>,
    known: SenderAuthentication,
}

impl Received {
    fn field(&self, wanted: &str) -> Option<&str> {
        self.edits.iter().find_map(|edit| match edit {
            Edit::AddHeader { name, value } if name == wanted => Some(value.as_str()),
            _ => None,
        })
    }

    fn results(&self) -> &str {
        self.field("Authentication-Results").unwrap_or_default()
    }

    fn reply(&self) -> String {
        match &self.disposition {
            Disposition::Reject(status) | Disposition::Defer(status) => status.to_string(),
            other => format!("{other:?}"),
        }
    }
}

fn stranger() -> FilterSession {
    let mut session = FilterSession::new(Some("192.0.2.9:25".parse().unwrap()));
    session.helo = Some("out.a.test".into());
    session
}

const MAIL: &str = "From: Ann <ann@a.test>\nTo: bob@here.test\nSubject: x\nDate: x\n\nHi.\n";

#[tokio::test]
async fn mail_of_its_domain_says_so_on_top_of_itself() {
    let here = Receiver::new();
    here.dns
        .add_txt("a.test", "v=spf1 ip4:192.0.2.0/24 -all")
        .add_txt("_dmarc.a.test", "v=DMARC1; p=reject; pct=0")
        .add_txt(
            "default._bimi.a.test",
            "v=BIMI1; l=https://a.test/l.svg; a=",
        );
    let text = here.sign(MAIL).await;
    let received = here.receive("ann@a.test", &text).await;
    assert_eq!(received.disposition, Disposition::Accept);
    let results = received.results();
    let (before, rest) = results.split_once("header.b=").unwrap();
    assert_eq!(
        before,
        "mx.here.test; spf=pass smtp.mailfrom=ann@a.test; dkim=pass header.d=a.test header.s=k \
         header.a=ed25519-sha256 "
    );
    let (_, after) = rest.split_once(';').unwrap();
    assert_eq!(
        after,
        " dmarc=pass header.from=a.test policy.dmarc=reject; arc=none; \
         bimi=pass header.d=a.test header.selector=default"
    );
    assert_eq!(
        received.field("BIMI-Location"),
        Some("v=BIMI1; l=https://a.test/l.svg")
    );
    let known = received.known;
    assert_eq!(known.dkim.unwrap().verdicts.len(), 1);
    assert_eq!(known.spf.unwrap().client, stranger().peer.unwrap().ip());
}

#[tokio::test]
async fn forged_mail_is_handled_as_its_domain_asks() {
    let here = Receiver::new();
    here.dns
        .add_txt("a.test", "v=spf1 -all")
        .add_txt("mine.test", "v=spf1 ip4:192.0.2.9 -all");
    for (record, reply, results) in [
        (
            "v=DMARC1; p=reject",
            "5.7.1 Email rejected per DMARC policy for a.test",
            "dmarc=fail header.from=a.test policy.dmarc=reject;",
        ),
        (
            "v=DMARC1; p=reject; t=y",
            "Quarantine",
            "dmarc=fail header.from=a.test policy.dmarc=reject;",
        ),
        ("v=DMARC1; p=quarantine", "Quarantine", "dmarc=fail"),
        ("v=DMARC1; p=none", "Accept", "dmarc=fail"),
        ("v=DMARC1; p=some", "Accept", "dmarc=permerror"),
    ] {
        here.dns.forget("_dmarc.a.test");
        here.dns.add_txt("_dmarc.a.test", record);
        let received = here.receive("x@mine.test", MAIL).await;
        assert!(
            received.reply().starts_with(reply),
            "{record}: {}",
            received.reply()
        );
        assert!(
            received.results().contains(results),
            "{}",
            received.results()
        );
        assert!(
            received
                .results()
                .contains("; spf=pass smtp.mailfrom=x@mine.test; dkim=none;")
        );
    }
    // A domain that asks for nothing has SPF alone, which scores.
    here.dns.forget("_dmarc.a.test");
    let received = here.receive("ann@a.test", MAIL).await;
    assert_eq!(received.disposition, Disposition::Accept);
    assert_eq!(
        received.field("X-Spam-Status"),
        Some("No, score=3.0 required=5.0 tests=spf.fail=3.0")
    );
}

#[tokio::test]
async fn a_signature_of_the_beginning_alone_is_none_for_dmarc() {
    let here = Receiver::new();
    here.dns.add_txt("_dmarc.a.test", "v=DMARC1; p=reject");
    let text = here.sign(MAIL).await;
    let whole = here.receive("", &text).await;
    assert_eq!(whole.disposition, Disposition::Accept);
    let longer = here.receive("", &(text + "More.\n")).await;
    assert!(longer.reply().starts_with("5.7.1 "));
    assert!(
        longer
            .results()
            .contains("dkim=fail reason=\"the body was changed\"")
    );
}

#[tokio::test]
async fn several_authors_have_the_strictest_of_their_policies() {
    let here = Receiver::new();
    here.dns
        .add_txt("_dmarc.a.test", "v=DMARC1; p=reject")
        .add_txt("mine.test", "v=spf1 ip4:192.0.2.9 -all");
    let text = MAIL.replace("Ann <ann@a.test>", "x@mine.test, Ann <ann@a.test>");
    let received = here.receive("x@mine.test", &text).await;
    assert_eq!(
        received.reply(),
        "5.7.1 Email rejected per DMARC policy for a.test"
    );
    assert!(received.results().contains(
        "dmarc=permerror reason=\"2 domains in From\" header.from=a.test policy.dmarc=reject"
    ));
}

#[tokio::test]
async fn nothing_is_held_against_mail_while_dns_is_out() {
    let here = Receiver::new();
    here.dns.add_txt("_dmarc.a.test", "v=DMARC1; p=reject");
    let text = here.sign(MAIL).await;
    for name in ["a.test", "k._domainkey.a.test"] {
        here.dns.fail(name, DnsError::Temporary("out".into()));
    }
    let out = here.receive("ann@a.test", &text).await;
    assert_eq!(out.disposition, Disposition::Accept);
    assert!(out.results().contains("spf=temperror"), "{}", out.results());
    assert!(
        out.results().contains("dmarc=temperror"),
        "{}",
        out.results()
    );
    here.dns
        .fail("_dmarc.a.test", DnsError::Temporary("out".into()));
    let all_out = here.receive("ann@a.test", &text).await;
    assert_eq!(all_out.disposition, Disposition::Accept);
    assert_eq!(all_out.field("X-Spam-Status"), None);
    // A signature that nobody can look for is no way out of the policy of others.
    here.dns.heal("_dmarc.a.test");
    here.dns.heal("a.test");
    here.dns.heal("k._domainkey.a.test");
    here.dns.fail(
        "k._domainkey.evil.test",
        DnsError::Temporary("never".into()),
    );
    let forged = text.replace("d=a.test", "d=evil.test");
    let forged = here.receive("x@evil.test", &forged).await;
    assert!(forged.reply().starts_with("5.7.1 "), "{}", forged.results());
}

#[tokio::test]
async fn hostile_mail_ends_in_a_verdict_and_one_field() {
    let here = Receiver::new();
    here.dns.add_txt("_dmarc.a.test", "v=DMARC1; p=quarantine");
    let text = here.sign(MAIL).await;
    let many = text.replacen("DKIM-Signature", "X-Kept", 1);
    let signatures = "DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=\"; dmarc=pass\n".repeat(100);
    let many = here.receive("", &(signatures + &many)).await;
    assert!(matches!(many.disposition, Disposition::Quarantine { .. }));
    assert_eq!(many.known.dkim.as_ref().unwrap().verdicts.len(), 11);
    let mut writer = HeaderWriter::new();
    writer.text("Authentication-Results", many.results());
    let octets = writer.finish();
    assert!(octets.len() < 4_096, "{}", octets.len());
    assert!(
        octets
            .split(|it| *it == b'\n')
            .all(|line| line.len() <= 200)
    );
    let large = format!("X: {}\n{MAIL}", "x".repeat(2 << 20));
    let large = here.receive("", &large).await;
    assert!(matches!(large.disposition, Disposition::Quarantine { .. }));
    let nobody = here.receive("", "Subject: x\n\nHi.\n").await;
    assert!(
        nobody
            .results()
            .contains("dmarc=permerror reason=\"0 domains in From\"")
    );
}

#[tokio::test]
async fn null_senders_are_checked_by_the_name_they_gave() {
    let mut here = Receiver::new();
    here.fields = here.fields.received_spf(ReceivedSpf::Written);
    here.dns.add_txt("out.a.test", "v=spf1 ip4:192.0.2.9 -all");
    let received = here.receive("", MAIL).await;
    let results = received.results();
    assert!(
        results.contains("; spf=pass smtp.helo=out.a.test;"),
        "{results}"
    );
    assert_eq!(
        received.field("Received-SPF").unwrap(),
        "pass (mx.here.test: domain of out.a.test designates 192.0.2.9 as permitted sender) \
         identity=helo; client-ip=192.0.2.9; helo=out.a.test; receiver=mx.here.test; \
         mechanism=\"ip4:192.0.2.9/32\""
    );
    let sender = here.receive("\"a b\"@none.test", MAIL).await;
    assert_eq!(
        sender.field("Received-SPF").unwrap(),
        "none (mx.here.test: domain of \"a b\"@none.test does not say whether it designates \
         192.0.2.9 as permitted sender) identity=mailfrom; client-ip=192.0.2.9; helo=out.a.test; \
         envelope-from=\"\\\"a b\\\"@none.test\"; receiver=mx.here.test; mechanism=default"
    );
}

#[tokio::test]
async fn mail_of_users_says_who_logged_in_only_where_that_is_wanted() {
    let mut here = Receiver::new();
    let mut session = stranger().through(SessionKind::Submission);
    session.identity = Some(Identity {
        account: AccountId::new("ann"),
        login: "ann".into(),
    });
    let (_, edits) = here.message(&session, ReversePath::Null, MAIL).await;
    assert!(edits.is_empty());
    here.fields = here.fields.logins(Logins::Written);
    let (_, edits) = here.message(&session, ReversePath::Null, MAIL).await;
    assert_eq!(
        edits,
        [Edit::AddHeader {
            name: "Authentication-Results".into(),
            value: "mx.here.test; auth=pass smtp.auth=ann".into()
        }]
    );
}

#[tokio::test]
async fn mail_whose_signatures_were_not_looked_at_has_not_failed() {
    let mut here = Receiver::new();
    let clock = Arc::new(VirtualClock::at(NOW));
    let resolver: Arc<dyn Resolver> = here.dns.clone();
    let dmarc = DmarcTest::new(resolver, clock.clone());
    here.pipeline = Pipeline::new(clock).test(Arc::new(dmarc));
    here.dns.add_txt("_dmarc.a.test", "v=DMARC1; p=reject");
    let received = here.receive("ann@a.test", MAIL).await;
    assert_eq!(received.disposition, Disposition::Accept);
    assert!(received.results().contains("dmarc=temperror"));
}
