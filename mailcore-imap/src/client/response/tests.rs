//! What servers really write.

use mailcore::mailbox::{ModSeq, SpecialUse, SystemFlag, Uid};
use mailcore::message::HeaderAddress;

use super::*;

fn parse(text: &str) -> Response {
    Response::parse(text.as_bytes(), &Settings::default())
}

fn data(text: &str) -> Data {
    match parse(text) {
        Response::Data(data) => data,
        other => panic!("{other:?}"),
    }
}

fn status(text: &str) -> Status {
    match parse(text) {
        Response::Untagged(status) | Response::Tagged(_, status) => status,
        other => panic!("{other:?}"),
    }
}

fn fetched(text: &str) -> Fetched {
    match parse(text) {
        Response::Fetch(response) => response.fetched,
        other => panic!("{other:?}"),
    }
}

#[test]
fn statuses_are_read_with_codes_texts_or_neither() {
    let said = status("* OK [ALERT] Mailbox is full");
    assert_eq!(said.code, Some(Code::Alert));
    assert_eq!(said.text, "Mailbox is full");
    assert_eq!(status("a1 OK").text, "");
    assert_eq!(status("a1 no ").condition, Condition::No);
    assert_eq!(status("*  OK[READ-ONLY]x").code, Some(Code::ReadOnly));
    assert_eq!(status("* BYE").condition, Condition::Bye);
    let said = status("a1 NO [X-Y \"]\" z] t\u{7}ext");
    assert_eq!(said.code, Some(Code::Other("X-Y \"]\" z".to_owned())));
    assert_eq!(said.text, "t ext");
    assert_eq!(
        status("* OK [UNSEEN").code,
        Some(Code::Other("UNSEEN".to_owned()))
    );
}

#[test]
fn codes_carry_their_arguments() {
    let code = |text: &str| status(&format!("a1 OK [{text}] done")).code.unwrap();
    let Code::CopyUid(copied) = code("COPYUID 9 5,1:2 7:9") else {
        panic!()
    };
    let pairs: Vec<_> = copied
        .pairs()
        .map(|(a, b)| (a.value(), b.value()))
        .collect();
    assert_eq!(pairs, [(5, 7), (1, 8), (2, 9)]);
    let Code::CopyUid(uneven) = code("COPYUID 9 1:4294967295 7") else {
        panic!()
    };
    assert_eq!(uneven.pairs().count(), 0);
    assert!(matches!(code("APPENDUID 9 17"), Code::AppendUid { uids, .. } if uids.len() == 1));
    assert!(matches!(code("HIGHESTMODSEQ 0"), Code::Other(_)));
    assert!(matches!(code("MAILBOXID (F2212ea87)"), Code::MailboxId(id) if id == "F2212ea87"));
    let Code::PermanentFlags(kept) = code("PERMANENTFLAGS (\\Answered $X \\*)") else {
        panic!()
    };
    assert!(kept.new_keywords && kept.flags.contains(SystemFlag::Answered));
    let Code::Capability(offered) = code("CAPABILITY IMAP4rev1 auth=PLAIN") else {
        panic!()
    };
    assert!(offered.has("IMAP4REV1") && offered.has_mechanism("PLAIN"));
}

#[test]
fn mailboxes_are_read_in_every_form() {
    let listed = |text: &str| match data(text) {
        Data::List(listed) | Data::Lsub(listed) => listed,
        other => panic!("{other:?}"),
    };
    let sent = listed("* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent &- Co\"");
    assert_eq!(
        (sent.name.as_str(), sent.delimiter),
        ("Sent & Co", Some('/'))
    );
    assert_eq!(sent.special_use(), Some(SpecialUse::Sent));
    assert_eq!(listed("* LSUB () NIL inbox").name.as_str(), "INBOX");
    assert_eq!(
        listed("* LIST () \".\" {5}\r\na\"b c").name.as_str(),
        "a\"b c"
    );
    assert_eq!(
        listed("* LIST () \"\\\\\" Public Folders").name.as_str(),
        "Public Folders"
    );
    assert_eq!(
        listed("* XLIST (\\HasNoChildren \\Spam) \"/\" \"[Gmail]/Spam\"").special_use(),
        Some(SpecialUse::Junk)
    );
    let moved = listed("* LIST () \"/\" \"new\" (\"OLDNAME\" (\"old\"))");
    assert_eq!(moved.old_name.unwrap().as_str(), "old");
    assert!(!listed("* LIST (\\noselect) \"/\" a").is_selectable());
}

#[test]
fn counters_searches_and_the_rest_are_read() {
    let Data::Status(name, counters) =
        data("* STATUS \"a b\" (MESSAGES 3 UIDNEXT 9 SIZE -1 HIGHESTMODSEQ 7 MAILBOXID (x) Y 1) ")
    else {
        panic!()
    };
    assert_eq!(name.as_str(), "a b");
    assert_eq!((counters.messages, counters.size), (Some(3), None));
    assert_eq!(counters.highest_modseq, ModSeq::new(7));
    let found = |text: &str| match data(text) {
        Data::Search(found) => found,
        other => panic!("{other:?}"),
    };
    assert!(found("* SEARCH").numbers.is_empty());
    let some = found("* SEARCH 5 3  4 9 (MODSEQ 17)");
    assert_eq!(
        (some.numbers.to_string().as_str(), some.modseq),
        ("3:5,9", ModSeq::new(17))
    );
    let some = found("* ESEARCH (TAG \"a1\") UID COUNT 5 ALL 4:6,9,8");
    assert_eq!(
        (some.numbers.to_string().as_str(), some.count),
        ("4:6,8:9", Some(5))
    );
    assert!(matches!(
        data("* VANISHED (EARLIER) 41,43:45"),
        Data::Vanished { uids, when: Vanished::Earlier } if uids.len() == 4
    ));
    let Data::Namespace(spaces) =
        data("* NAMESPACE ((\"INBOX.\" \".\")) NIL ((\"#p/\" \"/\" \"X\" (\"a\")))")
    else {
        panic!()
    };
    assert_eq!(spaces.personal[0].1, Some('.'));
    assert_eq!((spaces.others.len(), spaces.shared.len()), (0, 1));
    let Data::Quota(root) = data("* QUOTA \"\" (STORAGE 10 512 MESSAGE 1 NIL)") else {
        panic!()
    };
    assert_eq!(root.resources[0], ("STORAGE".to_owned(), 10, 512));
    assert!(matches!(data("* ID NIL"), Data::Id(fields) if fields.is_empty()));
    assert!(
        matches!(data("* ID (\"name\" \"x\" \"os\" NIL)"), Data::Id(fields) if fields.len() == 2)
    );
    assert!(matches!(data("* 5 WHATEVER"), Data::Other(_)));
    assert!(matches!(data("* LIST"), Data::Other(_)));
    assert!(matches!(parse("hello there"), Response::Garbage(_)));
}

#[test]
fn everything_a_fetch_tells_is_read_whatever_the_order() {
    let message = fetched(
        "* 12 FETCH (FLAGS (\\Seen \"$X\" \\Recent) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" \
         RFC822.SIZE 4286 MODSEQ (65402) EMAILID (M6d) THREADID NIL SAVEDATE NIL \
         X-GM-MSGID 1278 X-UNKNOWN (a (b \")\")) BINARY.SIZE[1.2] 5 UID 42)",
    );
    assert_eq!((message.number, message.uid), (12, Uid::new(42)));
    assert!(message.recent && message.flags.unwrap().contains(SystemFlag::Seen));
    assert_eq!(
        message.internal_date.unwrap().to_imap(),
        "17-Jul-1996 02:44:25 -0700"
    );
    assert_eq!(
        (message.size, message.modseq),
        (Some(4286), ModSeq::new(65402))
    );
    assert_eq!(
        (message.email_id.as_deref(), message.thread_id),
        (Some("1278"), None)
    );
    assert_eq!(message.binary_sizes, [("1.2".to_owned(), 5)]);
}

#[test]
fn an_envelope_is_read_with_groups_literals_and_missing_ends() {
    let message = fetched(
        "* 1 FETCH (ENVELOPE (\"Wed\" {3}\r\na)b ((\"Ann \\\"A\\\"\" NIL \"ann\" \"x.test\")) NIL NIL \
         ((NIL NIL \"team\" NIL)(NIL NIL \"bob\" \"x.test\")(NIL NIL NIL NIL)) NIL NIL NIL \"<1@x>\"))",
    );
    let envelope = message.envelope.unwrap();
    assert_eq!(envelope.subject.as_deref(), Some(&b"a)b"[..]));
    assert_eq!(envelope.from[0].mailbox().unwrap().address(), b"ann@x.test");
    assert_eq!(envelope.to[0], HeaderAddress::GroupStart(b"team".to_vec()));
    assert_eq!(envelope.to[2], HeaderAddress::GroupEnd);
    assert_eq!(envelope.message_id.as_deref(), Some(&b"<1@x>"[..]));
    let short = fetched("* 1 FETCH (ENVELOPE (NIL \"s\") UID 5)");
    assert_eq!(short.envelope.unwrap().subject.as_deref(), Some(&b"s"[..]));
    assert_eq!(short.uid, Uid::new(5));
}

#[test]
fn a_structure_is_a_tree_as_far_as_it_is_not_too_deep() {
    let message = fetched(
        "* 1 FETCH (BODYSTRUCTURE ((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\") NIL NIL \"7BIT\" 12 1 NIL \
         (\"inline\" NIL))(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 99 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) \
         ((\"TEXT\" \"HTML\" NIL NIL NIL NIL -1 4)(\"IMAGE\" \"PNG\" NIL \"<i>\" NIL \"BASE64\" 3) \"RELATED\") 7)\
         (\"APPLICATION\" \"PDF\" (\"NAME\" \"a.pdf\") NIL NIL \"BASE64\" 77 NIL (\"attachment\" (\"FILENAME\" \"a.pdf\"))) \
         \"MIXED\" (\"BOUNDARY\" \"x\")))",
    );
    let structure = message.structure.unwrap();
    let single = |path: &[u32]| match structure.at(path) {
        Some(BodyStructure::Single(part)) => part.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (single(&[1]).subtype.as_str(), single(&[1]).lines),
        ("PLAIN", Some(1))
    );
    assert_eq!(
        (single(&[2, 1]).size, single(&[2, 2]).id.as_deref()),
        (None, Some("<i>"))
    );
    let (name, parameters) = single(&[3]).disposition.unwrap();
    assert_eq!(
        (name.as_str(), parameters[0].1.as_str()),
        ("attachment", "a.pdf")
    );
    assert!(structure.at(&[4]).is_none() && structure.at(&[1, 1, 1]).is_none());
    let deep = format!(
        "* 1 FETCH (BODY {}{} UID 3)",
        "(".repeat(90),
        ")".repeat(90)
    );
    let deep = fetched(&deep);
    assert_eq!((deep.structure, deep.uid), (None, Uid::new(3)));
    let deep = format!("* 1 FETCH (UID 3 BODY {})", "(".repeat(100_000));
    assert_eq!(fetched(&deep).uid, Uid::new(3));
}

#[test]
fn braces_that_announce_nothing_are_passed_over_once() {
    // Looking for the end of each would take hours.
    let braces = "{".repeat(4_000_000);
    let known = fetched(&format!("* 1 FETCH (UID 7 X ({braces}}}) FLAGS (\\Seen))"));
    assert_eq!(known.uid, Uid::new(7));
    assert!(known.flags.unwrap().contains(SystemFlag::Seen));
}
