//! What a domain publishes at `_dmarc` (RFC 7489 section 6.3, RFC 9989 section
//! 4.7).

use thiserror::Error;

/// Addresses for reports read of one record.
const MOST_ADDRESSES: usize = 16;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DmarcRecord {
    /// What is asked for mail of the domain.
    pub policy: DmarcPolicy,
    /// For mail of names below it; as the domain unless told.
    pub subdomains: Option<DmarcPolicy>,
    /// For mail of names below it that don't exist; as subdomains unless told.
    pub nonexistent: Option<DmarcPolicy>,
    /// How near a signature's domain must be.
    pub dkim_alignment: Alignment,
    /// How near the domain that SPF checked must be.
    pub spf_alignment: Alignment,
    /// Whether the names below belong to others.
    pub psd: PublicSuffix,
    /// It is only being tried (`t=y`): one step less than it asks.
    pub is_testing: bool,
    /// Where aggregate reports go, as URIs.
    pub aggregate_reports: Vec<String>,
    /// Where failure reports go, as URIs.
    pub failure_reports: Vec<String>,
    /// Which failures they are about (`fo`).
    pub failure_options: Vec<FailureOption>,
}

/// Which failures a domain wants to hear of one by one (RFC 7489 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureOption {
    /// `0`: nothing proves the mail to be its own.
    Nothing,
    /// `1`: something does not.
    Something,
    /// `d`: a signature does not hold, whosever it is.
    Signature,
    /// `s`: SPF does not pass, for whatever domain.
    Host,
}

impl FailureOption {
    /// The letter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "0",
            Self::Something => "1",
            Self::Signature => "d",
            Self::Host => "s",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Nothing, Self::Something, Self::Signature, Self::Host]
            .into_iter()
            .find(|option| text.trim().eq_ignore_ascii_case(option.as_str()))
    }
}

/// What a domain asks for mail that is not its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum DmarcPolicy {
    /// Nothing.
    #[default]
    None,
    /// Treat it as suspicious.
    Quarantine,
    /// Refuse it.
    Reject,
}

impl DmarcPolicy {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Quarantine, Self::Reject]
            .into_iter()
            .find(|policy| text.eq_ignore_ascii_case(policy.as_str()))
    }

    /// One step less, for records that are only tried.
    #[must_use]
    pub fn milder(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }
}

/// How near two domains must be to count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alignment {
    /// Of one organization.
    #[default]
    Relaxed,
    /// The same.
    Strict,
}

/// Whether a domain is one under which others register theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublicSuffix {
    /// It is.
    Yes,
    /// It is an organization's own.
    No,
    /// It does not say.
    #[default]
    Unknown,
}

/// Why a record that begins like one counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DmarcRecordError {
    /// It is no list of tags.
    #[error("it is no list of tags")]
    Syntax,
    /// No policy, and nowhere to send reports to.
    #[error("it has no policy that is known")]
    Policy,
}

/// True when a TXT record is one of DMARC, well-formed or not.
pub fn is_record(txt: &[u8]) -> bool {
    let first = txt.split(|octet| *octet == b';').next().unwrap_or_default();
    let mut halves = first.splitn(2, |octet| *octet == b'=');
    let name = halves.next().unwrap_or_default().trim_ascii();
    let version = halves.next().unwrap_or_default().trim_ascii();
    name == b"v" && version == b"DMARC1"
}

impl DmarcRecord {
    /// Reads a TXT record for which [`is_record`] holds. Tags that are not known
    /// or wrong are as if they were not there.
    ///
    /// # Errors
    /// [`DmarcRecordError`].
    pub fn parse(txt: &[u8]) -> Result<Self, DmarcRecordError> {
        let text = std::str::from_utf8(txt).map_err(|_| DmarcRecordError::Syntax)?;
        let tags = || {
            let parts = text.split(';').filter_map(|part| part.split_once('='));
            parts.map(|(name, value)| (name.trim(), value.trim()))
        };
        let tag = |name: &str| tags().find(|(it, _)| it.eq_ignore_ascii_case(name));
        let value = |name: &str| tag(name).map(|(_, value)| value);
        let reports = |name: &str| -> Vec<String> {
            let uris = value(name).into_iter().flat_map(|it| it.split(','));
            let uris = uris.map(str::trim).filter(|it| it.contains(':'));
            uris.take(MOST_ADDRESSES).map(String::from).collect()
        };
        let aggregate_reports = reports("rua");
        let policy = match value("p").map(DmarcPolicy::parse) {
            Some(Some(policy)) => policy,
            // Who asks for reports alone gets them (RFC 7489 section 6.6.3).
            _ if !aggregate_reports.is_empty() => DmarcPolicy::None,
            _ => return Err(DmarcRecordError::Policy),
        };
        let alignment = |name: &str| match value(name) {
            Some("s" | "S") => Alignment::Strict,
            _ => Alignment::Relaxed,
        };
        Ok(Self {
            policy,
            subdomains: value("sp").and_then(DmarcPolicy::parse),
            nonexistent: value("np").and_then(DmarcPolicy::parse),
            dkim_alignment: alignment("adkim"),
            spf_alignment: alignment("aspf"),
            psd: match value("psd") {
                Some("y" | "Y") => PublicSuffix::Yes,
                Some("n" | "N") => PublicSuffix::No,
                _ => PublicSuffix::Unknown,
            },
            is_testing: matches!(value("t"), Some("y" | "Y")),
            aggregate_reports,
            failure_reports: reports("ruf"),
            failure_options: failure_options(value("fo")),
        })
    }
}

/// Each once; `0` where none is known.
fn failure_options(value: Option<&str>) -> Vec<FailureOption> {
    let mut options = Vec::new();
    let words = value.into_iter().flat_map(|it| it.split(':'));
    for option in words.filter_map(FailureOption::parse) {
        if !options.contains(&option) {
            options.push(option);
        }
    }
    if options.is_empty() {
        options.push(FailureOption::Nothing);
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_it_says_and_nothing_else() {
        let text = "v=DMARC1; p=Reject; sp=quarantine; np=reject; adkim=s; psd=n; t=y; \
                    rua=mailto:a@x.test, https://x.test/r!10m; ruf=nowhere; pct=10; odd";
        let record = DmarcRecord::parse(text.as_bytes()).unwrap();
        assert_eq!(record.policy, DmarcPolicy::Reject);
        assert_eq!(record.subdomains, Some(DmarcPolicy::Quarantine));
        assert_eq!(record.nonexistent, Some(DmarcPolicy::Reject));
        assert_eq!(record.dkim_alignment, Alignment::Strict);
        assert_eq!(record.spf_alignment, Alignment::Relaxed);
        assert_eq!(record.psd, PublicSuffix::No);
        assert!(record.is_testing && record.failure_reports.is_empty());
        assert_eq!(
            record.aggregate_reports,
            ["mailto:a@x.test", "https://x.test/r!10m"]
        );
        assert_eq!(record.failure_options, [FailureOption::Nothing]);
        let record = DmarcRecord::parse(b"v=DMARC1; p=none; fo=1:d:x: S:1").unwrap();
        let options: Vec<_> = record
            .failure_options
            .iter()
            .map(|it| it.as_str())
            .collect();
        assert_eq!(options, ["1", "d", "s"]);
        let asks_for_reports = DmarcRecord::parse(b"v=DMARC1; p=odd; rua=mailto:a@x.test").unwrap();
        assert_eq!(asks_for_reports.policy, DmarcPolicy::None);
        assert_eq!(
            DmarcRecord::parse(b"v=DMARC1"),
            Err(DmarcRecordError::Policy)
        );
        for (text, is) in [
            ("v=DMARC1; p=none", true),
            (" v = DMARC1 ", true),
            ("v=DMARC12; p=none", false),
            ("p=none; v=DMARC1", false),
            ("", false),
        ] {
            assert_eq!(is_record(text.as_bytes()), is, "{text}");
        }
    }
}
