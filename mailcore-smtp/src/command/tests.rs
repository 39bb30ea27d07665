//! Tables of what is read and refused, and encode-then-parse.

use std::time::Duration;

use mailcore::account::Secret;
use mailcore::address::{Address, AddressError, Domain, ForwardPath, ReversePath};
use mailcore::envelope::{BodyType, ByMode, MailParams, Notify, OriginalRecipient, Priority, Ret};
use mailcore::time::Timestamp;
use proptest::option;
use proptest::prelude::*;

use super::{Auth, By, Command, CommandError, Hold, Mail, Rcpt};

fn parse(line: &str) -> Result<Command, CommandError> {
    Command::parse(line.as_bytes())
}

fn mail(line: &str) -> Mail {
    match parse(line) {
        Ok(Command::Mail(mail)) => mail,
        other => panic!("{line:?} gave {other:?}"),
    }
}

fn rcpt(line: &str) -> Rcpt {
    match parse(line) {
        Ok(Command::Rcpt(rcpt)) => rcpt,
        other => panic!("{line:?} gave {other:?}"),
    }
}

#[test]
fn case_and_harmless_spaces_do_not_matter() {
    assert_eq!(parse("qUiT"), Ok(Command::Quit));
    assert_eq!(parse("noop a b"), Ok(Command::Noop));
    assert_eq!(parse("RSET  "), Ok(Command::Rset));
    let plain = parse("MAIL FROM:<a@x.test>");
    assert_eq!(parse("mail from: <a@x.test>  "), plain);
    let sized = mail("MAIL FROM:<a@x.test>  size=10   body=8bitmime");
    assert_eq!(
        (sized.params.size, sized.params.body),
        (Some(10), BodyType::EightBitMime)
    );
}

#[test]
fn priorities_and_holds_have_one_form_each() {
    let urgent = mail("MAIL FROM:<a@x.test> MT-PRIORITY=-4 HOLDFOR=60 BY=1;R");
    assert_eq!(urgent.params.priority.value(), -4);
    assert_eq!(urgent.hold, Some(Hold::For(Duration::from_secs(60))));
    for value in ["10", "-0", "+1", "01", "x"] {
        assert_eq!(
            parse(&format!("MAIL FROM:<a@x.test> MT-PRIORITY={value}")),
            Err(CommandError::BadParameter("MT-PRIORITY"))
        );
    }
    assert_eq!(
        parse("MAIL FROM:<a@x.test> HOLDFOR=1 HOLDUNTIL=2026-12-24T18:30:00Z"),
        Err(CommandError::RepeatedParameter("HOLDFOR or HOLDUNTIL"))
    );
}

#[test]
fn client_names_may_be_literals() {
    for (line, name) in [
        ("EHLO mail.example.com", "mail.example.com"),
        ("EHLO [192.0.2.1]", "[192.0.2.1]"),
        ("EHLO [IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        ("EHLO [2001:db8::1]", "[IPv6:2001:db8::1]"),
        ("EHLO bücher.example", "xn--bcher-kva.example"),
    ] {
        assert_eq!(
            parse(line),
            Ok(Command::Ehlo(Domain::parse(name).unwrap())),
            "{line}"
        );
    }
}

#[test]
fn parameters_are_decoded() {
    // RFC 4954 section 5.1 and RFC 3461 section 10.
    let asked = mail(
        "MAIL FROM:<e=mc2@example.com> AUTH=e+3Dmc2@example.com RET=HDRS ENVID=QQ314159 SMTPUTF8",
    );
    assert_eq!(
        asked.submitter,
        Some(ReversePath::Address(
            Address::parse("e=mc2@example.com").unwrap()
        ))
    );
    assert_eq!(asked.params.ret, Some(Ret::Headers));
    assert_eq!(asked.params.envelope_id.as_deref(), Some("QQ314159"));
    assert!(asked.params.smtputf8);
    assert_eq!(
        mail("MAIL FROM:<> AUTH=<>").submitter,
        Some(ReversePath::Null)
    );

    let asked =
        rcpt("RCPT TO:<Bob@Example.COM> NOTIFY=SUCCESS,delay ORCPT=rfc822;Bob+2Bx@Example.COM");
    assert_eq!(
        asked.notify,
        Notify {
            success: true,
            failure: false,
            delay: true,
            asked: true
        }
    );
    assert_eq!(asked.original.unwrap().address, "Bob+x@Example.COM");
    assert_eq!(
        rcpt("RCPT TO:<postmaster> NOTIFY=NEVER").notify,
        Notify::NEVER
    );
    let utf8 = rcpt("RCPT TO:<ж@x.test> ORCPT=utf-8;\\x{436}@x.test");
    assert_eq!(utf8.original.unwrap().address, "ж@x.test");
}

#[test]
fn a_quoted_local_part_may_hold_what_ends_a_path() {
    let address = rcpt("RCPT TO:<\"a> SIZE=1 \\\"<\"@x.test> NOTIFY=NEVER").forward_path;
    assert_eq!(
        address,
        ForwardPath::Address(Address::parse("\"a> SIZE=1 \\\"<\"@x.test").unwrap())
    );
}

#[test]
fn arguments_that_do_not_fit_show_the_usage() {
    let lines = [
        "EHLO",
        "HELO a b",
        "HELO a\"b",
        "MAIL",
        "MAIL TO:<a@x.test>",
        "MAIL FROM:<a@x.test>SIZE=1",
        "MAIL FROM:<a@x.test> =1",
        "MAIL FROM:<a@x.test> SIZE=",
        "RCPT",
        "DATA now",
        "QUIT now",
        "STARTTLS x",
        "VRFY",
        "AUTH",
        "AUTH A+B",
        "BDAT",
        "BDAT -1",
        "BDAT 1 2",
        "BDAT 1 LAST x",
        "BDAT 99999999999999999999",
    ];
    for line in lines {
        assert!(
            matches!(parse(line), Err(CommandError::Usage(_))),
            "{line:?} gave {:?}",
            parse(line)
        );
    }
}

fn assert_error(line: &str, error: CommandError) {
    assert_eq!(parse(line), Err(error), "{line:?}");
}

#[test]
fn what_is_no_command_is_told_apart() {
    use CommandError::{Base64, Http, NotImplemented, NotText, UnknownVerb};
    assert_error("", UnknownVerb);
    assert_error("FOO", UnknownVerb);
    assert_error("MAILFROM:<a@x.test>", UnknownVerb);
    assert_error("SOML FROM:<a@x.test>", NotImplemented);
    assert_error("GET / HTTP/1.1", Http);
    assert_error("host: x", Http);
    assert_error("EHLO a\0b", NotText);
    assert_error("EHLO a\rb", NotText);
    assert_error("VRFY \u{85}", NotText);
    assert_eq!(Command::parse(b"VRFY \xff"), Err(NotText));
    assert_error("AUTH PLAIN ***", Base64);
    assert_error("AUTH PLAIN =AAA", Base64);
}

#[test]
fn a_wrong_path_says_why() {
    use AddressError::{Brackets, Empty, LocalPart, NoDomain};
    use CommandError::{ForwardPath, ReversePath};
    assert_error("MAIL FROM:a@x.test", ReversePath(Brackets));
    assert_error("MAIL FROM:<a@x.test", ReversePath(Brackets));
    assert_error("MAIL FROM:<a>", ReversePath(NoDomain));
    assert_error("RCPT TO:<>", ForwardPath(Empty));
    assert_error("RCPT TO:<a..b@x.test>", ForwardPath(LocalPart));
}

#[test]
fn a_wrong_parameter_is_named() {
    use CommandError::{BadParameter, RepeatedParameter, UnknownParameter};
    assert_error("RCPT TO:<a@x.test> SIZE=1", UnknownParameter("SIZE".into()));
    assert_error("MAIL FROM:<> FOO=bar", UnknownParameter("FOO".into()));
    assert_error("MAIL FROM:<> SIZE=1 SIZE=1", RepeatedParameter("SIZE"));
    for (line, keyword) in [
        ("MAIL FROM:<> SIZE=99999999999999999999", "SIZE"),
        ("MAIL FROM:<> SIZE", "SIZE"),
        ("MAIL FROM:<> BODY=9BIT", "BODY"),
        ("MAIL FROM:<> SMTPUTF8=1", "SMTPUTF8"),
        ("MAIL FROM:<> ENVID=a+0D+0Ab", "ENVID"),
        ("MAIL FROM:<> ENVID=a=b", "ENVID"),
        ("MAIL FROM:<> ENVID=+4", "ENVID"),
        ("RCPT TO:<a@x.test> NOTIFY=NEVER,DELAY", "NOTIFY"),
        ("RCPT TO:<a@x.test> ORCPT=a@x.test", "ORCPT"),
        ("RCPT TO:<a@x.test> ORCPT=rfc822;a+0A", "ORCPT"),
        ("RCPT TO:<a@x.test> ORCPT=utf-8;\\x{0A}", "ORCPT"),
    ] {
        assert_error(line, BadParameter(keyword));
    }
}

#[test]
fn an_empty_initial_response_is_not_none() {
    let auth = |response| {
        Ok(Command::Auth(Auth {
            mechanism: "EXTERNAL".into(),
            initial_response: response,
        }))
    };
    assert_eq!(parse("AUTH external ="), auth(Some(Secret::default())));
    assert_eq!(parse("AUTH external"), auth(None));
}

fn ascii_domains() -> impl Strategy<Value = Domain> {
    prop_oneof![
        "[a-z0-9]{1,10}(\\.[a-z0-9]{1,10}){0,3}".prop_map(|text| Domain::parse(&text).unwrap()),
        any::<std::net::IpAddr>().prop_map(Domain::literal),
    ]
}

fn domains() -> impl Strategy<Value = Domain> {
    prop_oneof![ascii_domains(), Just(Domain::parse("пример.test").unwrap())]
}

fn addresses() -> impl Strategy<Value = Address> {
    ("[ -~]{1,30}|[а-я]{1,10}", domains())
        .prop_map(|(local, domain)| Address::new(&local, domain).unwrap())
}

fn reverse_paths() -> impl Strategy<Value = ReversePath> {
    prop_oneof![
        Just(ReversePath::Null),
        addresses().prop_map(ReversePath::Address)
    ]
}

fn mails() -> impl Strategy<Value = Command> {
    let body = prop_oneof![
        Just(BodyType::SevenBit),
        Just(BodyType::EightBitMime),
        Just(BodyType::BinaryMime)
    ];
    let ret = prop_oneof![Just(Ret::Full), Just(Ret::Headers)];
    let asked = (
        option::of(any::<u64>()),
        body,
        any::<bool>(),
        option::of(ret),
        option::of("[ -~]{1,33}"),
    );
    let hold = prop_oneof![
        (0u64..1_000_000_000).prop_map(|seconds| Hold::For(Duration::from_secs(seconds))),
        (0i64..100_000_000_000).prop_map(|at| Hold::Until(Timestamp::from_secs(at))),
    ];
    let by = (1i64..1_000_000_000, any::<bool>(), any::<bool>()).prop_map(|(time, r, trace)| By {
        seconds: if r { time } else { -time },
        mode: if r { ByMode::Return } else { ByMode::Notify },
        trace,
    });
    let times = (-9i8..=9, option::of(hold), option::of(by));
    (reverse_paths(), asked, option::of(reverse_paths()), times).prop_map(
        |(reverse_path, asked, submitter, (priority, hold, by))| {
            let mut params = MailParams::default();
            (
                params.size,
                params.body,
                params.smtputf8,
                params.ret,
                params.envelope_id,
            ) = asked;
            params.priority = Priority::new(priority).unwrap();
            Command::Mail(Mail {
                reverse_path,
                params,
                submitter,
                hold,
                by,
            })
        },
    )
}

fn rcpts() -> impl Strategy<Value = Command> {
    let path = prop_oneof![
        Just(ForwardPath::Postmaster),
        addresses().prop_map(ForwardPath::Address)
    ];
    let notify =
        (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(success, failure, delay)| {
            Notify {
                success,
                failure,
                delay,
                asked: true,
            }
        });
    let original = prop_oneof![
        "[ -~]{1,60}".prop_map(|address| OriginalRecipient {
            address_type: "rfc822".into(),
            address
        }),
        "[ -~а-я]{1,40}".prop_map(|address| OriginalRecipient {
            address_type: "utf-8".into(),
            address
        }),
    ];
    (path, notify, option::of(original)).prop_map(|(forward_path, notify, original)| {
        Command::Rcpt(Rcpt {
            forward_path,
            notify,
            original,
        })
    })
}

fn commands() -> impl Strategy<Value = Command> {
    let text = "[!-~а-я]([ -~]{0,20}[!-~])?";
    let secret = any::<Vec<u8>>().prop_map(Secret::new);
    prop_oneof![
        ascii_domains().prop_map(Command::Ehlo),
        ascii_domains().prop_map(Command::Helo),
        ascii_domains().prop_map(Command::Lhlo),
        mails(),
        rcpts(),
        (any::<u64>(), any::<bool>()).prop_map(|(size, last)| Command::Bdat { size, last }),
        ("[A-Z0-9-]{1,20}", option::of(secret)).prop_map(|(mechanism, initial_response)| {
            Command::Auth(Auth {
                mechanism,
                initial_response,
            })
        }),
        text.prop_map(Command::Vrfy),
        text.prop_map(Command::Expn),
        text.prop_map(Command::Etrn),
        option::of(text).prop_map(Command::Help),
        Just(Command::Data),
        Just(Command::Rset),
        Just(Command::Noop),
        Just(Command::Quit),
        Just(Command::StartTls),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(command in commands()) {
        let line = command.encode();
        let body = line.strip_suffix("\r\n").unwrap();
        prop_assert!(!body.contains(['\r', '\n']));
        prop_assert_eq!(parse(body), Ok(command));
    }

    #[test]
    fn any_octets_are_a_command_or_an_error(line in any::<Vec<u8>>(), text in "(MAIL FROM:|RCPT TO:|AUTH |BDAT )[ -~]{0,60}") {
        let _ = Command::parse(&line);
        let _ = parse(&text);
    }
}
