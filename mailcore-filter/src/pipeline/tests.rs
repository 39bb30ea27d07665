use std::sync::atomic::{AtomicUsize, Ordering};

use mailcore::account::{AccountId, Identity};
use mailcore::address::Domain;
use mailcore::envelope::{Envelope, Recipient};
use mailcore::message::{Message, Summary};
use mailcore::plan::{Disposition, Edit, QuarantinePlace, RecipientPlan};
use mailcore::testing::VirtualClock;

use super::*;
use crate::testing::SettingsOnly;

/// Says at one stage what it is told to say.
#[derive(Debug)]
struct Says {
    name: &'static str,
    stage: Stage,
    class: TestClass,
    after: &'static [&'static str],
    shipped: Reaction,
    never: bool,
    asked: AtomicUsize,
}

fn says(name: &'static str, stage: Stage, shipped: Reaction) -> Says {
    Says {
        name,
        stage,
        class: TestClass::Spam,
        after: &[],
        shipped,
        never: false,
        asked: AtomicUsize::new(0),
    }
}

#[async_trait]
impl Test for Says {
    fn name(&self) -> &'static str {
        self.name
    }

    fn stage(&self) -> Stage {
        self.stage
    }

    fn after(&self) -> &'static [&'static str] {
        self.after
    }

    fn class(&self) -> TestClass {
        self.class
    }

    fn results(&self) -> &'static [&'static str] {
        &["bad"]
    }

    fn reaction(&self, _: &str) -> Reaction {
        self.shipped
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.never {
            std::future::pending::<()>().await;
        }
        let found = at.session.memory.findings();
        let before: Vec<_> = found.iter().map(|it| it.test.as_str()).collect();
        vec![Said::new("bad", before.join(" ")).detail("x\r\ny")]
    }
}

fn pipeline(tests: Vec<Says>) -> Pipeline {
    let clock = Arc::new(VirtualClock::new());
    (tests.into_iter()).fold(Pipeline::new(clock), |it, test| it.test(Arc::new(test)))
}

fn stranger() -> FilterSession {
    FilterSession::new(Some("192.0.2.9:25".parse().unwrap()))
}

fn user() -> FilterSession {
    let mut session = stranger();
    session.identity = Some(Identity {
        account: AccountId::new("ann"),
        login: "ann".into(),
    });
    session
}

fn to(addresses: &[&str]) -> Envelope {
    let mut envelope = Envelope::from_sender(ReversePath::parse("<s@far.test>").unwrap());
    let recipients = addresses.iter().map(|it| it.parse().unwrap());
    envelope.recipients = recipients.map(Recipient::new).collect();
    envelope
}

/// Plays a whole message through the pipeline; the plan, or what was said
/// before.
async fn play(
    pipeline: &Pipeline,
    session: &FilterSession,
    envelope: &Envelope,
) -> Result<Plan, Verdict> {
    let pass = |verdict| match verdict {
        Verdict::Continue | Verdict::Delay(_) => Ok(()),
        no => Err(no),
    };
    let mut session = session.clone();
    pass(pipeline.connect(&session).await)?;
    pass(pipeline.helo(&session).await)?;
    session.memory = session.memory.for_message();
    pass(pipeline.mail(&session, &envelope.reverse_path).await)?;
    for recipient in &envelope.recipients {
        let from = &envelope.reverse_path;
        pass(pipeline.rcpt(&session, from, &recipient.address).await)?;
    }
    pass(pipeline.data(&session, envelope).await)?;
    let octets = b"Subject: x\r\n\r\nx\r\n".as_slice();
    let message = Message::from_bytes(octets);
    let summary = Summary::scan(octets);
    let mail = IncomingMail::new(envelope, &message, &summary);
    let mut plan = Plan::accept(envelope.recipients.len());
    pipeline.message(&session, &mail, &mut plan).await;
    Ok(plan)
}

fn score(name: &'static str, score: f32) -> Says {
    says(name, Stage::Mail, Reaction::score(score))
}

#[tokio::test]
async fn scores_of_all_stages_add_up_to_what_becomes_of_the_mail() {
    let envelope = to(&["u@our.test"]);
    for (second, spam) in [(1.9, "No"), (2.0, "Yes"), (9.0, "")] {
        let tests = vec![
            says("a", Stage::Connect, Reaction::score(3.0)),
            says("b", Stage::Content, Reaction::score(second)),
        ];
        let plan = play(&pipeline(tests), &stranger(), &envelope)
            .await
            .unwrap();
        let copy = &plan.recipients[0];
        match (&copy.disposition, spam) {
            (Disposition::Accept, "No") => {}
            (Disposition::Quarantine(kept), "Yes") => {
                assert_eq!(kept.reason, "score 5.0: a.bad=3.0,b.bad=2.0");
            }
            (Disposition::Reject(_), "") => continue,
            other => panic!("{other:?}"),
        }
        let Edit::AddHeader { name, value } = &copy.edits[0] else {
            panic!("{:?}", copy.edits);
        };
        assert_eq!(name, "X-Spam-Status");
        assert!(value.starts_with(spam), "{value}");
        assert!(
            value.contains("required=5.0 tests=a.bad=3.0,b.bad="),
            "{value}"
        );
    }
}

#[tokio::test]
async fn users_and_hosts_of_the_house_are_no_strangers() {
    let envelope = to(&["u@our.test"]);
    let tests = || pipeline(vec![score("a", 20.0)]);
    let refused = |plan: Plan| matches!(plan.recipients[0].disposition, Disposition::Reject(_));
    assert!(refused(
        play(&tests(), &stranger(), &envelope).await.unwrap()
    ));
    assert!(!refused(play(&tests(), &user(), &envelope).await.unwrap()));
    let submission = stranger().through(SessionKind::Submission);
    assert!(!refused(
        play(&tests(), &submission, &envelope).await.unwrap()
    ));
    let exempt = tests().exempt(["192.0.2.0/24".parse().unwrap()]);
    assert!(!refused(
        play(&exempt, &stranger(), &envelope).await.unwrap()
    ));
}

#[tokio::test]
async fn whom_a_list_lets_through_is_asked_about_harm_alone() {
    let mut list = says("list", Stage::Connect, Reaction::accept());
    list.class = TestClass::List;
    let spam = says("spam", Stage::Content, Reaction::reject());
    let mut virus = says("virus", Stage::Content, Reaction::reject());
    virus.class = TestClass::Virus;
    let pipeline = pipeline(vec![spam, list]);
    let envelope = to(&["u@our.test"]);
    let plan = play(&pipeline, &stranger(), &envelope).await.unwrap();
    assert_eq!(plan.recipients[0].disposition, Disposition::Accept);
    assert_eq!(plan.findings.len(), 0);
    let pipeline = pipeline.test(Arc::new(virus));
    let plan = play(&pipeline, &stranger(), &envelope).await.unwrap();
    assert!(matches!(
        plan.recipients[0].disposition,
        Disposition::Reject(_)
    ));
}

#[tokio::test]
async fn a_reaction_can_wait_for_a_later_stage() {
    let connect = || says("list", Stage::Connect, Reaction::disconnect());
    let envelope = to(&["u@our.test"]);
    let at_once = pipeline(vec![connect()]);
    let Verdict::Disconnect(status) = at_once.connect(&stranger()).await else {
        panic!("connected");
    };
    assert_eq!(status.to_string(), "5.7.1 xy");
    let later = "reject at rcpt".parse().unwrap();
    let settings = FilterSettings::default().reaction("list", "bad", later);
    let later = pipeline(vec![connect()]).settings(settings);
    let session = stranger();
    assert_eq!(later.connect(&session).await, Verdict::Continue);
    let said = play(&later, &session, &envelope).await;
    assert!(matches!(said, Err(Verdict::Reject(_))), "{said:?}");
}

#[tokio::test]
async fn tests_wait_for_those_whose_findings_they_read() {
    let mut first = says("first", Stage::Mail, Reaction::none());
    first.after = &["second", "not there"];
    let second = says("second", Stage::Mail, Reaction::none());
    let pipeline = pipeline(vec![first, second]);
    let session = stranger();
    pipeline.mail(&session, &ReversePath::Null).await;
    let inputs: Vec<_> = session
        .memory
        .findings()
        .into_iter()
        .map(|it| it.input)
        .collect();
    assert_eq!(inputs, ["", "second"]);
}

#[tokio::test]
async fn a_test_that_never_answers_keeps_no_mail() {
    let mut never = says("never", Stage::Mail, Reaction::reject());
    never.never = true;
    let clock = Arc::new(VirtualClock::new());
    let pipeline = Pipeline::new(Arc::clone(&clock) as _).test(Arc::new(never));
    let session = stranger();
    let sender = ReversePath::Null;
    let mail = pipeline.mail(&session, &sender);
    let time = async {
        while clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        clock.advance(DEADLINE);
    };
    let (verdict, ()) = tokio::join!(mail, time);
    assert_eq!(verdict, Verdict::Continue);
    assert_eq!(session.memory.findings(), []);
}

#[tokio::test]
async fn complaints_come_through() {
    let envelope = to(&["Postmaster@our.test", "abuse@our.test", "u@our.test"]);
    let plan = play(&pipeline(vec![score("a", 20.0)]), &stranger(), &envelope).await;
    let plan = plan.unwrap();
    let accepted: Vec<_> = (plan.recipients.iter())
        .map(|copy| copy.disposition == Disposition::Accept)
        .collect();
    assert_eq!(accepted, [true, true, false]);
}

#[tokio::test]
async fn each_message_of_a_session_is_judged_by_itself() {
    let envelope = to(&["u@our.test"]);
    let pipeline = pipeline(vec![
        says("a", Stage::Connect, Reaction::score(2.0)),
        says("b", Stage::Mail, Reaction::score(2.0)),
    ]);
    let session = stranger();
    for _ in 0..3 {
        let mut message = session.clone();
        message.memory = session.memory.for_message();
        if session.memory.findings().is_empty() {
            pipeline.connect(&session).await;
        }
        pipeline.mail(&message, &envelope.reverse_path).await;
        let scores: Vec<_> = (message.memory.findings().iter())
            .map(|it| it.score)
            .collect();
        assert_eq!(scores, [2.0, 2.0]);
    }
}

#[test]
fn settings_name_what_is_there() {
    let pipeline = pipeline(vec![score("spf", 1.0)]);
    let check = |key: &str| FilterSettings::check_key(key, &pipeline);
    assert_eq!(check("spf"), Ok(()));
    assert_eq!(check("spf.bad"), Ok(()));
    assert_eq!(check("score.reject"), Ok(()));
    assert!(matches!(check("score.spf"), Err(SettingError::Key { .. })));
    assert!(matches!(check("dkim"), Err(SettingError::Test { .. })));
    assert!(matches!(
        check("spf.good"),
        Err(SettingError::Result { .. })
    ));
    let mut settings = FilterSettings::default();
    for (key, value) in [
        ("spf", "maybe"),
        ("score.reject", "much"),
        ("spf.bad", "kill"),
        ("", "on"),
    ] {
        assert!(settings.set(key, value).is_err(), "{key} {value}");
    }
    settings.set("score.reject", "never").unwrap();
    assert!(!settings.is_empty());
}

fn domains(set: &[(&str, &str, &str)]) -> Arc<SettingsOnly> {
    let directory = SettingsOnly::default();
    for (domain, key, value) in set {
        let scope = Scope::Domain(Domain::parse(domain).unwrap());
        directory.put(&scope, &format!("{SETTING_PREFIX}{key}"), value);
    }
    Arc::new(directory)
}

#[tokio::test]
async fn each_domain_has_its_own_scores_and_its_own_place_for_spam() {
    let set = [
        ("b.test", "score.quarantine", "never"),
        ("c.test", "spam.place", "folder"),
        ("d.test", "spam.place", "inbox"),
        ("e.test", "a", "off"),
        ("f.test", "a.bad", "score 20"),
    ];
    let pipeline = pipeline(vec![score("a", 6.0)]).directory(domains(&set));
    let envelope = to(&[
        "u@a.test", "u@b.test", "u@c.test", "u@d.test", "u@e.test", "u@f.test",
    ]);
    let plan = play(&pipeline, &stranger(), &envelope).await.unwrap();
    let found: Vec<_> = (plan.recipients.iter())
        .map(|copy| match &copy.disposition {
            Disposition::Accept => ("accept", copy.edits.len()),
            Disposition::Reject(_) => ("reject", copy.edits.len()),
            Disposition::Quarantine(kept) => match kept.place {
                QuarantinePlace::Folder => ("folder", copy.edits.len()),
                _ => ("quarantine", copy.edits.len()),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    let want = [
        ("quarantine", 2),
        ("accept", 1),
        ("folder", 2),
        ("accept", 2),
        ("accept", 0),
        ("reject", 2),
    ];
    assert_eq!(found, want);
}

#[tokio::test]
async fn a_domain_refuses_and_lets_through_for_itself_what_was_found_before() {
    let set = [
        ("a.test", "sender.bad", "reject"),
        ("b.test", "host.bad", "disconnect"),
        ("c.test", "host.bad", "accept"),
        ("d.test", "sender.bad", "defer at content"),
    ];
    let tests = vec![
        says("host", Stage::Connect, Reaction::score(20.0)),
        says("sender", Stage::Mail, Reaction::none()),
    ];
    let pipeline = pipeline(tests).directory(domains(&set));
    let session = stranger();
    let from = ReversePath::parse("<s@far.test>").unwrap();
    assert_eq!(pipeline.connect(&session).await, Verdict::Continue);
    assert_eq!(pipeline.mail(&session, &from).await, Verdict::Continue);
    for (recipient, refused) in [
        ("u@a.test", true),
        // One domain's wish does not end the session for the others.
        ("u@b.test", true),
        ("postmaster@a.test", false),
        ("u@c.test", false),
        ("u@d.test", false),
    ] {
        let verdict = pipeline
            .rcpt(&session, &from, &recipient.parse().unwrap())
            .await;
        let is_refused = matches!(verdict, Verdict::Reject(_));
        assert!(is_refused == refused, "{recipient}: {verdict:?}");
    }
    let envelope = to(&["u@c.test", "u@d.test", "u@e.test"]);
    let plan = play(&pipeline, &session, &envelope).await.unwrap();
    let dispositions: Vec<_> = plan.recipients.iter().map(|it| &it.disposition).collect();
    assert!(
        matches!(
            dispositions.as_slice(),
            [
                Disposition::Accept,
                Disposition::Reject(_),
                Disposition::Reject(_)
            ]
        ),
        "{dispositions:?}"
    );
}

#[tokio::test]
async fn a_recipient_named_twice_is_judged_once() {
    let pipeline = pipeline(vec![says("a", Stage::Rcpt, Reaction::score(3.0))]);
    let envelope = to(&["u@our.test", "u@our.test", "v@our.test"]);
    let plan = play(&pipeline, &stranger(), &envelope).await.unwrap();
    for copy in &plan.recipients {
        assert_eq!(copy.disposition, Disposition::Accept);
    }
}

#[tokio::test]
async fn many_recipients_crowd_out_nothing_that_is_found_in_the_content() {
    let mut virus = says("virus", Stage::Content, Reaction::reject());
    virus.class = TestClass::Virus;
    let chatter = says("chatter", Stage::Rcpt, Reaction::none());
    let pipeline = pipeline(vec![chatter, virus]);
    let many: Vec<String> = (0..1_200).map(|it| format!("u{it}@our.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let plan = play(&pipeline, &stranger(), &to(&many)).await.unwrap();
    let refused = |copy: &RecipientPlan| matches!(copy.disposition, Disposition::Reject(_));
    assert!(plan.recipients.iter().all(refused));
}

#[tokio::test]
async fn a_test_can_be_asked_later_than_it_asks_to_be() {
    let spf = || says("spf", Stage::Mail, Reaction::reject());
    let wrong = |stage| pipeline(vec![spf()]).ask_at("spf", stage).unwrap_err();
    assert!(matches!(wrong(Stage::Connect), SettingError::Stage { .. }));
    assert!(matches!(wrong(Stage::Rcpt), SettingError::Stage { .. }));
    let later = pipeline(vec![spf()]).ask_at("spf", Stage::Data).unwrap();
    let session = stranger();
    let from = ReversePath::Null;
    assert_eq!(later.mail(&session, &from).await, Verdict::Continue);
    let verdict = later.data(&session, &to(&["u@our.test"])).await;
    assert!(matches!(verdict, Verdict::Reject(_)), "{verdict:?}");
}

#[tokio::test]
async fn the_subject_of_spam_that_is_delivered_is_tagged_where_that_is_wished() {
    let envelope = to(&["u@our.test"]);
    for (place, score_is, tagged) in [
        (SpamPlace::Inbox, 6.0, true),
        (SpamPlace::Folder, 6.0, true),
        (SpamPlace::Quarantine, 6.0, false),
        (SpamPlace::Inbox, 4.0, false),
    ] {
        let settings = FilterSettings::default().place(place);
        let settings = settings.subject_tag("*** SPAM ***").unwrap();
        let pipeline = pipeline(vec![score("a", score_is)]).settings(settings);
        let plan = play(&pipeline, &stranger(), &envelope).await.unwrap();
        let tag = |edit: &Edit| matches!(edit, Edit::TagSubject { .. });
        assert_eq!(
            plan.recipients[0].edits.iter().any(tag),
            tagged,
            "{place:?}"
        );
    }
    let two_lines = FilterSettings::default().subject_tag("a\r\nBcc: b");
    assert!(two_lines.is_err());
}
