//! Whatever a client sends: no panic, bounded memory, the same answer however
//! the octets are cut.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test reports by panicking, and lists by length"
)]

use std::sync::Arc;

use bytes::Bytes;
use mailcore::account::{AccountId, Identity};
use mailcore::mailbox::{
    Changes, Flags, MailboxId, MailboxStatus, MessageInfo, ModSeq, SystemFlag, Uid, UidSet,
    UidValidity,
};
use mailcore::message::Summary;
use mailcore::seams::{Abilities, Appended, CopyReceipt, StoreError, StoreReceipt};
use mailcore::time::{Monotonic, Timestamp};
use mailcore::wire::{Machine, Step};
use mailcore_imap::session::{
    Answer, Config, News, Opened, Peer, PlaintextLogin, Question, Session, Transport,
};
use proptest::prelude::*;

const MESSAGE: &[u8] =
    b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n";

fn uid(value: u32) -> Uid {
    Uid::new(value).unwrap()
}

fn row(value: u32) -> MessageInfo {
    MessageInfo {
        uid: uid(value),
        flags: Flags::NONE,
        modseq: ModSeq::MIN,
        size: MESSAGE.len() as u64,
        internal_date: Timestamp::EPOCH,
        save_date: Timestamp::EPOCH,
        email_id: mailcore::mailbox::EmailId(0),
        thread_id: None,
    }
}

fn status() -> MailboxStatus {
    MailboxStatus {
        id: MailboxId(1),
        messages: 3,
        unseen: 3,
        deleted: 0,
        uid_next: Uid::new(4),
        uid_validity: UidValidity::new(1).unwrap(),
        highest_modseq: ModSeq::MIN,
        size: 0,
    }
}

/// A host whose every mailbox holds the same three messages.
fn answer(question: Question) -> Answer {
    let present = |uids: &UidSet| {
        (1..4)
            .filter(|it| uids.contains(uid(*it)))
            .collect::<Vec<u32>>()
    };
    match question {
        Question::Authenticate(_) => Answer::Identity(Ok(Identity {
            account: AccountId::new("a"),
            login: "a".into(),
        })),
        Question::Mailboxes => Answer::Mailboxes(Vec::new()),
        Question::Status(_) => Answer::Status(status()),
        Question::Open { access, .. } => Answer::Opened(Box::new(Opened {
            access,
            status: status(),
            uids: UidSet::range(uid(1), uid(3)),
            recent_from: None,
            first_unseen: None,
            resync: None,
        })),
        Question::Changes { .. } => Answer::News(Box::new(News {
            changes: Changes {
                changed: Vec::new(),
                vanished: UidSet::EMPTY,
                complete: true,
                status: status(),
            },
            recent_from: None,
        })),
        Question::Rows(uids) => Answer::Rows(present(&uids).into_iter().map(row).collect()),
        Question::Summaries(uids) => {
            let summary = Arc::new(Summary::scan(MESSAGE));
            Answer::Summaries(
                present(&uids)
                    .into_iter()
                    .map(|it| (uid(it), summary.clone()))
                    .collect(),
            )
        }
        Question::Read { range, .. } => Answer::Octets(cut(range)),
        Question::Fronts(wanted) => Answer::Fronts(
            wanted
                .into_iter()
                .map(|(_, excerpt)| excerpt.of(&Bytes::from_static(MESSAGE)))
                .collect(),
        ),
        Question::Store { uids, .. } => Answer::Stored(StoreReceipt {
            messages: present(&uids).into_iter().map(row).collect(),
            modified: UidSet::EMPTY,
            ..StoreReceipt::default()
        }),
        Question::Copy { uids, .. } | Question::Move { uids, .. } => Answer::Copied(CopyReceipt {
            uid_validity: UidValidity::new(1).unwrap(),
            pairs: present(&uids)
                .into_iter()
                .map(|it| (uid(it), uid(it + 10)))
                .collect(),
        }),
        Question::Expunge(uids) => Answer::Expunged(uids),
        Question::AppendEnd { .. } => Answer::Appended(vec![Appended {
            mailbox: MailboxId(1),
            uid_validity: UidValidity::new(1).unwrap(),
            uid: uid(4),
            modseq: ModSeq::MIN,
        }]),
        Question::Delete(_) => Answer::Failed(StoreError::NoSuchMailbox),
        _ => Answer::Done,
    }
}

fn cut(range: std::ops::Range<u64>) -> Bytes {
    let clamp = |at: u64| usize::try_from(at).unwrap().min(MESSAGE.len());
    Bytes::from_static(&MESSAGE[clamp(range.start)..clamp(range.end)])
}

/// What the server says to `pieces`.
fn talk<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut config = Config::new("host");
    config.plaintext_login = PlaintextLogin::Anywhere;
    config.max_errors = 1_000;
    let peer = Peer {
        address: None,
        transport: Transport::PlainWithStartTls,
    };
    let mut abilities = Abilities::default();
    abilities.atomic_move = true;
    abilities.multi_append = true;
    abilities.watch_account = true;
    let mut session = Session::new(Arc::new(config), abilities, peer);
    let mut said = Vec::new();
    let mut now = Monotonic::default();
    for mut piece in pieces {
        while !piece.is_empty() {
            let room = session.input().room().min(piece.len());
            assert!(room > 0, "the session waits and takes nothing");
            session.receive(&piece[..room]);
            piece = &piece[room..];
            loop {
                match session.step(now) {
                    Step::Send(octets) => said.extend_from_slice(&octets),
                    Step::Ask(question) => session.answer(answer(question)),
                    Step::Wait { until } => now = until,
                    Step::UpgradeTls | Step::Close => return said,
                    Step::Read { .. } => break,
                }
            }
        }
    }
    said
}

fn line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("1:*"),
        Just("2"),
        Just("3:1,2"),
        Just("INBOX"),
        Just("\"a b\""),
        Just("{3}\r\nabc"),
        Just("{3+}\r\nabc"),
        Just("{9}"),
        Just("(FLAGS UID)"),
        Just("BODY[]"),
        Just("BODY[1.MIME]<1.2>"),
        Just("BODY.PEEK[HEADER.FIELDS (Subject)]"),
        Just("ENVELOPE"),
        Just("BODYSTRUCTURE"),
        Just("FULL"),
        Just("+FLAGS"),
        Just("FLAGS.SILENT"),
        Just("(\\Seen x)"),
        Just("ALL"),
        Just("NOT"),
        Just("TEXT one"),
        Just("OR"),
        Just("("),
        Just(")"),
        Just("SUBJECT x"),
        Just("UID"),
        Just("*"),
        Just(""),
        Just("\0"),
        Just("=A"),
        Just("PLAIN"),
        Just("\"\" %"),
        Just("(MESSAGES)"),
        Just("BODY nothing"),
        Just("(CHANGEDSINCE 1)"),
        Just("(UNCHANGEDSINCE 1)"),
        Just("(SUBSCRIBED) \"\" *"),
        Just("RETURN (STATUS (UNSEEN))"),
        Just("MODSEQ 1"),
        Just("(CONDSTORE)"),
        Just("URL /;UID=2)"),
        Just("TEXT {3}\r\nabc)"),
    ];
    let command = prop_oneof![
        Just("FETCH"),
        Just("UID FETCH"),
        Just("STORE"),
        Just("SEARCH"),
        Just("UID SEARCH"),
        Just("COPY"),
        Just("MOVE"),
        Just("APPEND"),
        Just("SELECT"),
        Just("SELECT INBOX"),
        Just("EXAMINE INBOX"),
        Just("LIST"),
        Just("IDLE"),
        Just("DONE"),
        Just("CLOSE"),
        Just("EXPUNGE"),
        Just("UID EXPUNGE"),
        Just("STATUS"),
        Just("NOOP"),
        Just("ENABLE"),
        Just("LIST \"\" *"),
        Just("LSUB"),
        Just("CREATE"),
        Just("DELETE"),
        Just("RENAME"),
        Just("LOGIN a b"),
        Just("AUTHENTICATE"),
        Just("ID"),
        Just("NOTIFY SET (personal (MessageNew MessageExpunge))"),
        Just("NOTIFY SET STATUS (selected (MessageNew (FLAGS) MessageExpunge))"),
        Just("NOTIFY NONE"),
        Just("APPEND INBOX CATENATE (URL /;UID=1"),
        Just("APPEND INBOX CATENATE (TEXT"),
    ];
    let end = prop_oneof![9 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")];
    (command, proptest::collection::vec(word, 0..4), end).prop_map(|(command, words, end)| {
        format!("t {command} {}{end}", words.join(" ")).replace(" \r\n", "\r\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_commands_are_answered_alike_however_cut(
        lines in proptest::collection::vec(line(), 0..12),
        logged_in in any::<bool>(),
        size in 1usize..40,
    ) {
        let login = if logged_in { "t LOGIN a b\r\nt SELECT INBOX\r\n" } else { "" };
        let octets = format!("{login}{}", lines.concat()).into_bytes();
        let whole = talk(std::iter::once(octets.as_slice()));
        prop_assert_eq!(&whole, &talk(octets.chunks(size)));
        prop_assert_eq!(&whole, &talk(octets.chunks(1)));
    }

    #[test]
    fn any_octets_are_answered(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        talk(std::iter::once(octets.as_slice()));
    }
}

#[test]
fn bombs_are_turned_away() {
    let endless = vec![b'x'; 200_000];
    let said = talk(std::iter::once(endless.as_slice()));
    assert!(
        String::from_utf8_lossy(&said).contains("* BYE"),
        "a line without end"
    );
    let said = talk(
        std::iter::once(&b"a AUTHENTICATE PLAIN\r\n"[..])
            .chain(std::iter::once(endless.as_slice())),
    );
    assert!(
        String::from_utf8_lossy(&said).contains("* BYE"),
        "a response without end"
    );
    let many = format!(
        "a LOGIN a b\r\nb SELECT INBOX\r\nc FETCH {}1 FLAGS\r\n",
        "1,".repeat(30_000)
    );
    let said = talk(std::iter::once(many.as_bytes()));
    assert!(
        String::from_utf8_lossy(&said).contains("c OK"),
        "a long set"
    );
    let deep = format!(
        "a LOGIN a b\r\nb SELECT INBOX\r\nc SEARCH {}\r\n",
        "(".repeat(60_000)
    );
    let said = talk(std::iter::once(deep.as_bytes()));
    assert!(
        String::from_utf8_lossy(&said).contains("c BAD"),
        "deep parentheses"
    );
}

fn session(transport: Transport) -> Session {
    let mut config = Config::new("host");
    config.plaintext_login = PlaintextLogin::Anywhere;
    Session::new(
        Arc::new(config),
        Abilities::default(),
        Peer {
            address: None,
            transport,
        },
    )
}

/// Steps until the session waits; what it sent.
fn until_waiting(session: &mut Session) -> String {
    let mut said = Vec::new();
    loop {
        match session.step(Monotonic::default()) {
            Step::Send(octets) => said.extend_from_slice(&octets),
            Step::Ask(question) => session.answer(answer(question)),
            _ => return String::from_utf8(said).unwrap(),
        }
    }
}

#[test]
fn what_came_in_clear_is_dropped_when_tls_begins() {
    let mut session = session(Transport::PlainWithStartTls);
    session.receive(b"a STARTTLS\r\nb LOGIN a b\r\nc NO");
    assert!(until_waiting(&mut session).ends_with("a OK Begin TLS negotiation now\r\n"));
    session.receive(b"d LOGIN x y\r\n");
    session.tls_established(mailcore::wire::TlsInfo::default());
    assert_eq!(until_waiting(&mut session), "");
    session.receive(b"OP\r\n");
    assert_eq!(until_waiting(&mut session), "OP BAD Unknown command\r\n");
}

/// The rows, of messages of another size.
fn sized(answer: Answer, size: u64) -> Answer {
    let Answer::Rows(mut rows) = answer else {
        return answer;
    };
    rows.iter_mut().for_each(|row| row.size = size);
    Answer::Rows(rows)
}

#[test]
fn a_large_message_passes_through_in_pieces() {
    const SIZE: u64 = 5_000_000;
    let mut session = session(Transport::Tls);
    session.receive(b"a LOGIN a b\r\nb SELECT INBOX\r\n");
    until_waiting(&mut session);
    session.receive(b"c FETCH 1 BODY.PEEK[]\r\n");
    let (mut asked, mut received) = (0, 0);
    loop {
        match session.step(Monotonic::default()) {
            Step::Send(octets) => {
                received += octets.len() as u64;
                // Nothing more is read while octets wait to be sent.
                assert!(asked <= received + 65_536, "{asked} asked, {received} sent");
            }
            Step::Ask(question @ Question::Rows(_)) => {
                session.answer(sized(answer(question), SIZE));
            }
            Step::Ask(Question::Read { range, .. }) => {
                let length = range.end - range.start;
                assert!(length <= 65_536);
                asked += length;
                session.answer(Answer::Octets(
                    vec![b'x'; usize::try_from(length).unwrap()].into(),
                ));
            }
            Step::Ask(question) => session.answer(answer(question)),
            _ => break,
        }
    }
    assert_eq!(asked, SIZE);
    assert!(received > SIZE);
}

#[test]
fn a_message_that_ends_early_ends_the_connection() {
    let mut session = session(Transport::Tls);
    session.receive(b"a LOGIN a b\r\nb SELECT INBOX\r\n");
    until_waiting(&mut session);
    session.receive(b"c FETCH 1 BODY.PEEK[]\r\nd NOOP\r\n");
    let mut pieces = 0;
    let mut said = Vec::new();
    let ending = loop {
        match session.step(Monotonic::default()) {
            Step::Send(octets) => said.extend_from_slice(&octets),
            Step::Ask(question @ Question::Rows(_)) => {
                session.answer(sized(answer(question), 200_000));
            }
            Step::Ask(Question::Read { .. }) => {
                pieces += 1;
                session.answer(match pieces {
                    1 => Answer::Octets(vec![b'x'; 65_536].into()),
                    _ => Answer::Failed(StoreError::Damaged("a block".into())),
                });
            }
            Step::Ask(question) => session.answer(answer(question)),
            step => break step,
        }
    };
    assert_eq!(format!("{ending:?}"), "Close");
    assert!(
        !String::from_utf8_lossy(&said).contains("d OK"),
        "a reply within a literal"
    );
}

/// Logged in with INBOX selected, the server says this to `lines`.
fn logged_in(lines: &[u8]) -> String {
    let login = &b"a LOGIN a b\r\nb SELECT INBOX\r\n"[..];
    let said = talk([login, lines].into_iter());
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn bad_input_is_answered_and_the_connection_lives_on() {
    let ranges = "1:4294967295,".repeat(4_000);
    let literals = "{1+}\r\nx ".repeat(1_100);
    for bad in [
        format!("c FETCH {ranges}1 FLAGS\r\n"),
        format!("c UID FETCH {ranges}1 FLAGS\r\n"),
        format!("c SEARCH {ranges}1\r\n"),
        format!("c STORE {ranges}1 FLAGS (x)\r\n"),
        format!("c FETCH 1 {}FLAGS\r\n", "(".repeat(30_000)),
        format!("c FETCH 1 (FLAGS{}\r\n", ")".repeat(30_000)),
        format!("c FETCH 1 BODY[{}1]\r\n", "1.".repeat(20_000)),
        format!(
            "c FETCH 1 BODY[HEADER.FIELDS ({}x)]\r\n",
            "x ".repeat(20_000)
        ),
        format!("c SEARCH {}ALL\r\n", "NOT ".repeat(15_000)),
        format!("c SEARCH {}ALL\r\n", "OR ".repeat(15_000)),
        format!("c STORE 1 FLAGS ({}x)\r\n", "x ".repeat(20_000)),
        format!("c LIST \"\" {}\r\n", "*%".repeat(20_000)),
        format!(
            "c NOTIFY SET {}(personal NONE)\r\n",
            "(personal NONE) ".repeat(3_000)
        ),
        format!(
            "c APPEND INBOX CATENATE ({}URL x)\r\n",
            "URL x ".repeat(9_000)
        ),
        "c SELECT a\0b\r\n".to_owned(),
        "c SELECT \"a\u{80}\"\r\n".to_owned(),
        "c FETCH 1 FLAGS\n".to_owned(),
    ] {
        let said = logged_in(format!("{bad}d NOOP\r\n").as_bytes());
        let answered = ["\r\nc BAD ", "\r\nc NO ", "\r\nc OK "];
        let name = bad.get(..30).unwrap_or(&bad);
        assert!(
            answered.iter().any(|it| said.contains(it)),
            "{name}: {said:.200}"
        );
        assert!(said.ends_with("d OK Completed\r\n"), "{name}: {said:.200}");
    }
    let said = logged_in(format!("c SEARCH OR SUBJECT {literals}\r\n").as_bytes());
    assert!(
        said.contains("c NO [TOOBIG]") && said.contains("* BYE"),
        "{said:.200}"
    );
}

/// The answer when the only message is `message`.
fn answer_of(question: Question, message: &[u8], summary: &Arc<Summary>) -> Answer {
    let cut = |range: std::ops::Range<u64>| {
        let clamp = |at: u64| usize::try_from(at).unwrap().min(message.len());
        Bytes::copy_from_slice(&message[clamp(range.start)..clamp(range.end)])
    };
    match question {
        Question::Summaries(_) => Answer::Summaries(vec![(uid(1), summary.clone())]),
        Question::Read { range, .. } => Answer::Octets(cut(range)),
        Question::Fronts(wanted) => {
            let message = Bytes::copy_from_slice(message);
            let fronts = wanted.iter().map(|(_, excerpt)| excerpt.of(&message));
            Answer::Fronts(fronts.collect())
        }
        other => sized(answer(other), message.len() as u64),
    }
}

#[test]
fn a_message_made_to_be_expensive_is_told_within_bounds() {
    let nested: String = (0..20_000)
        .map(|i| format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n"))
        .collect();
    let forwarded = "Content-Type: message/rfc822\r\n\r\n".repeat(20_000);
    let parts = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n",
        "--b\r\n\r\n".repeat(100_000)
    );
    let addresses = format!("To: {}x@y\r\n\r\n", "a@b,".repeat(100_000));
    let comments = format!("To: {}\r\n\r\n", "(".repeat(500_000));
    let parameters = format!(
        "Content-Type: text/plain{}\r\n\r\n",
        ";a*0*=x".repeat(100_000)
    );
    let path = "1.".repeat(99);
    for message in [
        nested,
        forwarded,
        parts,
        "X: y\r\n".repeat(100_000),
        addresses,
        comments,
        parameters,
    ] {
        let message = message.as_bytes();
        let summary = Arc::new(Summary::scan(message));
        let mut session = session(Transport::Tls);
        session.receive(b"a LOGIN a b\r\nb SELECT INBOX\r\n");
        until_waiting(&mut session);
        session.receive(
            format!("c FETCH 1 (ENVELOPE BODYSTRUCTURE BODY.PEEK[{path}1] BODY.PEEK[HEADER.FIELDS (X)])\r\nd NOOP\r\n")
                .as_bytes(),
        );
        let (mut said, mut last) = (0, Vec::new());
        loop {
            match session.step(Monotonic::default()) {
                Step::Send(octets) => {
                    said += octets.len();
                    last = octets.to_vec();
                }
                Step::Ask(question) => session.answer(answer_of(question, message, &summary)),
                _ => break,
            }
        }
        let name = String::from_utf8_lossy(&message[..40]).into_owned();
        assert!(said < 4 * 1024 * 1024, "{name}: {said} octets");
        assert!(last.ends_with(b"d OK Completed\r\n"), "{name}");
    }
}

#[test]
fn what_a_fetch_marked_and_then_could_not_tell_is_told_later() {
    let mut session = session(Transport::Tls);
    session.receive(b"a LOGIN a b\r\nb SELECT INBOX\r\n");
    until_waiting(&mut session);
    session.receive(b"c FETCH 1 BODY[TEXT]\r\nd NOOP\r\n");
    let mut seen = row(1);
    seen.flags = [SystemFlag::Seen].into_iter().collect();
    seen.modseq = ModSeq::MIN.next();
    let mut said = Vec::new();
    loop {
        match session.step(Monotonic::default()) {
            Step::Send(octets) => said.extend_from_slice(&octets),
            Step::Ask(Question::Store { .. }) => session.answer(Answer::Stored(StoreReceipt {
                messages: vec![seen.clone()],
                modseq: Some(seen.modseq),
                ..StoreReceipt::default()
            })),
            Step::Ask(Question::Summaries(_)) => {
                session.answer(Answer::Failed(StoreError::Damaged("a block".into())));
            }
            Step::Ask(Question::Changes { .. }) => session.answer(Answer::News(Box::new(News {
                changes: Changes {
                    changed: vec![seen.clone()],
                    vanished: UidSet::EMPTY,
                    complete: true,
                    status: MailboxStatus {
                        highest_modseq: seen.modseq,
                        ..status()
                    },
                },
                recent_from: None,
            }))),
            Step::Ask(question) => session.answer(answer(question)),
            _ => break,
        }
    }
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("c NO"), "{said}");
    assert!(said.contains("* 1 FETCH (UID 1 FLAGS (\\Seen))"), "{said}");
}
