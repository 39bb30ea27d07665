use super::*;
use mailcore::address::{Address, ReversePath};
use mailcore::envelope::Envelope;
use mailcore::message::Message;
use mailcore::plan::{Finding, Stage};
use mailcore::seams::{FilterSession, IncomingMail};
use proptest::prelude::*;

const MAIL: &str = "From: \"Big Bank\" <alerts@bank.example.net>\r\n\
    Reply-To: x@freemail.example\r\nTo: a@x.test, b@x.test\r\n\
    Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nSubject: =?utf-8?q?YOUR_ACCOUNT?=  NOW\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
    Content-Type: text/html; charset=utf-8\r\n\r\n\
    <p>Next of\r\n  kin! Es\u{200b}sex <a href='http://10.0.0.1/p.php'>www.bank.example.com</a>\
    <div style='display:none'>hidden words</div><form action=http://a.example.org>\r\n\
    --b\r\nContent-Type: application/zip; name=\"Bill.PDF.exe\"\r\n\r\nx\r\n--b--\r\n";

fn rule(when: &str) -> RuleSet {
    RuleSet::parse(
        "t",
        &format!("rule TESTED 1.5 \"about\" tags a, b when {when}"),
    )
    .unwrap()
}

async fn judge_mail(rules: &RuleSet, mail: &str) -> Vec<(String, f32)> {
    let message = Message::from_bytes(mail.as_bytes().to_vec());
    let summary = message.summarize().await.unwrap();
    let view = View::read(&message, &summary, &Default::default())
        .await
        .unwrap();
    let mut session = FilterSession::new(Some("192.0.2.1:25".parse().unwrap()));
    session.helo = Some("mail.example.net".to_owned());
    session
        .memory
        .note(Finding::new(Stage::Mail, "spf", "fail"));
    let recipient = Address::parse("a@x.test").unwrap();
    let envelope = Envelope::new(ReversePath::Null, [recipient]);
    let mail = IncomingMail::new(&envelope, &message, &summary);
    let look = Look::at(&session).mail(&mail);
    let now = Timestamp::from_millis(1_795_341_600_000); // 2026-11-22 10:00
    let hits = rules.judge(&look, &view, now).await.unwrap();
    hits.iter()
        .map(|hit| (hit.name.to_owned(), hit.score))
        .collect()
}

#[tokio::test]
async fn each_test_asks_what_it_says() {
    for (when, want) in [
        ("subject is \"your account now\"", true),
        ("subject ~ /^YOUR/", true),
        ("subject ~ /^your/", false),
        ("subject ~ /^your/i", true),
        ("raw-header Subject ~ /utf-8/", true),
        ("header subject ~ /utf-8/", false),
        ("subject capitals >= 90% and subject length > 5", true),
        (
            "header X-Missing missing and not header X-Missing exists",
            true,
        ),
        ("headers is \"reply-to\" and headers count = 6", true),
        ("address From domain is \"bank.example.net\"", true),
        ("address From name has \"bank\"", true),
        ("address To address count = 2", true),
        (
            "address From domain differs from address Reply-To domain",
            true,
        ),
        ("address To domain differs from recipient domain", false),
        ("text has \"next of kin\"", true),
        ("text has \"sex\"", false),
        ("text has \"essex\"", true),
        ("text has 2 of \"next of kin\", \"essex\", \"other\"", true),
        ("text has 3 of \"next of kin\", \"essex\", \"other\"", false),
        ("text ~ /\\bkin\\b/", true),
        ("text ~ /kin$/", false),
        (
            "hidden has \"hidden words\" and not text has \"hidden words\"",
            true,
        ),
        ("raw ~ /display:none/", true),
    ] {
        let hits = judge_mail(&rule(when), MAIL).await;
        assert_eq!(!hits.is_empty(), want, "{when}");
    }
}

#[tokio::test]
async fn links_parts_and_sessions_are_asked_about_too() {
    for (when, want) in [
        ("url address is \"10.0.0.1\"", true),
        ("url host under \"example.com\", \"example.org\"", true),
        ("url organization is \"example.com\"", true),
        ("url path ~ /\\.php$/", true),
        ("url trick is \"mismatch\"", true),
        ("url tld is \"zip\"", false),
        (
            "part extension is \"exe\" and part name ~ /\\.pdf\\.exe$/i",
            true,
        ),
        ("part type is \"text/html\" and part type count = 2", true),
        (
            "html forms = 1 and html links >= 2 and html ratio < 90%",
            true,
        ),
        ("html scripts > 0", false),
        ("date ahead > 12h and date ahead < 2d", true),
        ("date behind > 0", false),
        ("size < 10kB and size > 100", true),
        (
            "helo ~ /example/ and client address ~ /^192\\.0\\.2\\./",
            true,
        ),
        ("client name missing or client name exists", false),
        ("sender address missing", true),
        ("recipient domain is \"x.test\"", true),
        ("found spf fail", true),
        ("found spf pass or found dkim fail", false),
        (
            "at least 2 of (found spf fail, size > 1MB, html forms = 1)",
            true,
        ),
        ("any of (found spf pass, size > 1MB)", false),
        ("not (size > 1MB or found spf pass) and size > 0", true),
    ] {
        let hits = judge_mail(&rule(when), MAIL).await;
        assert_eq!(!hits.is_empty(), want, "{when}");
    }
}

#[tokio::test]
async fn rules_use_rules_lists_and_scores_above() {
    let rules = RuleSet::parse(
        "t",
        "phrases @kin \"next of kin\", \"Beneficiary\"\n\
         rule HELPER when text has @kin\n\
         rule ONE 2 \"one\" when HELPER and not found spf pass\n\
         rule TWO 3 \"two\" when ONE\n\
         rule OFF 9 \"off\" when HELPER\n\
         score OFF 0\nscore TWO -0.5\n",
    )
    .unwrap();
    assert_eq!(rules.len(), 4);
    assert_eq!(
        judge_mail(&rules, MAIL).await,
        [("ONE".to_owned(), 2.0), ("TWO".to_owned(), -0.5)]
    );
}

#[tokio::test]
async fn what_lies_across_pieces_of_a_long_text_is_found() {
    for filler in [16_380, 16_370, 15_361, 40_000] {
        let mail = format!(
            "Subject: x\r\n\r\n{} next of kin {}",
            "y".repeat(filler),
            "z ".repeat(9_000)
        );
        let rules = rule("text has \"next of kin\" and text ~ /of kin z/");
        assert_eq!(judge_mail(&rules, &mail).await.len(), 1, "{filler}");
    }
}

#[test]
fn every_problem_is_told_with_its_place() {
    let mut load = |name: &str| match name {
        "more.rules" => Ok("rule bad 1 when size > 1".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    let errors = RuleSet::parse_with(
        "my.rules",
        "rule A_1 1 \"x\" when subjekt ~ /x/\n\
         rule A_2 1 when subject ~ /(/\n\
         rule A_3 1 when text ~ /(?=x)/\n\
         rule A_4 1 when (size > 1\n\
         rule A_5 500 when size > 1\n\
         include \"more.rules\"\n\
         include \"none.rules\"\n\
         score NOBODY 1\n\
         rule A_6 1 when text has @none\n\
         rule A_7 1 when A_8\n\
         rule A_8 1 when text ~ /\\w{500}{500}/\n\
         rule A_9 1 when size > 1 and\n\
         rulez\n",
        &mut load,
    )
    .unwrap_err();
    let told: Vec<_> = errors
        .0
        .iter()
        .map(|it| format!("{}:{}:{}", it.file, it.line, it.column))
        .collect();
    assert_eq!(
        told,
        [
            "more.rules:1:6",
            "my.rules:1:21",
            "my.rules:2:27",
            "my.rules:3:24",
            "my.rules:5:1",
            "my.rules:5:10",
            "my.rules:7:9",
            "my.rules:8:7",
            "my.rules:9:26",
            "my.rules:10:17",
            "my.rules:11:24",
            "my.rules:13:1",
        ]
    );
    assert!(
        errors.0.iter().all(|it| it.to_string().len() < 400),
        "{errors}"
    );
}

#[test]
fn what_would_have_no_end_is_refused() {
    let deep = format!(
        "rule DEEP 1 when {}size > 1{}",
        "(".repeat(10_000),
        ")".repeat(10_000)
    );
    assert!(RuleSet::parse("t", &deep).is_err());
    let mut load = |_: &str| Ok("include \"again\"".to_owned());
    assert!(RuleSet::parse_with("t", "include \"again\"", &mut load).is_err());
    let many: String = (0..10_001)
        .map(|it| format!("rule R{it}_ 1 when size > 1\n"))
        .collect();
    assert!(RuleSet::parse("t", &many).is_err());
    let nots = format!("rule NOTS 1 when {} size > 1", "not ".repeat(100_000));
    assert_eq!(RuleSet::parse("t", &nots).unwrap().len(), 1);
}

#[tokio::test]
async fn the_shipped_rules_let_an_ordinary_letter_pass() {
    let rules = RuleSet::shipped().unwrap_or_else(|errors| panic!("{errors}"));
    let mail = "From: Anna <anna@example.com>\r\nTo: Bob <a@x.test>\r\nSubject: Lunch on Friday\r\n\
        Date: Sun, 22 Nov 2026 09:59:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n\
        Hi Bob, shall we meet at noon? The menu is at https://www.example.com/menu.\r\n";
    assert_eq!(judge_mail(&rules, mail).await, []);
}

proptest! {
    #[test]
    fn any_file_of_rules_is_read_or_refused(
        words in proptest::collection::vec(prop_oneof![
            proptest::sample::select(vec![
                "\nrule", "\nphrases", "\nscore", "\ninclude", "A_B", "when", "text", "has", "\"x\"",
                "@l", "(", ")", ",", "~", "/x/i", "and", "or", "not", "1", ">", "at", "least", "of",
                "header", "subject", "found", "#", "size", "any", "count", "\n", "url", "host",
            ]).prop_map(str::to_owned),
            "[ -~\u{e9}]{0,4}",
        ], 0..40),
    ) {
        let _ = RuleSet::parse("t", &words.join(" "));
    }
}
