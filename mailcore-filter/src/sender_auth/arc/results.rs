//! What this host itself said of a message, in Authentication-Results on top of
//! it (RFC 8601). Whoever else writes under this host's name is not heard: intake
//! removes such fields.

use mailcore::address::Domain;
use mailcore::message::Field;

use super::ArcResult;

/// Octets of results that are passed on.
const MOST: usize = 16 * 1024;

/// The results under the name `authserv_id`, in one line; `none` where there are
/// none.
pub(super) fn said_of_message(fields: &[Field<'_>], authserv_id: &Domain) -> String {
    let mut said = String::new();
    for field in fields.iter().filter(|it| it.is("Authentication-Results")) {
        let value = String::from_utf8_lossy(&field.value()).into_owned();
        let (name, results) = value.split_once(';').unwrap_or((&value, ""));
        // `authserv-id version`.
        let name = name.split_ascii_whitespace().next().unwrap_or_default();
        let results = results.trim().trim_end_matches(';');
        if !name.eq_ignore_ascii_case(authserv_id.as_str())
            || results.is_empty()
            || results == "none"
            || said.len() + results.len() > MOST
        {
            continue;
        }
        if !said.is_empty() {
            said.push_str("; ");
        }
        said.push_str(results);
    }
    if said.is_empty() {
        said.push_str("none");
    }
    said
}

/// What results say of the chain, by the method `arc`.
pub(super) fn said_of_chain(results: &str) -> Option<ArcResult> {
    let plain = without_comments(results);
    let mut methods = plain.split(';').filter_map(|it| it.split_once('='));
    let (_, value) = methods.find(|(method, _)| method.trim().eq_ignore_ascii_case("arc"))?;
    let word = value.split_ascii_whitespace().next()?.to_ascii_lowercase();
    match word.as_str() {
        "pass" => Some(ArcResult::Pass),
        "fail" => Some(ArcResult::Fail),
        "none" => Some(ArcResult::None),
        _ => None,
    }
}

/// Without what stands in parentheses or quotes, where anything may.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut depth, mut quoted) = (0usize, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if quoted || depth > 0 => drop(letters.next()),
            '"' if depth == 0 => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailcore::message::Header;

    fn said(text: &str) -> String {
        let ours = Domain::parse("mx.a.test").unwrap();
        let fields: Vec<_> = Header::new(text.as_bytes()).fields().collect();
        said_of_message(&fields, &ours)
    }

    #[test]
    fn only_results_under_this_name_are_passed_on() {
        assert_eq!(said("Subject: x\r\n"), "none");
        let text = "Authentication-Results: mx.a.test;\r\n\tspf=pass smtp.mailfrom=b.test\r\n\
                    Authentication-Results: other.test; dkim=pass\r\n\
                    Authentication-Results: MX.A.test 1; arc=pass;\r\n\
                    Authentication-Results: mx.a.test; none\r\n";
        assert_eq!(said(text), "spf=pass smtp.mailfrom=b.test; arc=pass");
    }

    #[test]
    fn the_state_of_a_chain_is_not_read_from_comments_and_quotes() {
        assert_eq!(
            said_of_chain("spf=pass; ARC = pass (i=1)"),
            Some(ArcResult::Pass)
        );
        assert_eq!(said_of_chain("arc=fail"), Some(ArcResult::Fail));
        assert_eq!(said_of_chain("spf=none (; arc=pass )"), None);
        assert_eq!(said_of_chain("spf=fail reason=\"; arc=pass\""), None);
        assert_eq!(said_of_chain("none"), None);
    }
}
