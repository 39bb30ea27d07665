//! Hashes that other programs made: `openssl passwd`, crypt(3), `doveadm pw`
//! (Dovecot 2.3), Python's hashlib.

use super::*;
use proptest::prelude::*;

const PASSWORD: &[u8] = b"correct horse";

const OTHERS: [&str; 22] = [
    "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
    "{SSHA}awc/Cj0kafyFd5d8fGn07xoHBJJzYWx0c2FsdA==",
    "{ssha}OolDeuD4lEI/k9O6NMowtzym4goNXbsk",
    "{SSHA256}ab810jA8qJbiG9YNJ+i5Wxf4s2aDeKSrS7GnTf62LtPvCpdr",
    "{SSHA256.HEX}2558a0b6c4891857b083b6e9ed400ea921022b63cc9c3d129246098bc8dcae11720d59ad",
    "{SSHA512}F+xR+Gk6rXSlI/sQZ/VkneL/lDlsIcwSpGFjS9BSadQea4OoIGY8+YxQQM9gwkHXH7/ndZYlRYVqN1p3nHaqxJuRMG4=",
    "{SHA512.HEX}56b698defedb5a435b634afe3320bbaf3fdcd920b6c503a446fc7b7a776b298d479d1ba6a8b617808eb0bf579ce9a95d668347bcab7149085ac93cb27995197b",
    "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0",
    "{CRYPT}$6$rounds=1400$anotherlongsalts$BIJq9mRCZh1kev4gsEFy0R5hLBKgZM.fwvpxgy31e6bRJqRdXTpSE8TJFJysi3GwDPeX9bz4aZklq669D26ai0",
    "{SHA512-CRYPT}$6$J2jv0OM8BXPY2fiM$DzzoRtVz9sH28YwMYEzNZ.u7KGBAo3N/FVxTKWTHJ5NcK1cMK7jqXTwOyip28IV5vVRT3y8NHUMPPpau.zBxI1",
    "$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/",
    "{SHA256-CRYPT}$5$ScF9I6nCjeVoOV5n$C9GAIjDcLyVQmBABDJunjy1ZY1xnzHs4OxZNv3D7wa3",
    "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
    "{BLF-CRYPT}$2y$04$4UiSWbm.i1kTvSe2iaYf..5W8Cn7r4go2RHJppGKW4BoG/dSQd1rW",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$fh0G2tZqTV8oobFR4ktPgQ$xN+iXbmU+gzZa5g9wWuO0bch9ZyYHMczPIFKHJv8+Fc",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$GVmlavsA7WaNw3S044mIFQ$w9l44cXkxs9U/M7u0Imef6hd9He59Q3PpM9qRwQ+6hU",
    "pbkdf2_sha256$1000$saltsalt$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0=",
    "$pbkdf2-sha256$1000$c2FsdHNhbHQ$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0",
    "$pbkdf2-sha512$i=1000,l=64$c2FsdHNhbHQ$+sUSD8jw4f8ns7m9b7kj8PeJLe8lJXO8Am09BLgO79kST9D/Ija5aKINGF5Xg7hkKXw1+fNhBzzJP3eIXcWXww",
    "{PBKDF2-SHA512}1000$c2FsdHNhbHQ$.sUSD8jw4f8ns7m9b7kj8PeJLe8lJXO8Am09BLgO79kST9D/Ija5aKINGF5Xg7hkKXw1.fNhBzzJP3eIXcWXww",
    "{PBKDF2}$1$Lggd4T3WIgsE0OVH$5000$a42a548dddc7a0b954f3c2e664beaf6841fcc594",
    "$scrypt$ln=8,r=8,p=1$c2FsdHNhbHQ$jPUqEL1df3Tp4tyEomt0G6IPnHDW3/gl7nmfO43tU5k",
];

#[test]
fn what_other_servers_wrote_knows_its_password() {
    for text in OTHERS {
        let stored = Stored::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(stored.matches(PASSWORD), "{text}");
        assert!(!stored.matches(b"correct hors"), "{text}");
        assert!(!stored.matches(b""), "{text}");
    }
}

#[test]
fn a_password_too_long_for_sha_crypt_is_wrong() {
    let text = "$6$saltsalt$BYcjZuyB8k78r2WhYnt/IMrBw/Q7qczkv9xqohSMZgBUw5ggiKQI79EP.SwTv7lV5dN27U9w1/.JhevpPaeuT.";
    let stored = Stored::parse(text).unwrap();
    assert!(stored.matches(&[b'a'; MAX_SHA_CRYPT_PASSWORD]));
    assert!(!stored.matches(&[b'a'; MAX_SHA_CRYPT_PASSWORD + 1]));
}

#[test]
fn clear_and_weak_and_cut_hashes_are_refused() {
    let refused = |text: &str| Stored::parse(text).err();
    assert_eq!(refused("{PLAIN}word"), Some(HashError::Plain));
    assert_eq!(
        refused("{CRYPT}ab01FAX.bQRSU"),
        Some(HashError::Weak("CRYPT".into()))
    );
    assert_eq!(
        refused("$1$salt$qJH7.N4xYta3aEG/dfqo/0"),
        Some(HashError::Weak("$1$".into()))
    );
    assert_eq!(refused("a password"), Some(HashError::Unknown));
    for text in OTHERS {
        let cut = text.get(..text.len() - 20).unwrap();
        if let Ok(stored) = Stored::parse(cut) {
            assert!(!stored.matches(PASSWORD), "{cut}");
        }
    }
}

#[test]
fn hashes_that_cost_too_much_are_refused_when_read() {
    for text in [
        "$argon2id$v=19$m=262144,t=3,p=1$GVmlavsA7WaNw3S044mIFQ$w9l44cXkxs9U/M7u0Imef6hd9He59Q3PpM9qRwQ+6hU",
        "$argon2id$v=19$m=65536,t=4000000000,p=1$GVmlavsA7WaNw3S044mIFQ$w9l44cXkxs9U/M7u0Imef6hd9He59Q3PpM9qRwQ+6hU",
        "$2b$31$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "$5$rounds=999999999$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/",
        "pbkdf2_sha256$4000000000$saltsalt$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0=",
        "$scrypt$ln=40,r=8,p=1$c2FsdHNhbHQ$jPUqEL1df3Tp4tyEomt0G6IPnHDW3/gl7nmfO43tU5k",
        "$scrypt$ln=20,r=8,p=1$c2FsdHNhbHQ$jPUqEL1df3Tp4tyEomt0G6IPnHDW3/gl7nmfO43tU5k",
        "$scrypt$ln=17,r=8,p=64$c2FsdHNhbHQ$jPUqEL1df3Tp4tyEomt0G6IPnHDW3/gl7nmfO43tU5k",
    ] {
        let refused = Stored::parse(text);
        assert!(matches!(refused, Err(HashError::Costly(..))), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        which in 0..OTHERS.len(), at in 0usize..200, put in "[ -~äß]{0,6}", drop in 0usize..4,
    ) {
        let mut letters: Vec<char> = OTHERS[which].chars().collect();
        let at = at.min(letters.len());
        let end = (at + drop).min(letters.len());
        letters.splice(at..end, put.chars());
        let text: String = letters.into_iter().collect();
        let _ = Stored::parse(&text);
    }
}
