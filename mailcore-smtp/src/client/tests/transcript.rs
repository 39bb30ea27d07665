//! The session machine played against what a host says: whole and octet by
//! octet.

use std::sync::Arc;
use std::time::Duration;

use mailcore::account::Secret;
use mailcore::envelope::{BodyType, MailParams, Notify, OriginalRecipient, Recipient, Ret};
use mailcore::sasl::client::ClientError;
use mailcore::seams::Entropy;
use mailcore::status::StatusClass;
use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step, TlsInfo};

use crate::client::*;

/// What came of a transcript.
struct Played {
    session: Session,
    results: Vec<TransactionResult>,
}

/// Plays `script`: `S:` lines come from the host, `C:` lines must be what the
/// session sends; `! tls` is a handshake, `! cut` the end of the connection,
/// `! late` the passing of a long time, `! close` the session's own end.
fn play(config: &SessionConfig, mail: Vec<(Transaction, &str)>, script: &str) -> Played {
    play_in(config, &mail, script, usize::MAX);
    play_in(config, &mail, script, 1)
}

fn play_in(
    config: &SessionConfig,
    mail: &[(Transaction, &str)],
    script: &str,
    piece: usize,
) -> Played {
    let mut session = Session::new(config.clone());
    let mut mail = mail.iter();
    let mut content = "";
    let mut results = Vec::new();
    let mut wire = Wire::default();
    let mut lines = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    loop {
        match session.step(wire.now) {
            Step::Send(octets) => wire.sent.push_str(std::str::from_utf8(&octets).unwrap()),
            Step::Ask(Question::Next) => {
                results.extend(session.take_result());
                let next = mail.next();
                content = next.map_or("", |(_, content)| content);
                session.answer(next.map_or(Answer::Quit, |(transaction, _)| {
                    Answer::Transaction(Box::new(transaction.clone()))
                }));
            }
            Step::Ask(Question::Content) => {
                let (octets, rest) = content.split_at(content.len().min(7));
                content = rest;
                session.answer(match rest {
                    "" => Answer::LastOctets(octets.to_owned().into()),
                    _ => Answer::Octets(octets.to_owned().into()),
                });
            }
            Step::UpgradeTls => {
                assert_eq!(lines.next(), Some("! tls"));
                session.tls_established(TlsInfo::default());
            }
            Step::Read { until } => wire.read(&mut session, &mut lines, until, piece),
            Step::Close => {
                results.extend(session.take_result());
                let rest: Vec<&str> = lines.collect();
                assert_eq!(rest, ["! close"], "{:?} {:?}", wire.sent, session.error());
                return Played { session, results };
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What goes both ways while a script is played.
#[derive(Default)]
struct Wire {
    sent: String,
    arriving: Vec<u8>,
    now: Monotonic,
}

impl Wire {
    /// Gives the session what it waits for.
    fn read<'a>(
        &mut self,
        session: &mut Session,
        lines: &mut impl Iterator<Item = &'a str>,
        until: Monotonic,
        piece: usize,
    ) {
        if !self.arriving.is_empty() {
            let rest = self.arriving.split_off(piece.min(self.arriving.len()));
            session.receive(&self.arriving);
            self.arriving = rest;
            return;
        }
        let sent = &mut self.sent;
        let line = lines.next();
        let line = line.unwrap_or_else(|| panic!("{sent:?} was sent, then?"));
        match line.split_once(' ').unwrap_or((line, "")) {
            ("C:", text) => {
                let rest = sent.strip_prefix(&format!("{text}\r\n"));
                let rest = rest.unwrap_or_else(|| panic!("{text:?} was expected of {sent:?}"));
                *sent = rest.to_owned();
            }
            ("S:", text) => {
                assert_eq!(sent, "", "before {line}");
                self.arriving = format!("{text}\r\n").replace("\\n", "\r\n").into_bytes();
            }
            ("!", "cut") => session.end_of_input(),
            ("!", "late") => self.now = until,
            _ => panic!("{line}"),
        }
    }
}

fn config() -> SessionConfig {
    SessionConfig::new("me.test".parse().unwrap())
}

fn transaction(to: &[&str], content: &str) -> Transaction {
    Transaction {
        reverse_path: mailcore::address::ReversePath::Address("s@me.test".parse().unwrap()),
        params: MailParams::default(),
        recipients: to
            .iter()
            .map(|to| Recipient::new(to.parse().unwrap()))
            .collect(),
        size: Some(content.len() as u64),
        needs: ContentNeeds::default(),
        by: None,
        optional: OptionalParams::default(),
    }
}

fn codes(result: &TransactionResult) -> Vec<String> {
    let code = |outcome: &Result<crate::reply::Reply, Unsent>| match outcome {
        Ok(reply) => reply.code().to_string(),
        Err(unsent) => format!("{} {:?}", unsent.failure.status.code, unsent.stage),
    };
    result.iter().map(code).collect()
}

#[test]
fn a_plain_host_is_asked_one_thing_at_a_time() {
    let content = "Subject: x\r\n\r\n.dot\r\n";
    let mail = transaction(&["a@x.test", "b@x.test"], content);
    let played = play(
        &config(),
        vec![(mail, content)],
        "S: 220 x.test
         C: EHLO me.test
         S: 502 what
         C: HELO me.test
         S: 250 x.test
         C: MAIL FROM:<s@me.test>
         S: 250 ok
         C: RCPT TO:<a@x.test>
         S: 250 ok
         C: RCPT TO:<b@x.test>
         S: 550 5.1.1 who?
         C: DATA
         S: 354 go
         C: Subject: x
         C:
         C: ..dot
         C: .
         S: 250 2.0.0 queued
         C: QUIT
         S: 221 bye
         ! close",
    );
    assert_eq!(codes(&played.results[0]), ["250", "5.1.1 Recipient"]);
    assert!(played.session.error().is_none());
}

#[test]
fn extensions_are_used_where_they_are_offered() {
    let content = "x\r\n";
    let mut mail = transaction(&["a@x.test"], content);
    mail.params.ret = Some(Ret::Headers);
    mail.params.envelope_id = Some("id+1".into());
    mail.needs.body = BodyType::EightBitMime;
    mail.recipients[0].notify = Notify::NEVER;
    mail.recipients[0].original = Some(OriginalRecipient {
        address_type: "rfc822".into(),
        address: "o@x.test".into(),
    });
    let offered = "250-x.test\\n250-PIPELINING\\n250-SIZE 100\\n250-8BITMIME\\n250 DSN";
    play(
        &config(),
        vec![(mail, content)],
        &format!(
            "S: 220 x.test
             C: EHLO me.test
             S: {offered}
             C: MAIL FROM:<s@me.test> SIZE=3 BODY=8BITMIME RET=HDRS ENVID=id+2B1
             C: RCPT TO:<a@x.test> NOTIFY=NEVER ORCPT=rfc822;o@x.test
             C: DATA
             S: 250 ok\\n250 ok\\n354 go
             C: x
             C: .
             S: 250 ok
             C: QUIT
             S: 221 bye
             ! close"
        ),
    );
}

#[test]
fn nothing_is_sent_that_the_host_does_not_take() {
    let script = "S: 220 x.test
         C: EHLO me.test
         S: 250-x.test\\n250 SIZE 2
         C: QUIT
         S: 221 bye
         ! close";
    let mut eight = transaction(&["a@x.test"], "");
    eight.needs.body = BodyType::EightBitMime;
    let mut secret = transaction(&["a@x.test"], "");
    secret.params.require_tls = true;
    let all = vec![
        (transaction(&["a@x.test"], "xxx"), ""),
        (transaction(&["я@x.test"], ""), ""),
        (eight, ""),
        (secret, ""),
    ];
    let played = play(&config(), all, script);
    let codes: Vec<String> = played.results.iter().flat_map(codes).collect();
    assert_eq!(
        codes,
        [
            "5.3.4 Before",
            "5.6.7 Before",
            "5.6.3 Before",
            "5.7.10 Before"
        ]
    );
}

#[test]
fn pipelined_data_that_nobody_is_to_get_is_ended_empty() {
    let content = "x\r\n";
    let played = play(
        &config(),
        vec![
            (transaction(&["a@x.test"], content), content),
            (transaction(&["b@x.test"], content), content),
        ],
        "S: 220 x.test
         C: EHLO me.test
         S: 250-x.test\\n250 PIPELINING
         C: MAIL FROM:<s@me.test>
         C: RCPT TO:<a@x.test>
         C: DATA
         S: 250 ok\\n550 5.1.1 no\\n354 go
         C: .
         S: 554 no recipients
         C: MAIL FROM:<s@me.test>
         C: RCPT TO:<b@x.test>
         C: DATA
         S: 451 4.7.1 greylisted\\n503 mail first\\n503 mail first
         C: QUIT
         S: 221 bye
         ! close",
    );
    assert_eq!(codes(&played.results[0]), ["5.1.1 Recipient"]);
    assert_eq!(codes(&played.results[1]), ["4.7.1 Mail"]);
}

#[test]
fn tls_forgets_what_was_said_in_clear_and_the_password_waits_for_it() {
    let mut config = config();
    config.tls = TlsPolicy::Verified;
    config.credentials = Some(Credentials {
        login: "me".into(),
        password: Secret::new("pw"),
        password_use: PasswordUse::WithinTls,
    });
    play(
        &config,
        vec![],
        "S: 220 x.test
         C: EHLO me.test
         S: 250-x.test\\n250-AUTH PLAIN\\n250 STARTTLS
         C: STARTTLS
         S: 220 go
         ! tls
         C: EHLO me.test
         S: 250-x.test\\n250 AUTH LOGIN
         C: AUTH LOGIN
         S: 334 VXNlcm5hbWU6
         C: bWU=
         S: 334 UGFzc3dvcmQ6
         C: cHc=
         S: 235 ok
         C: QUIT
         S: 221 bye
         ! close",
    );
    let no_tls = play(
        &config,
        vec![],
        "S: 220 x.test\nC: EHLO me.test\nS: 250-x.test\\n250 AUTH PLAIN\n! close",
    );
    assert_eq!(no_tls.session.error(), Some(&SessionError::TlsNotOffered));
    config.tls = TlsPolicy::Opportunistic;
    let in_clear = play(
        &config,
        vec![],
        "S: 220 x.test\nC: EHLO me.test\nS: 250-x.test\\n250 AUTH PLAIN\n! close",
    );
    assert_eq!(in_clear.session.error(), Some(&SessionError::AuthInClear));
}

/// Sevens, so that a dialogue can be written down.
#[derive(Debug)]
struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, octets: &mut [u8]) {
        octets.fill(7);
    }
}

const PROVES: &str = "\
    C: AUTH SCRAM-SHA-256 biwsbj1tZSxyPUJ3Y0hCd2NIQndjSEJ3Y0hCd2NIQndjSA==
    S: 334 cj1Cd2NIQndjSEJ3Y0hCd2NIQndjSEJ3Y0hzZXJ2ZXIscz1jMkZzZENCdlppQnRaUT09LGk9NDA5Ng==
    C: Yz1iaXdzLHI9QndjSEJ3Y0hCd2NIQndjSEJ3Y0hCd2NIc2VydmVyLHA9YVgwVytFZDNVOFdFQ1N4akpGNWptYjk1TkVzMFR3T1o0bndHOWtVTnlDbz0=";
const PROVED: &str = "334 dj1mOVM1UXl5TGd4Y0l1TUVEaGwwUWg4NzZObU5YNVNrTTFZeUlZMUtVYU40PQ==";

/// Logs in within TLS to a host that offers these.
fn log_in(mechanisms: &str, tls: TlsPolicy, dialogue: &str) -> Played {
    let mut config = config();
    config.tls = tls;
    config.entropy = Arc::new(Sevens);
    config.credentials = Some(Credentials {
        login: "me".into(),
        password: Secret::new("pw"),
        password_use: PasswordUse::WithinTls,
    });
    let script = format!(
        "S: 220 x.test
         C: EHLO me.test
         S: 250-x.test\\n250 STARTTLS
         C: STARTTLS
         S: 220 go
         ! tls
         C: EHLO me.test
         S: 250-x.test\\n250 AUTH {mechanisms}
         {dialogue}
         ! close"
    );
    play(&config, vec![], &script)
}

#[test]
fn a_password_is_proved_before_it_is_shown() {
    let dialogue = format!("{PROVES}\nS: {PROVED}\nC: \nS: 235 ok\nC: QUIT\nS: 221 bye");
    let offered = "PLAIN CRAM-MD5 SCRAM-SHA-256-PLUS SCRAM-SHA-256";
    let done = log_in(offered, TlsPolicy::Opportunistic, &dialogue);
    assert_eq!(done.session.error(), None);
}

#[test]
fn a_host_that_does_not_prove_itself_is_not_believed() {
    let unproved = Some(&SessionError::AuthBroken(ClientError::ServerUnproved));
    let early = format!("{PROVES}\nS: 235 ok");
    let done = log_in("PLAIN SCRAM-SHA-256", TlsPolicy::Verified, &early);
    assert_eq!(done.session.error(), unproved);
    let wrong = format!("{PROVES}\nS: 334 dj1BQUFB");
    let done = log_in("PLAIN SCRAM-SHA-256", TlsPolicy::Verified, &wrong);
    assert_eq!(done.session.error(), unproved);
}

#[test]
fn a_host_known_by_its_certificate_is_shown_what_it_can_not_check_otherwise() {
    let refused = format!("{PROVES}\nS: 535 no");
    let shown = format!("{refused}\nC: AUTH PLAIN AG1lAHB3\nS: 235 ok\nC: QUIT\nS: 221 bye");
    let done = log_in("PLAIN SCRAM-SHA-256", TlsPolicy::Verified, &shown);
    assert_eq!(done.session.error(), None);
    let done = log_in("PLAIN SCRAM-SHA-256", TlsPolicy::Opportunistic, &refused);
    assert!(matches!(
        done.session.error(),
        Some(SessionError::Refused { during: "AUTH", .. })
    ));
}

#[test]
fn octets_after_the_reply_to_starttls_end_the_session() {
    let mut session = Session::new(config());
    let now = Monotonic::default();
    session.receive(b"220 x.test\r\n");
    while matches!(session.step(now), Step::Send(_)) {}
    session.receive(b"250-x.test\r\n250 STARTTLS\r\n");
    while matches!(session.step(now), Step::Send(_)) {}
    session.receive(b"220 go\r\n250-evil.test\r\n250 AUTH PLAIN\r\n");
    assert!(matches!(session.step(now), Step::Close));
    assert_eq!(session.error(), Some(&SessionError::Injected));
}

#[test]
fn a_refused_starttls_leaves_an_opportunistic_session_in_clear() {
    play(
        &config(),
        vec![],
        "S: 220 x.test
         C: EHLO me.test
         S: 250-x.test\\n250 STARTTLS
         C: STARTTLS
         S: 454 4.7.0 no certificate
         C: QUIT
         S: 221 bye
         ! close",
    );
}

#[test]
fn what_breaks_a_session_tells_how_far_it_came() {
    let content = "x\r\n";
    let begin = "S: 220 x.test\nC: EHLO me.test\nS: 250 x.test\nC: MAIL FROM:<s@me.test>\n";
    let rcpt = format!("{begin}S: 250 ok\nC: RCPT TO:<a@x.test>\n");
    let data = format!("{rcpt}S: 250 ok\nC: DATA\n");
    let end = format!("{data}S: 354 go\nC: x\nC: .\n");
    for (script, expected) in [
        (
            format!("{begin}S: 421 4.3.2 going down\n! close"),
            "4.3.2 Mail",
        ),
        (format!("{begin}! late\n! close"), "4.4.1 Mail"),
        (format!("{rcpt}! cut\n! close"), "4.4.2 Recipient"),
        (format!("{data}S: hello\n! close"), "4.5.0 Data"),
        (format!("{data}S: 250 ok\n! close"), "4.5.0 Data"),
        (format!("{end}! cut\n! close"), "4.4.2 End"),
        (format!("{end}! late\n! close"), "4.4.1 End"),
    ] {
        let mail = vec![(transaction(&["a@x.test"], content), content)];
        let played = play(&config(), mail, &script);
        assert_eq!(codes(&played.results[0]), [expected], "{script}");
    }
}

#[test]
fn a_message_with_stray_line_ends_is_never_ended() {
    let content = "x\r\n.\nMAIL FROM:<evil>\r\n";
    let played = play(
        &config(),
        vec![(transaction(&["a@x.test"], content), content)],
        "S: 220 x.test
         C: EHLO me.test
         S: 250 x.test
         C: MAIL FROM:<s@me.test>
         S: 250 ok
         C: RCPT TO:<a@x.test>
         S: 250 ok
         C: DATA
         S: 354 go
         ! close",
    );
    let Err(unsent) = &played.results[0][0] else {
        panic!("sent")
    };
    assert_eq!(unsent.failure.status.code.class, StatusClass::Permanent);
    assert_eq!(unsent.failure.status.code.subject, 6);
}

#[test]
fn a_greeting_that_never_ends_times_out() {
    let mut session = Session::new(config());
    let mut now = Monotonic::default();
    for _ in 0..100 {
        session.receive(b"220-wait\r\n");
        if matches!(session.step(now), Step::Close) {
            break;
        }
        now = now.after(Duration::from_secs(10));
    }
    assert_eq!(
        session.error(),
        Some(&SessionError::TimedOut("the connection"))
    );
    assert!(now.since_origin() <= Duration::from_secs(310));
}
