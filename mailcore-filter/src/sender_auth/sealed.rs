//! What trusted hosts sealed: that a message passed DMARC when it came to them (RFC
//! 8617 section 7.2.1).

use std::collections::HashSet;

use mailcore::address::Domain;

use super::arc::ArcReport;

/// True when a trusted host says of a chain that holds that the message passed as
/// mail of `from`, and only trusted hosts had it since: any other may have
/// changed it and sealed that.
pub(super) fn vouches(arc: &ArcReport, trusted: &HashSet<Domain>, from: &Domain) -> bool {
    let hosts = arc.sealers.iter().zip(&arc.said).rev();
    let mut known = hosts.take_while(|(sealer, _)| trusted.contains(*sealer));
    arc.covers_from && known.any(|(_, said)| says_pass(said, from))
}

/// Whether results say `dmarc=pass`, and for `from` where they say for whom.
fn says_pass(results: &str, from: &Domain) -> bool {
    parts(results).iter().any(|words| {
        let mut words = words.iter();
        let first = words.next().is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("dmarc") && value.eq_ignore_ascii_case("pass")
        });
        let of_another = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case("header.from")
                && Domain::parse(value).and_then(|it| it.to_ascii()).as_ref() != Ok(from)
        };
        first && !words.any(of_another)
    })
}

/// The parts between semicolons, each as its `name=value` words, comments and quotes
/// undone.
fn parts(text: &str) -> Vec<Vec<(String, String)>> {
    let mut parts = vec![Vec::new()];
    let mut word = String::new();
    let end = |word: &mut String, parts: &mut Vec<Vec<(String, String)>>| {
        if let Some((name, value)) = word.split_once('=')
            && let Some(part) = parts.last_mut()
        {
            part.push((name.trim().to_owned(), value.to_owned()));
        }
        word.clear();
    };
    let (mut depth, mut quoted) = (0usize, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted || depth > 0 => word.extend(chars.next().filter(|_| depth == 0)),
            '"' if depth == 0 => quoted = !quoted,
            _ if quoted => word.push(c),
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            ';' => {
                end(&mut word, &mut parts);
                parts.push(Vec::new());
            }
            c if c.is_whitespace() => {
                // White space may stand around the sign of equality.
                while chars.next_if(|it| it.is_whitespace()).is_some() {}
                let joins = word.ends_with('=') || chars.peek() == Some(&'=');
                if !joins {
                    end(&mut word, &mut parts);
                }
            }
            c => word.push(c),
        }
    }
    end(&mut word, &mut parts);
    parts
}

#[cfg(test)]
mod tests {
    use super::super::arc::ArcResult;
    use super::*;

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    #[test]
    fn only_a_pass_that_is_said_of_this_domain_counts() {
        for (said, counts) in [
            ("i=1; mx.l.test; dmarc=pass header.from=a.test", true),
            (
                "i=1; mx.l.test; spf=fail; DMARC = PASS (p=reject) header.from=\"A.test\"",
                true,
            ),
            ("i=1; mx.l.test; dmarc=pass", true),
            ("i=1; mx.l.test; dmarc=pass header.from=b.test", false),
            (
                "i=1; mx.l.test; dmarc=fail (dmarc=pass) header.from=a.test",
                false,
            ),
            ("i=1; mx.l.test; spf=pass smtp.helo=\"; dmarc=pass\"", false),
            ("i=1; mx.l.test; spf=pass dmarc=pass", false),
            ("i=1; mx.l.test; none", false),
            ("", false),
        ] {
            assert_eq!(says_pass(said, &domain("a.test")), counts, "{said}");
        }
    }

    #[test]
    fn who_sealed_after_a_trusted_host_must_be_trusted_too() {
        let pass = "i=1; mx; dmarc=pass header.from=a.test";
        let none = "i=2; mx; dmarc=fail header.from=a.test";
        let trusted = HashSet::from([domain("l.test"), domain("m.test")]);
        for (sealers, said, counts) in [
            (&["l.test"][..], &[pass][..], true),
            (&["l.test", "m.test"], &[pass, none], true),
            (&["evil.test", "l.test"], &[pass, none], false),
            (&["l.test", "evil.test"], &[pass, pass], false),
            (&["evil.test", "l.test"], &[none, pass], true),
        ] {
            let report = ArcReport {
                result: ArcResult::Pass,
                problem: None,
                sealers: sealers.iter().map(|it| domain(it)).collect(),
                said: said.iter().map(|it| (*it).to_owned()).collect(),
                covers_from: true,
            };
            assert_eq!(
                vouches(&report, &trusted, &domain("a.test")),
                counts,
                "{sealers:?}"
            );
            let unsigned = ArcReport {
                covers_from: false,
                ..report
            };
            assert!(!vouches(&unsigned, &trusted, &domain("a.test")));
        }
    }
}
