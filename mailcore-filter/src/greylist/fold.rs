//! The sender of a triplet: what stays the same when a message is sent again.
//!
//! Many senders write a mark of each message into their address: tags of BATV,
//! days and hashes of SRS, numbers of VERP. With them no retry would be known.

use mailcore::address::{Address, ReversePath};

/// Octets of what is kept of a sender.
const MOST: usize = 200;
/// Letters and digits from which on a word with digits is taken for a mark.
const LONG: usize = 8;

/// A sender without the marks of one message; empty for the null path.
pub(super) fn fold(sender: &ReversePath, recipient: &Address) -> String {
    let Some(address) = sender.address() else {
        return String::new();
    };
    let local_part = address.local_part().to_lowercase();
    let local_part = without_batv(&local_part);
    let recipient = recipient.folded();
    let folded = match without_srs(local_part) {
        Some(rest) => format!("srs={rest}"),
        None => without_marks(without_extension(local_part), &recipient),
    };
    let mut text = format!("{folded}@{}", address.domain());
    let end = (0..=MOST.min(text.len())).rev();
    let end = end.into_iter().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or_default());
    text
}

/// `prvs=TAG=user`, and `prvs=user/TAG` of an older form.
fn without_batv(local_part: &str) -> &str {
    let Some(rest) = local_part.strip_prefix("prvs=") else {
        return local_part;
    };
    match (rest.split_once('='), rest.rsplit_once('/')) {
        (Some((_, user)), _) | (None, Some((user, _))) => user,
        (None, None) => rest,
    }
}

/// What follows hash and day of `SRS0=`, and the hash of `SRS1=`, whose end is an
/// address of the first kind with a hash and a day of its own.
fn without_srs(local_part: &str) -> Option<String> {
    let (scheme, rest) = local_part.split_at_checked(4)?;
    let rest = rest.strip_prefix(['=', '+', '-'])?;
    match scheme {
        "srs0" => rest.splitn(3, '=').nth(2).map(str::to_owned),
        "srs1" => {
            let (host, inner) = rest.split_once('=')?.1.split_once('=')?;
            let inner = inner.trim_start_matches(['=', '+', '-']);
            let whom = inner.splitn(3, '=').nth(2).unwrap_or(inner);
            Some(format!("{host}={whom}"))
        }
        _ => None,
    }
}

/// `user+detail` is `user`, unless nothing is before the sign.
fn without_extension(local_part: &str) -> &str {
    match local_part.split_once('+') {
        Some((user, _)) if !user.is_empty() => user,
        _ => local_part,
    }
}

/// The recipient as VERP writes it, numbers, and words that look like numbers
/// give way to `#`.
fn without_marks(local_part: &str, recipient: &Address) -> String {
    let verp = format!("{}={}", recipient.local_part(), recipient.domain());
    let local_part = local_part.replace(&verp, "#");
    let mut out = String::with_capacity(local_part.len());
    let mut word = String::new();
    for c in local_part.chars() {
        if c.is_ascii_alphanumeric() {
            word.push(c);
        } else {
            close(&mut out, &mut word);
            out.push(c);
        }
    }
    close(&mut out, &mut word);
    out
}

fn close(out: &mut String, word: &mut String) {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let mark = digits > 0 && (digits == word.len() || word.len() >= LONG);
    out.push_str(if mark { "#" } else { word });
    word.clear();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(sender: &str) -> String {
        let sender = ReversePath::parse(&format!("<{sender}>")).unwrap();
        fold(&sender, &"Ann@here.test".parse().unwrap())
    }

    #[test]
    fn marks_of_one_message_are_left_out() {
        for (one, other, kept) in [
            (
                "prvs=0123abcdef=Bob@a.test",
                "prvs=3456fedcba=bob@a.test",
                "bob@a.test",
            ),
            ("prvs=bob/0123abcdef@a.test", "bob@a.test", "bob@a.test"),
            (
                "SRS0=HHHH=TT=orig.test=bob@a.test",
                "SRS0+GGGG=UU=orig.test=bob@a.test",
                "srs=orig.test=bob@a.test",
            ),
            (
                "SRS1=HHHH=first.test==HHH=TT=orig.test=bob@a.test",
                "SRS1=GGGG=first.test==GGG=UU=orig.test=bob@a.test",
                "srs=first.test=orig.test=bob@a.test",
            ),
            (
                "news-1234-ann=here.test@a.test",
                "news-99-ann=here.test@a.test",
                "news-#-#@a.test",
            ),
            (
                "b.0f3a9c21d4.x@a.test",
                "b.77aa00bb99.x@a.test",
                "b.#.x@a.test",
            ),
            ("bob+tag@a.test", "bob@a.test", "bob@a.test"),
        ] {
            assert_eq!(folded(one), kept);
            assert_eq!(folded(other), kept);
        }
        assert_eq!(folded(""), "");
        assert_eq!(folded("bob3@a.test"), "bob3@a.test");
    }

    proptest! {
        #[test]
        fn any_sender_folds_to_a_short_key_and_a_number_does_not_matter(
            local_part in "[a-zA-Z=+/#.é-]{0,40}",
            numbers: (u32, u32),
        ) {
            let of = |number: u32| {
                let domain = "a.test".parse().unwrap();
                let address = Address::new(&format!("{local_part}-{number}-x"), domain).unwrap();
                fold(&ReversePath::Address(address), &"a@b.test".parse().unwrap())
            };
            prop_assume!(!local_part.to_lowercase().starts_with("srs"));
            prop_assert_eq!(of(numbers.0), of(numbers.1));
            prop_assert!(of(numbers.0).len() <= MOST);
        }
    }
}
