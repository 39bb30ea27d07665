//! Addresses that scripts send to (RFC 5228 section 2.4.2.3).

/// The `local@domain` of `local@domain` or `Name <local@domain>`; `None` for what is
/// no address.
pub(crate) fn address(text: &str) -> Option<String> {
    let text = text.trim();
    let spec = match text.strip_suffix('>') {
        Some(rest) => {
            let (phrase, spec) = rest.rsplit_once('<')?;
            is_phrase(phrase).then_some(spec)?
        }
        None => text,
    };
    let (local, domain) = spec.rsplit_once('@')?;
    (is_local(local) && is_domain(domain)).then(|| spec.to_owned())
}

fn is_phrase(text: &str) -> bool {
    let text = text.trim();
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) => is_quoted(inner),
        None => !text.contains(['<', '>', '@', '"', ':', ';', ',', '\r', '\n']),
    }
}

/// The inside of a quoted string (RFC 5322 section 3.2.4).
fn is_quoted(inner: &str) -> bool {
    let mut escaped = false;
    for next in inner.chars() {
        if next.is_control() || (next == '"' && !escaped) {
            return false;
        }
        escaped = next == '\\' && !escaped;
    }
    !escaped
}

/// `dot-atom` or `quoted-string` (RFC 5322 section 3.4.1), UTF-8 allowed (RFC 6532).
fn is_local(local: &str) -> bool {
    if let Some(inner) = local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        return is_quoted(inner);
    }
    local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_atext(next: char) -> bool {
    next.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(next)
        || (!next.is_ascii() && !next.is_control() && !next.is_whitespace())
}

fn is_domain(domain: &str) -> bool {
    if let Some(literal) = domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return !literal.is_empty()
            && literal
                .chars()
                .all(|next| next.is_ascii_alphanumeric() || matches!(next, '.' | ':' | '-'));
    }
    domain.len() <= 255
        && domain.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|next| {
                    next.is_ascii_alphanumeric()
                        || matches!(next, '-' | '_')
                        || (!next.is_ascii() && next.is_alphanumeric())
                })
        })
}
