use proptest::prelude::*;

use super::*;
use crate::seams::{Labelled, OsEntropy};

fn octets(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// MS-NLMP section 4.2.1.
const SERVER_CHALLENGE: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];

/// `temp` of MS-NLMP section 4.2.4.1.3, over the TargetInfo of section 4.2.4.
fn blob() -> Vec<u8> {
    octets(
        "0101000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000
         02000c0044006f006d00610069006e00 01000c00530065007200760065007200
         00000000 00000000",
    )
}

/// The message of a user `User` of `Domain` whose NT response is this.
fn message(response: &[u8]) -> Vec<u8> {
    let (domain, user) = (utf16("Domain"), utf16("User"));
    let mut head = b"NTLMSSP\0\x03\0\0\0".to_vec();
    let mut payload = Vec::new();
    for value in [&[][..], response, &domain, &user, &[], &[]] {
        let length = u16::try_from(value.len()).unwrap().to_le_bytes();
        head.extend_from_slice(&[length, length].concat());
        let offset = u32::try_from(64 + payload.len()).unwrap();
        head.extend_from_slice(&offset.to_le_bytes());
        payload.extend_from_slice(value);
    }
    head.extend_from_slice(&1_u32.to_le_bytes());
    [head, payload].concat()
}

fn begun() -> Ntlm {
    let mut run = Ntlm::new(&OsEntropy, "mail.example.org");
    run.challenge = SERVER_CHALLENGE;
    let negotiate = octets("4e544c4d53535000 01000000 07820800");
    match run.respond(&negotiate) {
        Ok(Move::Challenge(challenge)) => {
            assert_eq!(challenge.get(..12).unwrap(), b"NTLMSSP\0\x02\0\0\0");
            assert_eq!(challenge.get(24..32).unwrap(), SERVER_CHALLENGE);
        }
        other => panic!("{other:?}"),
    }
    run
}

#[test]
fn the_hash_of_ms_nlmp_4_2_2_1_2() {
    let hash = nt_hash(b"Password").unwrap();
    assert_eq!(hash.expose(), octets("a4f49c406510bdcab6824ee7c30fd852"));
    assert_eq!(nt_hash(b"\xff"), None);
}

#[test]
fn the_response_of_ms_nlmp_4_2_4_2_2() {
    let proof = octets("68cd0ab851e51c96aabc927bebef6a1c");
    let response = [proof, blob()].concat();
    let hashes = |passwords: &[&[u8]]| {
        let hashes = passwords
            .iter()
            .map(|it| Labelled::only(nt_hash(it).unwrap()));
        Credentials::NtHashes(hashes.collect())
    };
    let mut run = begun();
    assert!(matches!(
        run.respond(&message(&response)),
        Ok(Move::Need(login, CredentialKind::Ntlm)) if login == "User"
    ));
    let known = hashes(&[b"another", b"Password"]);
    assert!(matches!(run.supply(&known), Ok(Move::Verified(_))));
    let mut run = begun();
    run.respond(&message(&response)).unwrap();
    assert!(matches!(
        run.supply(&hashes(&[b"password"])),
        Ok(Move::Disproved(_))
    ));
}

#[test]
fn version_1_and_empty_responses_are_refused() {
    for response in [
        vec![],
        vec![7; 24],
        vec![7; 16],
        [vec![7; 16], vec![0; 28]].concat(),
    ] {
        let refused = begun().respond(&message(&response));
        assert!(matches!(refused, Err(SaslError::Malformed)), "{response:?}");
    }
}

#[test]
fn names_are_raised_one_character_at_a_time() {
    assert_eq!(upper("stra\u{df}e-\u{436}"), "STRA\u{df}E-\u{416}");
}

proptest! {
    #[test]
    fn no_message_that_is_cut_or_changed_does_harm(at in 0_usize..220, to: u8, cut in 0_usize..220) {
        let mut whole = message(&[vec![7; 16], blob()].concat());
        if let Some(octet) = whole.get_mut(at) {
            *octet = to;
        }
        let end = cut.min(whole.len());
        let _ = begun().respond(whole.get(..end).unwrap());
        let _ = Ntlm::new(&OsEntropy, "x").respond(whole.get(..end).unwrap());
    }
}
