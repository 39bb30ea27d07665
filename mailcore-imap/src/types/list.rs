//! [`ListPattern`]: which mailboxes LIST and LSUB name.

use mailcore::mailbox::{HIERARCHY_DELIMITER, composed};

/// Octets allowed in a pattern, reference included.
pub const MAX_PATTERN: usize = 2_000;

/// `list-mailbox` joined to its reference: `*` matches anything, `%` anything
/// but the hierarchy delimiter (RFC 3501 section 6.3.8). In UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPattern(String);

impl ListPattern {
    /// The pattern `mailbox` under `reference`; `None` over [`MAX_PATTERN`].
    /// The inbox's name is folded and letters are composed, as
    /// [`mailcore::mailbox::MailboxName`] does.
    pub fn new(reference: &str, mailbox: &str) -> Option<Self> {
        let text = format!("{reference}{mailbox}");
        if text.len() > MAX_PATTERN {
            return None;
        }
        let text = composed(&text).into_owned();
        let first = text.split(HIERARCHY_DELIMITER).next().unwrap_or_default();
        if first.eq_ignore_ascii_case("INBOX") {
            return Some(Self(format!("INBOX{}", text.get(5..).unwrap_or_default())));
        }
        Some(Self(text))
    }

    /// True when `name` matches. Takes time in proportion to the product of
    /// the two lengths at worst.
    ///
    /// A mismatch goes back to the last `%`, and past it to the last `*`. Going
    /// back further is never needed: what an earlier wildcard could take, a
    /// later one of the same reach can, too.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        let mut percent: Option<(usize, usize)> = None;
        loop {
            match (pattern.get(p), name.get(n)) {
                (None, None) => return true,
                (Some(b'*'), _) => {
                    p += 1;
                    star = Some((p, n));
                    percent = None;
                }
                (Some(b'%'), _) => {
                    p += 1;
                    percent = Some((p, n));
                }
                (Some(a), Some(b))
                    if a == b || (star.is_none() && percent.is_none() && inbox(p, a, b)) =>
                {
                    p += 1;
                    n += 1;
                }
                _ => match retry(&mut percent, &mut star, name) {
                    Some((next_p, next_n)) => (p, n) = (next_p, next_n),
                    None => return false,
                },
            }
        }
    }
}

/// Letters of a pattern such as `inb%` still match `INBOX` in any case.
fn inbox(at: usize, a: &u8, b: &u8) -> bool {
    b"INBOX".get(at).is_some_and(|letter| letter == b) && a.eq_ignore_ascii_case(b)
}

/// Lets the last wildcard that can take one octet more do so.
fn retry(
    percent: &mut Option<(usize, usize)>,
    star: &mut Option<(usize, usize)>,
    name: &[u8],
) -> Option<(usize, usize)> {
    if let Some((p, n)) = percent {
        if name
            .get(*n)
            .is_some_and(|&b| b != HIERARCHY_DELIMITER as u8)
        {
            *n += 1;
            return Some((*p, *n));
        }
        *percent = None;
    }
    let (p, n) = star.as_mut()?;
    name.get(*n)?;
    *n += 1;
    Some((*p, *n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition itself, exponential and evident.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=name.len()).any(|i| naive(rest, &name[i..])),
            (Some((b'%', rest)), _) => {
                let reach = name.iter().position(|&b| b == b'/').unwrap_or(name.len());
                (0..=reach).any(|i| naive(rest, &name[i..]))
            }
            (Some((a, p)), Some((b, n))) => a == b && naive(p, n),
            _ => false,
        }
    }

    #[test]
    fn the_inbox_matches_in_any_case() {
        let matches = |pattern: &str| ListPattern::new("", pattern).unwrap().matches("INBOX");
        assert!(matches("inbox") && matches("InB%") && matches("*") && matches("%"));
        assert!(ListPattern::new("inbox/", "%").unwrap().matches("INBOX/a"));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab/*%]{0,8}", name in "[ab/]{0,9}") {
            let fast = ListPattern::new("", &pattern).unwrap().matches(&name);
            prop_assert_eq!(fast, naive(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
