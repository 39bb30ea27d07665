//! A wrong password is answered at the same time for whomever it is: how long
//! its check takes differs between accounts, and shows nothing of them.

use std::sync::Arc;
use std::time::Duration;

use mailcore::sasl::Finding;
use mailcore::seams::{Abilities, AuthError, FilterSession};
use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step, TlsInfo};
use mailcore_imap::session as imap;
use mailcore_pop3::session as pop3;
use mailcore_smtp::server as smtp;

const CHECKS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(30),
    Duration::from_millis(700),
];

/// When the answer to `input` comes after it, the proof in it having been
/// checked for so long.
fn answered_after<M: Machine>(
    mut session: M,
    input: &[u8],
    took: Duration,
    answer: impl Fn(M::Question) -> (M::Answer, bool),
) -> Duration {
    let mut now = Monotonic::default();
    let (mut greeted, mut given) = (false, None);
    loop {
        match session.step(now) {
            Step::Ask(question) => {
                let (answer, is_of_the_proof) = answer(question);
                if is_of_the_proof {
                    now = now.after(took);
                }
                session.answer(answer);
            }
            Step::Wait { until } => now = now.max(until),
            // Who speaks before SMTP's greeting is sent away.
            Step::Read { until } if !greeted => now = until,
            Step::Read { .. } if given.is_none() => {
                session.receive(input);
                given = Some(now);
            }
            Step::Send(_) => greeted = true,
            _ => return now.since(given.unwrap()),
        }
    }
}

#[test]
fn a_wrong_password_is_answered_at_the_same_time_whatever_its_check_takes() {
    let host = || "mail.example".parse().unwrap();
    let second = Duration::from_secs(1);
    for took in CHECKS {
        for input in [
            &b"EHLO c\r\nAUTH PLAIN AGFubgB3cm9uZw==\r\n"[..],
            b"EHLO c\r\nAUTH LOGIN\r\nYW5u\r\nd3Jvbmc=\r\n",
        ] {
            let config = smtp::SmtpConfig::new(host(), smtp::Kind::Submission);
            let facts = FilterSession::new(Some("192.0.2.9:4321".parse().unwrap()));
            let mut session = smtp::Session::new(Arc::new(config), facts);
            session.tls_established(TlsInfo::default());
            let after = answered_after(session, input, took, |question| match question {
                smtp::Question::Authenticate { .. } => {
                    (smtp::Answer::NotAuthenticated(AuthError::Invalid), true)
                }
                _ => (smtp::Answer::Proceed, false),
            });
            assert_eq!(after, second, "SMTP");
        }
        for input in [
            &b"a LOGIN ann wrong\r\n"[..],
            b"a AUTHENTICATE PLAIN AGFubgB3cm9uZw==\r\n",
        ] {
            let peer = imap::Peer {
                address: None,
                transport: imap::Transport::Tls,
            };
            let config = Arc::new(imap::Config::new("mail.example"));
            let session = imap::Session::new(config, Abilities::default(), peer);
            let after = answered_after(session, input, took, |_| {
                (imap::Answer::Identity(Err(AuthError::Invalid)), true)
            });
            assert_eq!(after, second, "IMAP");
        }
        for input in [
            &b"USER ann\r\nPASS wrong\r\n"[..],
            b"AUTH PLAIN AGFubgB3cm9uZw==\r\n",
        ] {
            let config = pop3::SessionConfig::new(host());
            let session = pop3::Session::new(config, pop3::Transport::Tls);
            let refused: fn(_) -> Result<Finding, _> = Err;
            let after = answered_after(session, input, took, |_| {
                (pop3::Answer::Found(refused(AuthError::Invalid)), true)
            });
            assert_eq!(after, second, "POP3");
        }
    }
}
