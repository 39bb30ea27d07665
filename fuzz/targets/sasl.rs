#![no_main]
use libfuzzer_sys::fuzz_target;
use mailcore::account::Secret;
use mailcore::sasl::{Finding, Inquiry, Mechanism, Offer, Privacy, Progress, Surroundings, nt_hash};
use mailcore::seams::{
    AuthError, CredentialKind, Credentials, Labelled, Proof, ScramKeys, ScramPair,
};
use mailcore::wire::TlsInfo;

const PASSWORD: &[u8] = b"not among what is fuzzed";

/// The first octet chooses the mechanism; a zero before a line feed ends each of
/// the client's responses.
fuzz_target!(|octets: &[u8]| {
    let Some((first, rest)) = octets.split_first() else {
        return;
    };
    let mechanism = Mechanism::ALL[usize::from(*first) % Mechanism::ALL.len()];
    let mut tls = TlsInfo::default();
    tls.bindings.exporter = Some(Secret::new([7; 32]));
    let on = Surroundings {
        peer: None,
        protocol: "imap",
        tls: Some(&tls),
        privacy: Privacy::Private,
    };
    let offer = Offer::of(&Mechanism::ALL.map(Mechanism::needs), &Mechanism::ALL);
    let Ok(mut exchange) = offer.begin(mechanism.as_str(), on) else {
        return;
    };
    let mut progress = exchange.start(None);
    for response in rest.split(|&octet| octet == b'\n') {
        let response = response.strip_suffix(b"\0").unwrap_or(response);
        while let Progress::Ask(inquiry) = progress {
            progress = exchange.answer(match inquiry {
                Inquiry::Credentials(request) => Ok(Finding::Credentials(kept(request.kind))),
                Inquiry::Authenticate(request) => {
                    assert!(!matches!(request.proof, Proof::Verified(_)), "it was guessed");
                    Err(AuthError::Invalid)
                }
                _ => Err(AuthError::Invalid),
            });
        }
        assert!(!matches!(progress, Progress::Authenticated(_)));
        progress = exchange.step(response);
    }
});

fn kept(kind: CredentialKind) -> Credentials {
    if let Some(pair) = ScramPair::derive(kind, PASSWORD, b"salt", 1) {
        return Credentials::Scram(ScramKeys {
            salt: b"salt".to_vec(),
            iterations: 1,
            pairs: vec![Labelled::only(pair)],
        });
    }
    match kind {
        CredentialKind::Ntlm => {
            Credentials::NtHashes(nt_hash(PASSWORD).map(Labelled::only).into_iter().collect())
        }
        _ => Credentials::Passwords(vec![Labelled::only(Secret::new(PASSWORD))]),
    }
}
