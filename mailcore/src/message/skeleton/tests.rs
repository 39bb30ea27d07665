use super::*;
use crate::message::Section;
use proptest::prelude::*;

/// `index<parent kind type/subtype "body"` for each part.
fn shown(octets: &[u8]) -> Vec<String> {
    let summary = Summary::scan(octets);
    let line = |(index, part): (usize, &Part)| {
        let kind = match part.kind {
            PartKind::Leaf => "leaf",
            PartKind::Multipart => "multi",
            PartKind::Message(_) => "message",
        };
        let parent = part
            .parent
            .map_or("-".to_owned(), |parent| parent.to_string());
        let (start, end) = (part.body_start as usize, part.body_end as usize);
        let body = match part.kind {
            PartKind::Leaf => String::from_utf8_lossy(&octets[start..end]).into_owned(),
            _ => String::new(),
        };
        let content = &part.content;
        format!(
            "{index}<{parent} {kind} {}/{} {body:?}",
            content.media_type, content.subtype
        )
    };
    summary.parts.iter().enumerate().map(line).collect()
}

#[test]
fn bodies_end_before_the_line_end_of_the_boundary() {
    let parts = shown(
        b"Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n--b\r\n\r\none\r\n\r\n--b  \r\n\
          Content-Type: image/png\r\n\r\n--bc\n--b--\r\n--b\r\nepilogue",
    );
    assert_eq!(
        parts,
        [
            "0<- multi multipart/mixed \"\"",
            "1<0 leaf text/plain \"one\\r\\n\"",
            "2<0 leaf image/png \"\"",
            "3<0 leaf text/plain \"\"",
        ]
    );
}

#[test]
fn longest_boundary_wins() {
    let parts = shown(
        b"Content-Type: multipart/mixed; boundary=a\n\n--a\n\
          Content-Type: multipart/mixed; boundary=ab\n\n--ab\n\nx\n--ab--\n--a\n\ny\n--a--\n",
    );
    assert_eq!(parts.len(), 4);
    assert_eq!(parts[2], "2<1 leaf text/plain \"x\"");
    assert_eq!(parts[3], "3<0 leaf text/plain \"y\"");
}

#[test]
fn outer_boundary_ends_inner_parts() {
    let parts = shown(
        b"Content-Type: multipart/mixed; boundary=o\n\n--o\n\
          Content-Type: message/rfc822\n\n\
          Content-Type: multipart/alternative; boundary=i\n\n--i\n\ninner\n--o\n\nouter\n--i\nstill\n--o--",
    );
    assert_eq!(
        parts[1..],
        [
            "1<0 message message/rfc822 \"\"",
            "2<1 multi multipart/alternative \"\"",
            "3<2 leaf text/plain \"inner\"",
            "4<0 leaf text/plain \"outer\\n--i\\nstill\"",
        ]
    );
}

#[test]
fn headers_cut_short_by_a_boundary() {
    let parts = shown(
        b"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: message/rfc822\n--o\n\
          Content-Type: text/html\n--o--\n",
    );
    assert_eq!(
        parts[1..],
        [
            "1<0 message message/rfc822 \"\"",
            "2<1 leaf text/plain \"\"",
            "3<0 leaf text/html \"\"",
        ]
    );
}

#[test]
fn digest_parts_are_messages() {
    let parts =
        shown(b"Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: x\n\nbody\n--d--\n");
    assert_eq!(parts[1], "1<0 message message/rfc822 \"\"");
    assert_eq!(parts[2], "2<1 leaf text/plain \"body\"");
}

#[test]
fn multiparts_that_are_none_show_their_text() {
    for octets in [
        &b"Content-Type: multipart/mixed\n\ntext"[..],
        b"Content-Type: multipart/mixed; boundary=\"\"\n\ntext",
        b"Content-Type: multipart/mixed; boundary=b\n\ntext",
    ] {
        assert_eq!(shown(octets), ["0<- leaf text/plain \"text\""]);
    }
}

#[test]
fn empty_message_has_one_part() {
    assert_eq!(shown(b""), ["0<- leaf text/plain \"\""]);
}

#[test]
fn lines_are_line_ends_of_the_body() {
    let summary = Summary::scan(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n1\r\n2\r\n--b\r\n\r\n--b\r\n\r\n1\r\n\r\n--b--\r\n",
    );
    let lines: Vec<u64> = summary.parts.iter().map(|part| part.lines).collect();
    assert_eq!(lines, [11, 1, 0, 1]);
    assert_eq!(Summary::scan(b"\r\n1\r\n2\r\n").parts[0].lines, 2);
}

#[test]
fn nesting_is_cut_at_the_limit() {
    let mut octets = Vec::new();
    for level in 0..500 {
        let header = format!("Content-Type: multipart/mixed; boundary=b{level}.\n\n--b{level}.\n");
        octets.extend_from_slice(header.as_bytes());
    }
    octets.extend_from_slice(b"\ndeep\n--b3.\n\nback\n");
    let summary = Summary::scan(&octets);
    assert_eq!(summary.parts.len(), 101);
    assert!(summary.parts[99].content.is("application", "octet-stream"));
    assert_eq!(summary.parts[100].parent, Some(3));
    let path = [1; 99];
    assert!(summary.range(&path, Section::Body).is_some());

    let messages = b"Content-Type: message/rfc822\n\n".repeat(500);
    let summary = Summary::scan(&messages);
    assert_eq!(summary.parts.len(), 100);
    assert!(summary.parts[99].content.is("application", "octet-stream"));
}

#[test]
fn the_last_part_takes_in_the_rest() {
    let mut octets = b"Content-Type: multipart/mixed; boundary=b\n\n".to_vec();
    octets.extend_from_slice(&b"--b\n\nx\n".repeat(20_000));
    let summary = Summary::scan(&octets);
    assert_eq!(summary.parts.len(), 10_000);
    let last = summary.parts.last().unwrap();
    assert!(last.content.is("application", "octet-stream"));
    assert_eq!(last.body_end, octets.len() as u64);
    assert_eq!(summary.children(0).count(), 9_999);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut octets = Vec::new();
    for index in 0..100_000 {
        octets.extend_from_slice(format!("To: <a{index}@example.org>, x: y@z;\n").as_bytes());
    }
    let summary = Summary::scan(&octets);
    assert!(summary.envelope.to.len() <= 10_001);
    let part = format!("--b\nContent-Description: {}\n\n", "d".repeat(100_000));
    let octets = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        part.repeat(500)
    );
    assert!(Summary::scan(octets.as_bytes()).encode().len() < 2 << 20);
}

/// CVE-2026-26312 (Stalwart): a message within a message within a message.
#[test]
fn messages_within_messages_end_at_the_limit_whatever_they_hold() {
    let forwarded = "Content-Type: message/rfc822\r\n\r\n";
    let mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n";
    for one in [forwarded.to_owned(), format!("{mixed}{forwarded}")] {
        let summary = Summary::scan(one.repeat(100_000).as_bytes());
        assert!(summary.parts.len() <= 10_000, "{}", summary.parts.len());
        let mut deepest = 0;
        for mut part in 0..summary.parts.len() {
            let mut depth = 1;
            while let Some(parent) = summary.parts[part].parent {
                (part, depth) = (parent, depth + 1);
            }
            deepest = deepest.max(depth);
        }
        assert!(deepest <= 101, "{deepest}");
        assert!(summary.encode().len() < 1 << 20);
    }
}

/// CVE-2026-27859 (Dovecot): a parameter in a hundred thousand sections (RFC 2231
/// section 3).
#[test]
fn parameters_in_many_sections_are_kept_within_bounds() {
    for section in [";a*0*=x", ";a*0=x", ";a*99999999999=x", ";a=\"", ";a*=u''%"] {
        let parameters = section.repeat(100_000);
        let message = format!(
            "Content-Type: text/plain{parameters}\r\n\
             Content-Disposition: attachment{parameters}\r\n\r\n"
        );
        let kept = Summary::scan(message.as_bytes()).encode().len();
        assert!(kept < 256 * 1024, "{section}: {kept}");
    }
    let counted: String = (0..100_000).map(|it| format!(";a*{it}*=x")).collect();
    let message = format!("Content-Type: text/plain{counted}\r\n\r\n");
    let kept = Summary::scan(message.as_bytes()).encode().len();
    assert!(kept < 256 * 1024, "{kept}");
}

/// Messages of lines that matter to the scanner.
pub(in crate::message) fn arbitrary_message() -> impl Strategy<Value = Vec<u8>> {
    let boundary = prop_oneof![Just("a"), Just("ab"), Just("b--"), Just("\"c d\"")];
    let line = prop_oneof![
        boundary
            .clone()
            .prop_map(|name| format!("Content-Type: multipart/mixed; boundary={name}")),
        boundary
            .clone()
            .prop_map(|name| format!("--{}", name.trim_matches('"'))),
        boundary.prop_map(|name| format!("--{}--", name.trim_matches('"'))),
        Just("Content-Type: message/rfc822".to_owned()),
        Just("Content-Type: multipart/digest; boundary=a".to_owned()),
        Just("Content-Disposition: attachment; filename*=utf-8''%e2%82%ac; x=y".to_owned()),
        Just("Content-Language: en, de".to_owned()),
        Just("From: \"A\" <a@b.test>, g: c@d.test, <@r:e@f>;".to_owned()),
        Just("References: <a@b> <c@d>".to_owned()),
        Just("Date: Sun, 22 Nov 2026 01:44:00 +0000".to_owned()),
        Just(String::new()),
        Just(String::new()),
        Just("-".to_owned()),
        Just("--".to_owned()),
        "[ -~]{0,20}",
        Just("x".repeat(LINE_HEAD + 1)),
        Just(format!("--ab{}", " ".repeat(LINE_HEAD))),
    ];
    let end = prop_oneof![4 => Just("\r\n"), 2 => Just("\n"), 1 => Just("\r"), 1 => Just("")];
    let lines = proptest::collection::vec((line, end), 0..40);
    lines.prop_map(|lines| {
        lines
            .iter()
            .map(|(line, end)| format!("{line}{end}"))
            .collect::<String>()
            .into_bytes()
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        message in arbitrary_message(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        bytewise: bool,
    ) {
        let whole = Summary::scan(&message);
        let mut scanner = Scanner::new(Limits::default());
        if bytewise {
            message.chunks(1).for_each(|octet| scanner.push(octet));
        } else {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
            cuts.push(message.len());
            cuts.sort_unstable();
            let mut at = 0;
            for cut in cuts {
                scanner.push(&message[at..cut]);
                at = cut;
            }
        }
        prop_assert_eq!(scanner.finish(), whole);
    }

    #[test]
    fn the_tree_is_sound(message in arbitrary_message(), depth in 2usize..5, parts in 2usize..8) {
        let limits = Limits { depth, parts, ..Limits::default() };
        let mut scanner = Scanner::new(limits);
        scanner.push(&message);
        let summary = scanner.finish();
        prop_assert!(summary.parts.len() <= parts);
        prop_assert_eq!(summary.size, message.len() as u64);
        for (index, part) in summary.parts.iter().enumerate() {
            prop_assert!(part.header_start <= part.body_start && part.body_start <= part.body_end);
            let within = summary.children(index).count();
            match part.kind {
                PartKind::Leaf => prop_assert_eq!(within, 0),
                PartKind::Multipart => prop_assert!(within > 0),
                PartKind::Message(_) => prop_assert_eq!(within, 1),
            }
            for (_, child) in summary.children(index) {
                prop_assert_eq!(child.parent, Some(index));
                prop_assert!(child.header_start >= part.body_start);
                prop_assert!(child.body_end <= part.body_end);
            }
            let body = &message[part.body_start as usize..part.body_end as usize];
            let lines = memchr_iter(b'\n', body).count() as u64;
            prop_assert_eq!(part.lines, lines);
        }
    }
}
