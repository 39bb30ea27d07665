use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::account::Secret;
use crate::sasl::client::{Challenged, Legacy};
use crate::sasl::tests::{exchange_within, tls};
use crate::sasl::{Exchange, Finding, Inquiry, Mechanism, Progress, SaslError};
use crate::seams::{
    AuthError, AuthRequest, Credentials, Labelled, OsEntropy, Proof, ScramKeys, ScramPair,
};
use crate::wire::TlsInfo;

const SALT: &[u8] = b"0123456789abcdef";

/// Keys of these passwords, each labelled with itself.
fn keys(mechanism: Mechanism, passwords: &[&str]) -> Credentials {
    let crate::seams::ProofKind::Credentials(kind) = mechanism.needs() else {
        panic!("{mechanism}");
    };
    let pair = |password: &&str| Labelled {
        label: Some((*password).into()),
        value: ScramPair::derive(kind, password.as_bytes(), SALT, MIN_ITERATIONS).unwrap(),
    };
    Credentials::Scram(ScramKeys {
        salt: SALT.to_vec(),
        iterations: MIN_ITERATIONS,
        pairs: passwords.iter().map(pair).collect(),
    })
}

fn client(mechanism: Mechanism, password: &str, tls: &TlsInfo) -> Challenged {
    let offers = |name: &str| name == mechanism.as_str();
    let credentials = ("ann,=@x.test", &Secret::new(password));
    let client = Challenged::choose(offers, credentials, Some(tls), Legacy::Refused, &OsEntropy);
    client.unwrap()
}

/// Has the two talk to each other; what the exchange asks last.
fn talk(exchange: &mut Exchange, client: &mut Challenged, passwords: &[&str]) -> Progress {
    let first = client.respond(b"").unwrap();
    let mut progress = exchange.start(Some(first.expose()));
    loop {
        progress = match progress {
            Progress::Challenge(challenge) => match client.respond(&challenge) {
                Ok(response) => exchange.step(response.expose()),
                Err(error) => panic!("{error}"),
            },
            Progress::Ask(Inquiry::Credentials(request)) => {
                assert_eq!(request.login, "ann,=@x.test");
                let credentials = keys(client.mechanism(), passwords);
                exchange.answer(Ok(Finding::Credentials(credentials)))
            }
            other => return other,
        };
    }
}

const ALL: [Mechanism; 4] = [
    Mechanism::ScramSha1,
    Mechanism::ScramSha256,
    Mechanism::ScramSha1Plus,
    Mechanism::ScramSha256Plus,
];

/// With one binding or the other.
fn connections() -> [TlsInfo; 2] {
    let mut end_point = tls();
    end_point.bindings.exporter = None;
    end_point.bindings.server_end_point = Some(Secret::new([8; 32]));
    [tls(), end_point]
}

#[test]
fn who_knows_a_password_proves_it_and_is_told_which() {
    for mechanism in ALL {
        for tls in connections() {
            let mut client = client(mechanism, "pencil", &tls);
            // A client that could tie its proof and does not hear of it says
            // so, which is taken for an attack where the server offers it.
            let served = match mechanism.is_bound() {
                true => tls.clone(),
                false => TlsInfo::default(),
            };
            let mut exchange = exchange_within(mechanism, &served);
            let asked = talk(&mut exchange, &mut client, &["paper", "pencil", "pen"]);
            match asked {
                Progress::Ask(Inquiry::Authenticate(AuthRequest {
                    login,
                    proof: Proof::Verified(verified),
                    ..
                })) => {
                    assert_eq!(login, "ann,=@x.test");
                    assert_eq!(verified.label.as_deref(), Some("pencil"));
                }
                other => panic!("{mechanism}: {other:?}"),
            }
            assert!(client.is_done());
        }
    }
}

#[test]
fn who_does_not_know_it_is_told_nothing_else() {
    for mechanism in ALL {
        let tls = tls();
        let served = match mechanism.is_bound() {
            true => tls.clone(),
            false => TlsInfo::default(),
        };
        for passwords in [&["paper"][..], &[]] {
            let mut exchange = exchange_within(mechanism, &served);
            let mut client = client(mechanism, "pencil", &tls);
            let asked = talk(&mut exchange, &mut client, passwords);
            assert!(matches!(asked, Progress::Ask(Inquiry::Disproved(_))));
            assert!(matches!(
                exchange.answer(Err(AuthError::Invalid)),
                Progress::Failed(SaslError::Refused(AuthError::Invalid))
            ));
        }
    }
}

#[test]
fn a_proof_for_another_connection_is_none() {
    let mut other = tls();
    other.bindings.exporter = Some(Secret::new([9; 32]));
    for mechanism in [Mechanism::ScramSha1Plus, Mechanism::ScramSha256Plus] {
        let mut exchange = exchange_within(mechanism, &other);
        let mut client = client(mechanism, "pencil", &tls());
        let asked = talk(&mut exchange, &mut client, &["pencil"]);
        assert!(matches!(asked, Progress::Ask(Inquiry::Disproved(_))));
    }
}

#[test]
fn a_client_deceived_about_the_offer_is_turned_away() {
    // RFC 5802 section 6: it could have bound and was shown no -PLUS.
    let mut exchange = exchange_within(Mechanism::ScramSha256, &tls());
    let refused = exchange.start(Some(b"y,,n=ann,r=abc"));
    assert!(matches!(refused, Progress::Failed(SaslError::Downgraded)));
    // One that can't bind is welcome.
    let mut exchange = exchange_within(Mechanism::ScramSha256, &tls());
    let taken = exchange.start(Some(b"n,,n=ann,r=abc"));
    assert!(matches!(taken, Progress::Ask(_)));
}

#[test]
fn first_messages_that_break_the_rules_are_refused() {
    let refused = |mechanism, message: &[u8]| {
        let progress = exchange_within(mechanism, &tls()).start(Some(message));
        assert!(
            matches!(
                progress,
                Progress::Failed(SaslError::Malformed | SaslError::TooLong)
            ),
            "{message:?}"
        );
    };
    let long = format!("n,,n=ann,r={}", "a".repeat(513));
    for message in [
        &b""[..],
        b"n",
        b"n,,",
        b"n,,n=,r=abc",
        b"n,,n=ann",
        b"n,,n=ann,r=",
        b"n,,r=abc,n=ann",
        b"n,,m=x,n=ann,r=abc",
        b"n,,n=a=nn,r=abc",
        b"n,,n=a\0nn,r=abc",
        b"n,,n=\xff,r=abc",
        b"n,,n=ann,r=a\0bc",
        b"x,,n=ann,r=abc",
        b"p=tls-exporter,,n=ann,r=abc",
        long.as_bytes(),
    ] {
        refused(Mechanism::ScramSha1, message);
    }
    for message in [
        &b"n,,n=ann,r=abc"[..],
        b"y,,n=ann,r=abc",
        b"p=tls-unique,,n=ann,r=abc",
        b"p=tls-server-end-point,,n=ann,r=abc",
        b"p=,,n=ann,r=abc",
    ] {
        refused(Mechanism::ScramSha256Plus, message);
    }
    let other = exchange_within(Mechanism::ScramSha1, &tls()).start(Some(b"n,a=bob,n=ann,r=abc"));
    assert!(matches!(other, Progress::Failed(SaslError::Authorization)));
    let same = exchange_within(Mechanism::ScramSha1, &tls()).start(Some(b"n,a=ann,n=ann,r=abc"));
    assert!(matches!(same, Progress::Ask(_)));
}

#[test]
fn the_servers_proof_must_be_acknowledged_before_the_login_is_done() {
    let mut exchange = exchange_within(Mechanism::ScramSha256, &TlsInfo::default());
    let mut client = client(Mechanism::ScramSha256, "pencil", &TlsInfo::default());
    let mut progress = exchange.start(Some(client.respond(b"").unwrap().expose()));
    assert!(matches!(progress, Progress::Ask(_)));
    let credentials = keys(Mechanism::ScramSha256, &["pencil"]);
    progress = exchange.answer(Ok(Finding::Credentials(credentials)));
    let Progress::Challenge(first) = progress else {
        panic!("{progress:?}");
    };
    let Progress::Challenge(_) = exchange.step(client.respond(&first).unwrap().expose()) else {
        panic!("no proof");
    };
    assert!(matches!(
        exchange.step(b"something"),
        Progress::Failed(SaslError::Malformed)
    ));
}

/// Both messages of a client that knows the password, and the keys.
fn said() -> &'static (Vec<u8>, Vec<u8>, Credentials) {
    static SAID: OnceLock<(Vec<u8>, Vec<u8>, Credentials)> = OnceLock::new();
    SAID.get_or_init(|| {
        let mut exchange = exchange_within(Mechanism::ScramSha256, &TlsInfo::default());
        let mut client = client(Mechanism::ScramSha256, "pencil", &TlsInfo::default());
        let first = client.respond(b"").unwrap().expose().to_vec();
        exchange.start(Some(&first));
        let credentials = keys(Mechanism::ScramSha256, &["pencil"]);
        match exchange.answer(Ok(Finding::Credentials(credentials.clone()))) {
            Progress::Challenge(challenge) => {
                let last = client.respond(&challenge).unwrap().expose().to_vec();
                (first, last, credentials)
            }
            other => panic!("{other:?}"),
        }
    })
}

proptest! {
    #[test]
    fn a_final_message_changed_anywhere_proves_nothing(at in 0_usize..160, by in 0_u8..=255) {
        let (first, last, keys) = said();
        let mut exchange = exchange_within(Mechanism::ScramSha256, &TlsInfo::default());
        exchange.start(Some(first));
        exchange.answer(Ok(Finding::Credentials(keys.clone())));
        let mut last = last.clone();
        let at = at % last.len();
        last[at] ^= by;
        let progress = exchange.step(&last);
        match by {
            0 => prop_assert!(matches!(progress, Progress::Challenge(_))),
            _ => prop_assert!(matches!(
                progress,
                Progress::Failed(_) | Progress::Ask(Inquiry::Disproved(_))
            )),
        }
    }
}
