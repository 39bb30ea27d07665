use std::net::IpAddr;
use std::sync::Mutex;

use mailcore::envelope::{Envelope, Recipient};
use mailcore::message::{Message, Summary};
use mailcore::plan::{Action as Planned, Disposition, Edit};
use mailcore::testing::{FixedResolver, VirtualClock};

use super::*;
use crate::engine::Compiler;

const MAIL: &[u8] = b"From: a@example.org\r\nSubject: one\r\nX-Old: 1\r\n\r\nbody\r\n";

#[derive(Debug, Default)]
struct Strict(Mutex<Vec<String>>);

#[async_trait]
impl Greylisting for Strict {
    async fn must_wait(&self, _: &FilterSession, from: &ReversePath, to: &Address) -> bool {
        self.0.lock().unwrap().push(format!("{from} {to}"));
        to.local_part() != "known"
    }
}

fn compiled(event: Event, text: &str) -> Arc<Program> {
    let compiler = Compiler::new().event(event);
    Arc::new(compiler.compile("site", text.as_bytes()).unwrap())
}

fn filter(scripts: &[(Event, &str)]) -> (SieveFilter, Arc<FixedResolver>) {
    let resolver = Arc::new(FixedResolver::new());
    let scripts = scripts
        .iter()
        .fold(EventScripts::new(), |all, (event, text)| {
            all.and(*event, compiled(*event, text))
        });
    let seams = SieveFilterSeams {
        resolver: Arc::clone(&resolver) as _,
        clock: Arc::new(VirtualClock::new()),
        hostname: "mx.example.com".parse().unwrap(),
    };
    let filter = SieveFilter::new(scripts, seams).greylisting(Arc::new(Strict::default()));
    (filter, resolver)
}

fn session() -> FilterSession {
    let ip: IpAddr = "192.0.2.7".parse().unwrap();
    let mut session = FilterSession::new(Some((ip, 4_000).into()));
    session.helo = Some("spam.example.net".into());
    session
}

fn said(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Continue => "continue".into(),
        Verdict::Accept => "accept".into(),
        Verdict::Defer(status) => format!("defer {status}"),
        Verdict::Reject(status) => format!("reject {status}"),
        Verdict::Disconnect(status) => format!("disconnect {status}"),
        other => format!("{other:?}"),
    }
}

async fn judged(filter: &SieveFilter, recipients: &[&str]) -> Plan {
    let mut envelope = Envelope::from_sender(ReversePath::parse("<a@example.org>").unwrap());
    for recipient in recipients {
        envelope
            .recipients
            .push(Recipient::new(recipient.parse().unwrap()));
    }
    let (message, summary) = (Message::from_bytes(MAIL), Summary::scan(MAIL));
    let mut plan = Plan::accept(recipients.len());
    let mail = IncomingMail::new(&envelope, &message, &summary);
    filter.message(&session(), &mail, &mut plan).await;
    plan
}

#[tokio::test]
async fn networks_names_and_recipients_are_refused_where_they_come() {
    let (filter, dns) = filter(&[
        (
            Event::Connect,
            "require \"vnd.mailcore.ip\";
             if ip :cidr [\"198.51.100.0/24\", \"192.0.2.*\"] { stop; }",
        ),
        (
            Event::Helo,
            "require [\"vnd.mailcore.session\", \"vnd.mailcore.lookup\"];
             if lookup \"helo\" \"resolvestoclient\" { accept; }
             disconnect \"say who you are\";",
        ),
        (
            Event::Rcpt,
            "require [\"vnd.mailcore.session\", \"envelope\"];
             if envelope :is \"to\" \"trap@example.com\" { error \"no\nsuch user\"; }
             if envelope :localpart :is \"to\" \"late\" { defer \"later\"; }",
        ),
    ]);
    let session = session();
    assert_eq!(filter.connect(&session).await, Verdict::Continue);
    let verdict = filter.helo(&session).await;
    assert_eq!(said(&verdict), "disconnect 5.7.1 say who you are");
    dns.add_address("spam.example.net", "192.0.2.7".parse().unwrap());
    assert_eq!(filter.helo(&session).await, Verdict::Accept);
    let from = ReversePath::Null;
    for (to, wanted) in [
        ("user@example.com", "continue"),
        ("trap@example.com", "reject 5.7.1 no such user"),
        ("late@example.com", "defer 4.7.1 later"),
    ] {
        let verdict = filter.rcpt(&session, &from, &to.parse().unwrap()).await;
        assert_eq!(said(&verdict), wanted);
    }
    let findings = session.memory.findings();
    let lines: Vec<String> = findings
        .iter()
        .map(|it| format!("{} {} {} {}", it.stage, it.input, it.result, it.detail))
        .collect();
    assert!(
        lines.contains(&"helo site disconnect say who you are".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"rcpt site defer later".to_owned()),
        "{lines:?}"
    );
}

#[tokio::test]
async fn greylisting_waits_for_a_recipient() {
    let greylist = "require [\"vnd.mailcore.greylist\", \"vnd.mailcore.ip\"];
        if not ip :cidr \"10.0.0.0/24\" { greylist; }";
    for event in [Event::Connect, Event::Mail, Event::Rcpt] {
        let (filter, _) = filter(&[(event, greylist)]);
        let mut session = session();
        let from = ReversePath::parse("<a@example.org>").unwrap();
        assert_eq!(filter.connect(&session).await, Verdict::Continue);
        assert_eq!(filter.mail(&session, &from).await, Verdict::Continue);
        let new = filter
            .rcpt(&session, &from, &"new@example.com".parse().unwrap())
            .await;
        assert!(said(&new).starts_with("defer 4.7.1"), "{event:?} {new:?}");
        let known = "known@example.com".parse().unwrap();
        assert_eq!(
            filter.rcpt(&session, &from, &known).await,
            Verdict::Continue
        );
        session.trust = mailcore::seams::Trust::Trusted;
        let trusted = filter
            .rcpt(&session, &from, &"new@example.com".parse().unwrap())
            .await;
        assert_eq!(trusted, Verdict::Continue, "{event:?}");
    }
}

#[tokio::test]
async fn each_recipient_s_copy_has_its_own_plan() {
    let (filter, _) = filter(&[
        (
            Event::Data,
            "require [\"vnd.mailcore.session\", \"envelope\", \"fileinto\", \"copy\", \"imap4flags\"];
             if envelope :localpart \"to\" \"apart\" { quarantine \"looks odd\"; }
             if envelope :localpart \"to\" \"gone\" { discard; stop; }
             if envelope :localpart \"to\" \"not\" { error \"no\"; }
             if envelope :localpart \"to\" \"good\" { accept; }
             if envelope :localpart \"to\" \"filed\" {
                 fileinto :copy :flags \"\\\\Seen\" \"Archive\"; }",
        ),
        (Event::Data, "redirect \"copy@example.net\";"),
    ]);
    let names = ["apart", "gone", "not", "good", "filed", "other"];
    let recipients: Vec<String> = names.iter().map(|it| format!("{it}@example.com")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let plan = judged(&filter, &recipients).await;
    let [apart, gone, not, good, filed, other] = plan.recipients.as_slice() else {
        panic!("six copies");
    };
    assert!(matches!(&apart.disposition, Disposition::Quarantine(it) if it.reason == "looks odd"));
    assert_eq!(gone.disposition, Disposition::Discard);
    assert!(matches!(&not.disposition, Disposition::Reject(status) if status.text == "no"));
    assert_eq!(
        (&good.disposition, good.actions.len()),
        (&Disposition::Accept, 0)
    );
    let folders: Vec<String> = filed
        .actions
        .iter()
        .map(|action| match action {
            Planned::File { mailbox, .. } => mailbox.as_str().to_owned(),
            other => format!("{other:?}").split(' ').next().unwrap().to_owned(),
        })
        .collect();
    assert_eq!(folders, ["Archive", "INBOX", "Redirect"]);
    assert_eq!(other.actions.len(), 1);
}

#[tokio::test]
async fn a_script_that_fails_lets_pass_and_is_told_of() {
    let (filter, _) = filter(&[
        (
            Event::Data,
            "require \"variables\";\nset \"to\" \"nobody\";\nredirect \"${to}\";",
        ),
        (
            Event::Data,
            "require \"vnd.mailcore.session\"; error \"no\";",
        ),
    ]);
    let plan = judged(&filter, &["a@example.com"]).await;
    let copy = plan.recipients.first().unwrap();
    assert!(
        matches!(copy.disposition, Disposition::Reject(_)),
        "others go on"
    );
    let error = plan.findings.first().unwrap();
    assert_eq!(
        (error.result.as_str(), error.input.as_str()),
        ("error", "site")
    );
    assert!(error.detail.starts_with("line 3: "), "{}", error.detail);
}

#[tokio::test]
async fn scripts_are_replaced_in_a_living_filter() {
    let (filter, _) = filter(&[]);
    assert_eq!(filter.connect(&session()).await, Verdict::Continue);
    let text = "require \"vnd.mailcore.session\"; defer \"busy\";";
    let script = compiled(Event::Connect, text);
    filter.replace(EventScripts::new().and(Event::Connect, script));
    assert_eq!(said(&filter.connect(&session()).await), "defer 4.7.1 busy");
    let local = session().through(SessionKind::Local);
    assert_eq!(filter.connect(&local).await, Verdict::Continue);
}
#[tokio::test]
async fn fields_are_added_and_removed_for_everybody() {
    let (filter, _) = filter(&[(
        Event::Data,
        "require [\"editheader\"]; addheader \"X-Site\" \"seen\"; deleteheader \"X-Old\";",
    )]);
    let plan = judged(&filter, &["a@example.com", "b@example.com"]).await;
    for copy in &plan.recipients {
        let wanted = [
            Edit::AddHeader {
                name: "X-Site".into(),
                value: "seen".into(),
            },
            Edit::RemoveHeader {
                name: "X-Old".into(),
            },
        ];
        assert_eq!(copy.edits, wanted);
    }
}
