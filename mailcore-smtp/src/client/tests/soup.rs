//! A session fed with anything: it ends, and never holds more than it may.

use mailcore::address::ReversePath;
use mailcore::envelope::{MailParams, Recipient};
use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step, TlsInfo};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::client::*;

fn transaction() -> Transaction {
    Transaction {
        reverse_path: ReversePath::Null,
        params: MailParams::default(),
        recipients: ["a@x.test", "b@x.test"]
            .map(|to| Recipient::new(to.parse().unwrap()))
            .to_vec(),
        size: Some(7),
        needs: ContentNeeds::default(),
        by: None,
        optional: OptionalParams::default(),
    }
}

/// Feeds the pieces one by one; what no reply follows is timed out.
fn feed(pieces: Vec<Vec<u8>>) {
    let mut session = Session::new(SessionConfig::new("me.test".parse().unwrap()));
    let mut pieces = pieces.into_iter();
    let mut now = Monotonic::default();
    let (mut transactions, mut pieces_asked) = (0, 0);
    for _ in 0..10_000 {
        match session.step(now) {
            Step::Ask(Question::Next) => {
                if let Some(result) = session.take_result() {
                    assert_eq!(result.len(), 2);
                }
                transactions += 1;
                session.answer(if transactions > 5 {
                    Answer::Quit
                } else {
                    Answer::Transaction(Box::new(transaction()))
                });
            }
            Step::Ask(Question::Content) => {
                pieces_asked += 1;
                session.answer(match pieces_asked % 2 {
                    0 => Answer::LastOctets(b"b\r\n".to_vec().into()),
                    _ => Answer::Octets(b".a\r\n".to_vec().into()),
                });
            }
            Step::Read { until } => match pieces.next() {
                Some(piece) => session.receive(&piece),
                None => now = until,
            },
            Step::UpgradeTls => session.tls_established(TlsInfo::default()),
            Step::Close => return,
            _ => {}
        }
    }
    panic!("the session does not end");
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    let codes = [220, 221, 235, 250, 334, 354, 421, 450, 452, 500, 550, 554];
    let text = "[ -]([A-Z0-9 .]{0,12}|STARTTLS|PIPELINING|SIZE 3|AUTH PLAIN)\r?\n";
    (proptest::sample::select(codes.to_vec()), text)
        .prop_map(|(code, text)| format!("{code}{text}").into_bytes())
}

proptest! {
    #[test]
    fn replies_in_any_order_end_the_session(replies in vec(reply(), 0..40)) {
        feed(replies);
    }

    #[test]
    fn any_octets_end_the_session(octets in vec(any::<Vec<u8>>(), 0..10)) {
        feed(octets);
    }
}
