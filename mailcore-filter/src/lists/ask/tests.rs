use mailcore::account::AccountId;
use mailcore::envelope::{Envelope, Recipient};
use mailcore::message::{Message, Summary};
use mailcore::plan::{Disposition, Plan};
use mailcore::seams::{Filter, FilterSession, IncomingMail, Verdict};
use mailcore::testing::{FixedResolver, VirtualClock};

use super::*;
use crate::lists::Rule;
use crate::pipeline::Pipeline;
use crate::testing::SettingsOnly;

/// Says of all mail that it is spam.
#[derive(Debug)]
struct Spam;
/// Says that DKIM of this domain passed.
#[derive(Debug)]
struct Signed(&'static str);

#[async_trait]
impl Test for Spam {
    fn name(&self) -> &'static str {
        "spam"
    }
    fn stage(&self) -> Stage {
        Stage::Rcpt
    }
    fn results(&self) -> &'static [&'static str] {
        &["yes"]
    }
    fn reaction(&self, _: &str) -> Reaction {
        Reaction::score(20.0)
    }
    async fn look(&self, _: &Look<'_>) -> Vec<Said> {
        vec![Said::new("yes", "")]
    }
}

#[async_trait]
impl Test for Signed {
    fn name(&self) -> &'static str {
        "dkim"
    }
    fn stage(&self) -> Stage {
        Stage::Content
    }
    fn class(&self) -> TestClass {
        TestClass::Identity
    }
    fn results(&self) -> &'static [&'static str] {
        &["pass"]
    }
    fn reaction(&self, _: &str) -> Reaction {
        Reaction::none()
    }
    async fn look(&self, _: &Look<'_>) -> Vec<Said> {
        vec![Said::new("pass", self.0)]
    }
}

struct House {
    lists: ScopedLists,
    resolver: Arc<FixedResolver>,
    proof: SenderProof,
    file: &'static str,
    signed: Option<&'static str>,
}

impl House {
    fn new() -> Self {
        Self {
            lists: ScopedLists::new(Arc::new(SettingsOnly::default())),
            resolver: Arc::new(FixedResolver::new()),
            proof: SenderProof::Waived,
            file: "",
            signed: None,
        }
    }

    /// `scope` is `global`, a domain, or an address.
    async fn rule(self, scope: &str, rule: &str) -> Self {
        let rules = [rule.parse::<Rule>().unwrap()];
        let scope = match scope {
            "global" => Scope::Global,
            account if account.contains('@') => Scope::Account(AccountId::new(account)),
            domain => Scope::Domain(Domain::parse(domain).unwrap()),
        };
        self.lists.add(&scope, &rules).await.unwrap();
        self
    }

    fn pipeline(&self) -> Pipeline {
        let clock = Arc::new(VirtualClock::new());
        let test = ListTest::new(
            self.lists.clone(),
            Arc::clone(&self.resolver) as _,
            clock.clone(),
        );
        let test = test.file(RuleSet::parse(self.file).unwrap());
        let mut pipeline = Pipeline::new(clock)
            .test(Arc::new(test.proof(self.proof)))
            .test(Arc::new(Spam));
        if let Some(domain) = self.signed {
            pipeline = pipeline.test(Arc::new(Signed(domain)));
        }
        pipeline
    }

    /// What becomes of mail from 192.0.2.9 to each of these: `stage: why` where
    /// it is refused before.
    async fn mail(&self, sender: &str, recipients: &[&str]) -> Vec<String> {
        let pipeline = self.pipeline();
        let mut session = FilterSession::new(Some("192.0.2.9:25".parse().unwrap()));
        let sender = ReversePath::parse(&format!("<{sender}>")).unwrap();
        let word = |stage: &str, verdict: Verdict| match verdict {
            Verdict::Continue => None,
            Verdict::Reject(_) => Some(format!("{stage} refused")),
            Verdict::Disconnect(_) => Some(format!("{stage} closed")),
            other => panic!("{other:?}"),
        };
        if let Some(no) = word("connect", pipeline.connect(&session).await) {
            return vec![no];
        }
        session.memory = session.memory.for_message();
        if let Some(no) = word("mail", pipeline.mail(&session, &sender).await) {
            return vec![no];
        }
        let mut envelope = Envelope::from_sender(sender.clone());
        let mut became = Vec::new();
        for to in recipients {
            let to: Address = to.parse().unwrap();
            match word("rcpt", pipeline.rcpt(&session, &sender, &to).await) {
                Some(no) => became.push(no),
                None => {
                    envelope.recipients.push(Recipient::new(to));
                    became.push(String::new());
                }
            }
        }
        let octets = b"Subject: x\r\n\r\nx\r\n".as_slice();
        let (message, summary) = (Message::from_bytes(octets), Summary::scan(octets));
        let mail = IncomingMail::new(&envelope, &message, &summary);
        let mut plan = Plan::accept(envelope.recipients.len());
        pipeline.message(&session, &mail, &mut plan).await;
        let mut copies = plan.recipients.iter();
        for word in became.iter_mut().filter(|it| it.is_empty()) {
            *word = match copies.next().unwrap().disposition {
                Disposition::Accept => "let through".into(),
                Disposition::Reject(_) => "spam".into(),
                ref other => panic!("{other:?}"),
            };
        }
        became
    }
}

const ANN: &str = "ann@a.test";
const BOB: &str = "bob@a.test";
const CARL: &str = "carl@c.test";

#[tokio::test]
async fn the_account_decides_before_its_domain_and_that_before_the_house() {
    let house = House::new()
        .rule("global", "deny sender .far.test")
        .await
        .rule("a.test", "allow sender s@far.test")
        .await
        .rule(BOB, "deny sender far.test")
        .await;
    let became = house.mail("s@far.test", &[ANN, BOB, CARL]).await;
    assert_eq!(became, ["let through", "rcpt refused", "rcpt refused"]);
    let became = house.mail("s@other.test", &[ANN]).await;
    assert_eq!(became, ["spam"]);
}

#[tokio::test]
async fn what_is_denied_for_good_stays_denied() {
    let mut house = House::new()
        .rule("global", "deny sender .far.test final")
        .await
        .rule("a.test", "allow sender s@far.test")
        .await;
    assert_eq!(house.mail("s@far.test", &[ANN]).await, ["mail refused"]);
    house = house.rule("a.test", "allow client 192.0.2.9").await;
    house.file = "deny client 192.0.2.0/24";
    assert_eq!(house.mail("s@x.test", &[ANN]).await, ["connect closed"]);
    house.file = "deny client 192.0.2.0/24\nallow client 192.0.2.9";
    assert_eq!(house.mail("s@x.test", &[ANN]).await, ["let through"]);
}

#[tokio::test]
async fn a_client_that_the_house_denies_is_let_in_by_a_domain() {
    let house = House::new()
        .rule("global", "deny client 192.0.2.0/24")
        .await
        .rule("a.test", "allow client 192.0.2.9")
        .await;
    let became = house.mail("s@far.test", &[ANN, CARL]).await;
    assert_eq!(became, ["let through", "rcpt refused"]);
}

#[tokio::test]
async fn clients_are_known_by_names_that_lead_back_and_as_exchangers_of_the_sender() {
    let house = House::new()
        .rule("global", "allow client host:*.good.test")
        .await
        .rule("global", "deny client mx:bad.test final")
        .await;
    let ip = "192.0.2.9".parse().unwrap();
    house.resolver.add_ptr(ip, "mail.good.test");
    assert_eq!(house.mail("s@far.test", &[ANN]).await, ["spam"]);
    house.resolver.add_address("mail.good.test", ip);
    assert_eq!(house.mail("s@far.test", &[ANN]).await, ["let through"]);
    house.resolver.forget("mail.good.test");
    house.resolver.add_mx("bad.test", 10, "mx.bad.test");
    house.resolver.add_address("mx.bad.test", ip);
    assert_eq!(house.mail("s@bad.test", &[ANN]).await, ["mail closed"]);
}

#[tokio::test]
async fn a_sender_that_is_let_through_is_proven_first() {
    let mut house = House::new().rule(ANN, "allow sender s@sub.far.test").await;
    house.proof = SenderProof::Required;
    let mail = ["s@sub.far.test"];
    for (signed, want) in [
        (None, "spam"),
        (Some("other.test"), "spam"),
        (Some("ub.far.test"), "spam"),
        (Some("test"), "spam"),
        (Some("sub.far.test"), "let through"),
        (Some("far.test"), "let through"),
    ] {
        house.signed = signed;
        assert_eq!(
            house.mail(mail[0], &[ANN, BOB]).await,
            [want, "spam"],
            "{signed:?}"
        );
    }
}
