//! Unstuffing undoes stuffing, at any split; no look-alike ends the data.

use mailcore::wire::Input;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{DataFault, DataReceiver, DataStep, DotStuffer};

/// Feeds `octets` in pieces of `sizes` (cycled); returns the content, the end,
/// and what was left behind the end.
fn receive(
    octets: &[u8],
    sizes: &[usize],
    limit: u64,
) -> (Vec<u8>, Option<Result<u64, DataFault>>, Vec<u8>) {
    let mut receiver = DataReceiver::with_limit(limit);
    let mut input = Input::with_limit(usize::MAX);
    let mut content = Vec::new();
    let mut rest = octets;
    let mut sizes = sizes.iter().cycle();
    loop {
        match receiver.next(&mut input, 40) {
            DataStep::Chunk(chunk) => content.extend_from_slice(&chunk),
            DataStep::End(end) => {
                input.extend(rest);
                return (content, Some(end), input.as_slice().to_vec());
            }
            DataStep::NeedInput if rest.is_empty() => {
                return (content, None, input.as_slice().to_vec());
            }
            DataStep::NeedInput => {
                assert!(input.len() <= 2, "octets were left unused");
                let (piece, tail) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                input.extend(piece);
                rest = tail;
            }
        }
    }
}

fn stuff(content: &[u8], sizes: &[usize]) -> Result<Vec<u8>, DataFault> {
    let (mut stuffer, mut out, mut rest) = (DotStuffer::default(), Vec::new(), content);
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        stuffer.encode(piece, &mut out)?;
        rest = tail;
    }
    stuffer.finish(&mut out)?;
    Ok(out)
}

#[test]
fn an_empty_message_ends_at_once() {
    assert_eq!(
        receive(b".\r\nQUIT\r\n", &[1], 10),
        (vec![], Some(Ok(0)), b"QUIT\r\n".to_vec())
    );
}

#[test]
fn the_first_dot_of_a_line_goes() {
    let (content, end, _) = receive(b"..\r\n.a\r\n...b\r\n.\r\n", &[3], 100);
    assert_eq!(
        (content, end),
        (b".\r\na\r\n..b\r\n".to_vec(), Some(Ok(11)))
    );
}

/// Every pair of what some server somewhere takes for a line end, but CRLF
/// twice, around the dot.
#[test]
fn no_look_alike_of_the_final_dot_is_accepted() {
    let ends = ["\r\n", "\n", "\r", "\r\r\n", "\n\r"];
    let mut variants = 0;
    for before in ends {
        for after in ends {
            if (before, after) == ("\r\n", "\r\n") {
                continue;
            }
            variants += 1;
            let data =
                format!("Subject: x\r\n\r\ntext{before}.{after}MAIL FROM:<e@x.test>\r\n.\r\n");
            for sizes in [&[1][..], &[1000], &[3, 1, 2]] {
                let (_, end, _) = receive(data.as_bytes(), sizes, 1000);
                assert_eq!(
                    end,
                    Some(Err(DataFault::StrayLineEnd)),
                    "{before:?}.{after:?}"
                );
            }
        }
    }
    assert!(variants >= 22);
    for data in [
        "a\r\n\0.\r\n\r\n.\r\n",
        "a\0\r\n.\r\n",
        "a\r\n.\0\r\n\r\n.\r\n",
    ] {
        assert_eq!(
            receive(data.as_bytes(), &[1], 1000).1,
            Some(Err(DataFault::Nul)),
            "{data:?}"
        );
    }
    // The worse fault is told, whichever comes first.
    assert_eq!(
        receive(b"\0\n\r\n.\r\n", &[1], 1000).1,
        Some(Err(DataFault::StrayLineEnd))
    );
    assert_eq!(
        receive(b"0123456789\r\n\n\r\n.\r\n", &[1], 5).1,
        Some(Err(DataFault::StrayLineEnd))
    );
    for size in [1, 100] {
        assert_eq!(
            receive(b"0123456789\0\r\n.\r\n", &[size], 5).1,
            Some(Err(DataFault::Nul))
        );
    }
}

#[test]
fn size_is_counted_without_stuffing_and_end() {
    let data = b"..234567\r\n.\r\nNOOP\r\n";
    assert_eq!(receive(data, &[4], 9).1, Some(Ok(9)));
    let (_, end, rest) = receive(data, &[4], 8);
    assert_eq!(
        (end, rest),
        (Some(Err(DataFault::TooLarge)), b"NOOP\r\n".to_vec())
    );
}

#[test]
fn stray_octets_are_not_sent() {
    for content in [&b"a\nb\r\n"[..], b"a\rb\r\n", b"a\r", b"\n", b"\r\r\n"] {
        assert_eq!(
            stuff(content, &[1]),
            Err(DataFault::StrayLineEnd),
            "{content:?}"
        );
    }
    assert_eq!(stuff(b"a\0", &[1]), Err(DataFault::Nul));
    assert_eq!(stuff(b"", &[1]).unwrap(), b".\r\n");
    assert_eq!(stuff(b".a", &[1]).unwrap(), b"..a\r\n.\r\n");
}

proptest! {
    #[test]
    fn unstuffing_undoes_stuffing_at_any_split(
        lines in vec("[.]{0,3}[ -~]{0,60}", 0..20),
        write in vec(1usize..50, 1..10),
        read in vec(1usize..50, 1..10),
    ) {
        let content: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let mut wire = stuff(content.as_bytes(), &write).unwrap();
        wire.extend_from_slice(b"NEXT\r\n");
        let (received, end, rest) = receive(&wire, &read, 1 << 20);
        prop_assert_eq!(&received, content.as_bytes());
        prop_assert_eq!(end, Some(Ok(received.len() as u64)));
        prop_assert_eq!(rest, b"NEXT\r\n");
    }

    #[test]
    fn any_octets_end_alike_at_any_split(octets in "[\r\n.a\0]{0,40}", read in vec(1usize..8, 1..10)) {
        let whole = receive(octets.as_bytes(), &[1000], 20);
        let split = receive(octets.as_bytes(), &read, 20);
        prop_assert_eq!(&whole.1, &split.1);
        // Of a refused message, more or less may have gone on before its fault.
        if matches!(whole.1, Some(Ok(_))) {
            prop_assert_eq!(whole, split);
        }
    }
}
