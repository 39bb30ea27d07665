//! [`StsPolicy`]: a policy file read, and the DNS record that announces it.

use std::time::Duration;

use mailcore::address::Domain;
use thiserror::Error;

/// RFC 8461 section 3.2: about a year.
const MAX_AGE: u64 = 31_557_600;
/// Patterns of hosts in one policy.
const MAX_PATTERNS: usize = 200;

/// What a policy asks (RFC 8461 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StsMode {
    /// Mail goes to the hosts named alone, within verified TLS.
    Enforce,
    /// Mail goes as without; what would have failed is reported.
    Testing,
    /// The domain has no policy any more.
    None,
}

/// A policy (RFC 8461 section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StsPolicy {
    /// What it asks.
    pub mode: StsMode,
    /// How long it holds.
    pub max_age: Duration,
    patterns: Vec<String>,
    lines: Vec<String>,
}

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StsPolicyError {
    /// It is no text.
    #[error("the policy is not UTF-8 text")]
    NotText,
    /// The first field is another one.
    #[error("the policy does not begin with \"version: STSv1\"")]
    Version,
    /// A line is no field.
    #[error("the policy has a line without \": \"")]
    Line,
    /// A field is missing or has no such value.
    #[error("the policy has no valid {0}")]
    Field(&'static str),
}

impl StsPolicy {
    /// Reads a policy. Fields that are not known are passed over; of one that
    /// comes twice the first counts.
    ///
    /// # Errors
    /// [`StsPolicyError`].
    pub fn parse(text: &[u8]) -> Result<Self, StsPolicyError> {
        let text = std::str::from_utf8(text).map_err(|_| StsPolicyError::NotText)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<&str> = lines.collect();
        let (mut mode, mut max_age, mut patterns) = (None, None, Vec::new());
        for (at, line) in lines.iter().enumerate() {
            let (name, value) = line.split_once(':').ok_or(StsPolicyError::Line)?;
            let (name, value) = (name.trim(), value.trim());
            if at == 0 && (name, value) != ("version", "STSv1") {
                return Err(StsPolicyError::Version);
            }
            match name {
                "mode" if mode.is_none() => mode = Some(value),
                "max_age" if max_age.is_none() => max_age = Some(value),
                "mx" if patterns.len() < MAX_PATTERNS => patterns.push(pattern(value)?),
                _ => {}
            }
        }
        if lines.is_empty() {
            return Err(StsPolicyError::Version);
        }
        let mode = match mode {
            Some("enforce") => StsMode::Enforce,
            Some("testing") => StsMode::Testing,
            Some("none") => StsMode::None,
            _ => return Err(StsPolicyError::Field("mode")),
        };
        if patterns.is_empty() && mode != StsMode::None {
            return Err(StsPolicyError::Field("mx"));
        }
        Ok(Self {
            mode,
            max_age: max_age
                .and_then(seconds)
                .ok_or(StsPolicyError::Field("max_age"))?,
            patterns,
            lines: lines.into_iter().map(str::to_owned).collect(),
        })
    }

    /// True when the policy names the host (RFC 8461 section 4.1). `*.` stands
    /// for one label.
    pub fn covers(&self, host: &Domain) -> bool {
        let Ok(host) = host.to_ascii() else {
            return false;
        };
        let host = host.as_str().to_ascii_lowercase();
        let host = host.trim_end_matches('.');
        self.patterns
            .iter()
            .any(|pattern| match pattern.strip_prefix("*.") {
                Some(parent) => host
                    .split_once('.')
                    .is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
                None => host == pattern,
            })
    }

    /// Its lines, as reports quote them.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.len() <= 10 && text.bytes().all(|c| c.is_ascii_digit());
    let seconds: u64 = text.parse().ok().filter(|_| digits)?;
    Some(Duration::from_secs(seconds.min(MAX_AGE)))
}

fn pattern(text: &str) -> Result<String, StsPolicyError> {
    let bad = StsPolicyError::Field("mx");
    let name = text.strip_prefix("*.").unwrap_or(text);
    let domain = Domain::parse(name).map_err(|_| bad.clone())?;
    if domain.as_ip().is_some() || domain.to_ascii().is_err() {
        return Err(bad);
    }
    Ok(text.trim_end_matches('.').to_ascii_lowercase())
}

/// The id of the one record `v=STSv1; id=...;` (RFC 8461 section 3.1); `None`
/// when there is none, or more than one.
pub(super) fn record_id(records: &[Vec<u8>]) -> Option<String> {
    let texts = records
        .iter()
        .filter_map(|text| std::str::from_utf8(text).ok());
    let mut found = texts.filter(|text| {
        let version = text.split(';').next().map(str::trim_end);
        version == Some("v=STSv1")
    });
    let record = found.next().filter(|_| found.next().is_none())?;
    let mut fields = record.split(';').skip(1).map(str::trim);
    let id = fields.find_map(|field| field.strip_prefix("id="))?;
    let valid = (1..=32).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_alphanumeric());
    valid.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(text: &str) -> Result<StsPolicy, StsPolicyError> {
        StsPolicy::parse(text.as_bytes())
    }

    #[test]
    fn a_policy_names_its_hosts() {
        let text = "version: STSv1\r\nmode: enforce\r\nmx: mail.x.test\r\nmx: *.y.test\r\n\
                    later: field\r\nmax_age: 604800\r\n";
        let policy = policy(text).unwrap();
        assert_eq!(policy.mode, StsMode::Enforce);
        assert_eq!(policy.max_age, Duration::from_secs(604_800));
        for (host, covered) in [
            ("mail.x.test", true),
            ("MAIL.x.test", true),
            ("a.mail.x.test", false),
            ("mx.y.test", true),
            ("y.test", false),
            ("a.mx.y.test", false),
        ] {
            assert_eq!(policy.covers(&host.parse().unwrap()), covered, "{host}");
        }
    }

    #[test]
    fn what_is_missing_or_odd_is_no_policy() {
        for text in [
            "",
            "mode: enforce\nversion: STSv1\nmx: a.test\nmax_age: 1\n",
            "version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 1\n",
            "version: STSv1\nmode: enforce\nmax_age: 1\n",
            "version: STSv1\nmode: perhaps\nmx: a.test\nmax_age: 1\n",
            "version: STSv1\nmode: enforce\nmx: a.test\n",
            "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: -1\n",
            "version: STSv1\nmode: enforce\nmx: [192.0.2.1]\nmax_age: 1\n",
            "version: STSv1\n<html>\n",
        ] {
            assert!(policy(text).is_err(), "{text}");
        }
        assert!(policy("version: STSv1\nmode: none\nmax_age: 1\n").is_ok());
        let long = "version: STSv1\nmode: none\nmax_age: 9999999999\n";
        assert_eq!(policy(long).unwrap().max_age, Duration::from_secs(MAX_AGE));
    }

    #[test]
    fn one_record_announces_a_policy_and_two_announce_none() {
        let records = |texts: &[&str]| {
            let records: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
            record_id(&records)
        };
        let one = records(&["v=spf1 -all", "v=STSv1; id=20160831085700Z;"]);
        assert_eq!(one.as_deref(), Some("20160831085700Z"));
        assert_eq!(records(&["v=STSv1; id=1", "v=STSv1; id=2"]), None);
        for text in [
            "v=STSv1",
            "v=STSv1; id=",
            "v=STSv1; id=a-b",
            "v=STSv10; id=1",
        ] {
            assert_eq!(records(&[text]), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets: Vec<u8>) {
            let _ = StsPolicy::parse(&octets);
            let _ = record_id(&[octets]);
        }
    }
}
