//! Conversions by example, and what holds for any message.

use proptest::prelude::*;

use super::super::skeleton::{Limits, Scanner};
use super::super::summary::Summary;
use super::super::transfer::{self, TransferEncoding};
use super::*;

fn convert_in(octets: &[u8], goal: Goal, piece: usize) -> Result<Vec<u8>, CannotConvert> {
    let mut scanner = Scanner::new(Limits::default());
    octets.chunks(piece).for_each(|piece| scanner.push(piece));
    let summary = scanner.finish();
    let mut inspector = PartInspector::new(&summary);
    octets.chunks(piece).for_each(|piece| inspector.push(piece));
    let mut conversion = inspector.finish(goal)?;
    let mut whole = Vec::new();
    for piece in octets.chunks(piece) {
        let mut out = Vec::new();
        conversion.push(piece, &mut out);
        whole.extend(out);
    }
    let mut out = Vec::new();
    conversion.finish(&mut out);
    whole.extend(out);
    Ok(whole)
}

fn convert(octets: &[u8], goal: Goal) -> Result<String, CannotConvert> {
    let whole = convert_in(octets, goal, usize::MAX);
    for piece in [1, 7] {
        assert_eq!(convert_in(octets, goal, piece), whole);
    }
    whole.map(|octets| String::from_utf8(octets).unwrap())
}

fn inspect(octets: &[u8]) -> Traits {
    let mut inspector = Inspector::default();
    inspector.push(octets);
    let whole = inspector.finish();
    let mut inspector = Inspector::default();
    octets.chunks(1).for_each(|octet| inspector.push(octet));
    assert_eq!(inspector.finish(), whole);
    whole
}

#[test]
fn what_octets_hold_is_told() {
    assert_eq!(inspect(b"a: b\r\n\r\nc\r\n"), Traits::default());
    let body = inspect("a: b\r\n\r\nя\r\n".as_bytes());
    assert!(body.eight_bit && !body.eight_bit_header && !body.stray);
    assert!(inspect("a: я\r\n\r\n".as_bytes()).eight_bit_header);
    for stray in ["a\nb", "a\r\r\nb", "a\rb", "a\r", "\n", "\0"] {
        assert!(inspect(stray.as_bytes()).stray, "{stray:?}");
    }
    let line = "x".repeat(MAX_TEXT_LINE);
    assert!(!inspect(format!("{line}\r\n{line}\r\n").as_bytes()).long_line);
    assert!(inspect(format!("{line}x\r\n").as_bytes()).long_line);
}

#[test]
fn a_message_that_is_not_mime_becomes_text_of_an_unknown_charset() {
    let before = b"Subject: x\r\n\r\ncaf\xe9 = 1 \r\n.\r\n";
    assert_eq!(
        convert(before, Goal::SevenBit).unwrap(),
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9 =3D 1=20\r\n=2E\r\n"
    );
}

#[test]
fn each_part_is_encoded_by_its_kind_and_what_is_ascii_stays() {
    let before = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble é\r\n--b\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding:\r\n 8bit\r\nX-After: y\r\n\r\né\r\n--b\r\n\
        Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\né\r\n--b\r\n\r\nplain\r\n--b--\r\n";
    assert_eq!(
        convert(before.as_bytes(), Goal::SevenBit).unwrap(),
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
        Content-Transfer-Encoding: 7bit\r\n\r\npreamble ??\r\n--b\r\n\
        Content-Type: text/plain; charset=utf-8\r\nX-After: y\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n--b\r\n\
        Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=\r\n--b\r\n\r\nplain\r\n--b--\r\n"
    );
}

#[test]
fn a_message_within_is_converted_too() {
    let before = "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
        Subject: within\r\nContent-Type: text/html; charset=utf-8\r\n\r\né\r\n";
    assert_eq!(
        convert(before.as_bytes(), Goal::SevenBit).unwrap(),
        "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
        Subject: within\r\nContent-Type: text/html; charset=utf-8\r\nMIME-Version: 1.0\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n"
    );
}

#[test]
fn what_can_not_be_converted_is_told() {
    let of = |text: &str, goal| convert(text.as_bytes(), goal).unwrap_err();
    let signed = "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\né\r\n--b--\r\n";
    assert_eq!(of(signed, Goal::SevenBit), CannotConvert::Signed);
    let header = "Subject: é\r\n\r\n";
    assert_eq!(of(header, Goal::SevenBit), CannotConvert::EightBitHeader);
    let stray = "Subject: x\nTo: y\r\n\r\nbody\r\n";
    assert_eq!(of(stray, Goal::EightBit), CannotConvert::StrayInHeader);
    assert_eq!(
        of("a: b\r\n\r\nc\nd\r\n", Goal::EightBit),
        CannotConvert::NotMime
    );
    let unknown = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: x-own\r\n\r\né\r\n";
    assert_eq!(of(unknown, Goal::SevenBit), CannotConvert::UnknownEncoding);
    let fragment = "MIME-Version: 1.0\r\nContent-Type: message/partial; id=x\r\n\r\né\r\n";
    assert_eq!(of(fragment, Goal::SevenBit), CannotConvert::Fragment);
}

#[test]
fn a_multipart_without_parts_is_never_encoded_whole() {
    for kind in ["multipart/mixed; boundary=b", "\r\n Multipart/Mixed"] {
        let text = format!("MIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\né\r\n");
        let refused = convert(text.as_bytes(), Goal::SevenBit);
        assert_eq!(refused, Err(CannotConvert::Composite), "{kind}");
        // Within another message's parts, too.
        let around = format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n{text}\r\n--a--\r\n"
        );
        let refused = convert(around.as_bytes(), Goal::SevenBit);
        assert_eq!(refused, Err(CannotConvert::Composite), "{kind}");
    }
}

#[test]
fn a_part_without_a_header_names_its_encoding() {
    let before = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\né\r\n--b--\r\n";
    let after = convert(before.as_bytes(), Goal::SevenBit).unwrap();
    assert!(
        after.contains("quoted-printable\r\n\r\n=C3=A9\r\n--b--"),
        "{after}"
    );
    for odd in ["é\r\n", "\r\né\r\n", "no header é\r\n", "a: b"] {
        let after = convert(odd.as_bytes(), Goal::SevenBit);
        assert!(
            after.is_err()
                || after
                    .as_ref()
                    .is_ok_and(|text| text == odd || text == "a: b\r\n" || text.contains("quoted")),
            "{odd:?}: {after:?}"
        );
        let part = format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{odd}\r\n--b--\r\n"
        );
        let after = convert(part.as_bytes(), Goal::SevenBit);
        assert!(
            after.is_err()
                || after
                    .as_ref()
                    .is_ok_and(|text| *text == part || text.contains("quoted")),
            "{odd:?}: {after:?}"
        );
    }
}

#[test]
fn bare_line_ends_of_quoted_text_stay_line_ends() {
    let before = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\none =\nline\nnext\r\n";
    assert_eq!(
        convert(before.as_bytes(), Goal::SevenBit).unwrap(),
        before.replace("=\n", "=\r\n").replace("line\n", "line\r\n")
    );
}

#[test]
fn stray_line_ends_and_long_lines_are_encoded_where_they_are() {
    let part = |body: &str| format!("MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n{body}");
    let stray = convert(part("a\nb\0").as_bytes(), Goal::EightBit).unwrap();
    assert!(
        stray.ends_with("Content-Transfer-Encoding: base64\r\n\r\nYQpiAA==\r\n"),
        "{stray}"
    );
    let long = "long ".repeat(300);
    let converted = convert(part(&long).as_bytes(), Goal::EightBit).unwrap();
    assert!(
        converted.lines().all(|line| line.len() <= 76),
        "{converted}"
    );
    // A long line alone never keeps a message from going.
    let header = format!("Subject: {long}\r\n\r\n{long}\r\n");
    assert!(convert(header.as_bytes(), Goal::EightBit).is_ok());
    let base64 = format!(
        "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        "QUJD".repeat(300)
    );
    let converted = convert(base64.as_bytes(), Goal::SevenBit).unwrap();
    assert!(
        converted.lines().all(|line| line.len() <= 76),
        "{converted}"
    );
    assert_eq!(leaves(converted.as_bytes()), leaves(base64.as_bytes()));
}

/// What each leaf stands for.
fn leaves(octets: &[u8]) -> Vec<Vec<u8>> {
    let summary = Summary::scan(octets);
    let is_leaf = |index: &usize| summary.children(*index).next().is_none();
    (0..summary.parts.len())
        .filter(is_leaf)
        .map(|index| {
            let part = &summary.parts[index];
            let range = part.body_range();
            let body = &octets[range.start as usize..range.end as usize];
            let encoding = TransferEncoding::parse(&part.content.encoding);
            transfer::decode(encoding.unwrap_or(TransferEncoding::Identity), body)
        })
        .collect()
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![
        proptest::sample::select(b"\r\n =.a\t\0".to_vec()),
        any::<u8>()
    ];
    proptest::collection::vec(octet, 0..200)
}

proptest! {
    #[test]
    fn what_comes_out_is_ascii_lines_and_stands_for_the_same(
        bodies in proptest::collection::vec((body(), any::<bool>()), 1..4)
    ) {
        let mut octets = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=b\"\r\n\r\n".to_vec();
        for (body, text) in &bodies {
            let kind: &[u8] = if *text { b"text/plain" } else { b"application/x" };
            octets.extend([b"\r\n--=b\r\nContent-Type: ", kind, b"\r\n\r\n", body.as_slice()].concat());
        }
        octets.extend(b"\r\n--=b--\r\n");
        for goal in [Goal::SevenBit, Goal::EightBit] {
            let converted = convert_in(&octets, goal, usize::MAX).unwrap();
            prop_assert_eq!(&convert_in(&octets, goal, 3).unwrap(), &converted);
            let traits = inspect(&converted);
            prop_assert!(!traits.stray && !traits.long_line);
            prop_assert!(goal == Goal::EightBit || !traits.eight_bit);
            prop_assert_eq!(leaves(&converted), leaves(&octets));
        }
    }

    #[test]
    fn anything_is_converted_or_refused(octets in proptest::collection::vec(prop_oneof![
        Just(b"Content-Type: multipart/mixed; boundary=b\r\n".to_vec()),
        Just(b"Content-Transfer-Encoding: quoted-printable\r\n".to_vec()),
        Just(b"MIME-Version: 1.0\r\n".to_vec()),
        Just(b"\r\n--b\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        body(),
    ], 0..12)) {
        let octets = octets.concat();
        let whole = convert_in(&octets, Goal::SevenBit, usize::MAX);
        prop_assert_eq!(&convert_in(&octets, Goal::SevenBit, 2), &whole);
        if let Ok(converted) = whole {
            let traits = inspect(&converted);
            prop_assert!(!traits.stray && !traits.eight_bit);
        }
    }
}
