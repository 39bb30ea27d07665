//! Whatever a client sends, the session answers alike at any cut, line by line,
//! and never panics.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a step that fails is a test that fails"
)]

mod play;

use proptest::collection::vec;
use proptest::prelude::*;

/// Pieces of dialogues. DATA comes with what makes it accepted: what follows a
/// refused one is judged by whether it came together with it.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "EHLO x.test\r\n",
        "HELO x.test\r\n",
        "EHLO refused.test\r\nEHLO x.test\r\n",
        "MAIL FROM:<a@x.test> SIZE=10\r\n",
        "MAIL FROM:<later@x.test>\r\n",
        "RCPT TO:<nobody@y.test>\r\n",
        "RCPT TO:<b@y.test>\r\n",
        "EHLO x.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n",
        "EHLO x.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nBDAT 8\r\n",
        "BDAT 7\r\nabcde\r\n",
        "BDAT 4 LAST\r\na\r\nb",
        "BDAT x\r\n",
        "text\r\n.\r\n",
        "..text\r\n.\r\n",
        "hello\n.\nMAIL FROM:<evil@x.test>\r\n",
        "\0",
        "\r",
        "\n",
        ".\r\n",
        "RSET\r\n",
        "NOOP\r\n",
        "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n",
        "AUTH PLAIN AHRpbQB4\r\n",
        "AUTH LOGIN\r\n",
        "dGlt\r\n",
        "*\r\n",
        "QUIT\r\n",
    ]);
    prop_oneof![
        8 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..30),
        1 => (2_000usize..3_000).prop_map(|count| vec![b'x'; count]),
    ]
}

proptest! {
    #[test]
    fn any_dialogue_goes_alike_at_any_cut(pieces in vec(pieces(), 0..20), sizes in vec(1usize..200, 1..20)) {
        let octets: Vec<u8> = pieces.concat();
        let shown = String::from_utf8_lossy(&octets).replace("\r\n", "|");
        let whole = play::play_octets(&octets, &mut || usize::MAX);
        prop_assume!(!whole.0.contains("Nothing may follow DATA"));
        let mut sizes = sizes.iter().cycle();
        let cut = play::play_octets(&octets, &mut || *sizes.next().unwrap());
        prop_assert_eq!(whole, cut, "{}", shown);
    }
}
