//! SMTP service extensions: the keyword lines of an EHLO reply, written and
//! read (RFC 5321 section 4.1.1.1).
//!
//! What each extension does is in the files that do it.

use std::fmt;

use crate::reply::Reply;

/// Lines of an EHLO reply that are looked at; the rest is ignored.
const MAX_KEYWORDS: usize = 100;

/// One line of an EHLO reply: `ehlo-keyword *( SP ehlo-param )`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extension {
    /// RFC 2920.
    Pipelining,
    /// RFC 1870: the largest message in octets; `None` when there is no limit
    /// or it is not told.
    Size(Option<u64>),
    /// RFC 6152.
    EightBitMime,
    /// RFC 2034.
    EnhancedStatusCodes,
    /// RFC 3207.
    StartTls,
    /// RFC 4954: the mechanisms' names in upper case.
    Auth(Vec<String>),
    /// RFC 6531.
    SmtpUtf8,
    /// RFC 3461.
    Dsn,
    /// RFC 3030.
    Chunking,
    /// RFC 3030.
    BinaryMime,
    /// RFC 8689.
    RequireTls,
    /// RFC 4865: the seconds that a message may be held at most, and until when
    /// that is, as the peer words it.
    FutureRelease(Option<(u64, String)>),
    /// RFC 2852: the least time in seconds that may be asked for.
    DeliverBy(Option<u64>),
    /// RFC 6710: the priority assignment policy's name.
    MtPriority(Option<String>),
    /// RFC 9422: the limits by name, in upper case.
    Limits(Vec<(String, u64)>),
    /// RFC 1985.
    Etrn,
    /// Postfix's XCLIENT: the names of the attributes.
    Xclient(String),
    /// RFC 5321 section 3.5.2.
    Vrfy,
    /// RFC 5321 section 3.5.2.
    Expn,
    /// RFC 5321 section 4.1.1.8.
    Help,
}

impl Extension {
    /// Reads one line of an EHLO reply, without its code. `None` for an
    /// extension not known here, which the client then does not use.
    pub fn parse(line: &str) -> Option<Self> {
        let (keyword, params) = match line.split_once([' ', '=']) {
            // `AUTH=LOGIN` is how servers from before RFC 2554 wrote it.
            Some((keyword, params))
                if line.contains(' ') || keyword.eq_ignore_ascii_case("AUTH") =>
            {
                (keyword, params)
            }
            _ => (line, ""),
        };
        Some(match keyword.trim().to_ascii_uppercase().as_str() {
            "PIPELINING" => Self::Pipelining,
            "SIZE" => Self::Size(params.trim().parse().ok().filter(|&size| size > 0)),
            "8BITMIME" => Self::EightBitMime,
            "ENHANCEDSTATUSCODES" => Self::EnhancedStatusCodes,
            "STARTTLS" => Self::StartTls,
            "AUTH" => Self::Auth(
                params
                    .split([' ', '='])
                    .filter(|m| !m.is_empty())
                    .map(str::to_ascii_uppercase)
                    .collect(),
            ),
            "SMTPUTF8" => Self::SmtpUtf8,
            "DSN" => Self::Dsn,
            "CHUNKING" => Self::Chunking,
            "BINARYMIME" => Self::BinaryMime,
            "REQUIRETLS" => Self::RequireTls,
            "FUTURERELEASE" => {
                Self::FutureRelease(params.trim().split_once(' ').and_then(|(seconds, until)| {
                    Some((seconds.parse().ok()?, until.trim().to_owned()))
                }))
            }
            "DELIVERBY" => Self::DeliverBy(params.trim().parse().ok()),
            "MT-PRIORITY" => {
                Self::MtPriority(Some(params.trim().to_owned()).filter(|name| !name.is_empty()))
            }
            "LIMITS" => Self::Limits(params.split(' ').filter_map(limit).collect()),
            "ETRN" => Self::Etrn,
            "XCLIENT" => Self::Xclient(params.trim().to_ascii_uppercase()),
            "VRFY" => Self::Vrfy,
            "EXPN" => Self::Expn,
            "HELP" => Self::Help,
            _ => return None,
        })
    }
}

/// `limit-name-value` (RFC 9422 section 4). A limit whose value is not a number
/// is ignored.
fn limit(word: &str) -> Option<(String, u64)> {
    let (name, most) = word.split_once('=')?;
    Some((name.to_ascii_uppercase(), most.parse().ok()?))
}

/// The line, without reply code.
impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pipelining => "PIPELINING",
            Self::Size(Some(size)) => return write!(f, "SIZE {size}"),
            Self::Size(None) => "SIZE",
            Self::EightBitMime => "8BITMIME",
            Self::EnhancedStatusCodes => "ENHANCEDSTATUSCODES",
            Self::StartTls => "STARTTLS",
            Self::Auth(mechanisms) => return write!(f, "AUTH {}", mechanisms.join(" ")),
            Self::SmtpUtf8 => "SMTPUTF8",
            Self::Dsn => "DSN",
            Self::Chunking => "CHUNKING",
            Self::BinaryMime => "BINARYMIME",
            Self::RequireTls => "REQUIRETLS",
            Self::FutureRelease(Some((seconds, until))) => {
                return write!(f, "FUTURERELEASE {seconds} {until}");
            }
            Self::FutureRelease(None) => "FUTURERELEASE",
            Self::DeliverBy(Some(seconds)) => return write!(f, "DELIVERBY {seconds}"),
            Self::DeliverBy(None) => "DELIVERBY",
            Self::MtPriority(Some(policy)) => return write!(f, "MT-PRIORITY {policy}"),
            Self::MtPriority(None) => "MT-PRIORITY",
            Self::Limits(limits) => {
                f.write_str("LIMITS")?;
                return limits
                    .iter()
                    .try_for_each(|(name, most)| write!(f, " {name}={most}"));
            }
            Self::Etrn => "ETRN",
            Self::Xclient(attributes) => return write!(f, "XCLIENT {attributes}"),
            Self::Vrfy => "VRFY",
            Self::Expn => "EXPN",
            Self::Help => "HELP",
        })
    }
}

/// What a peer offers, read out of its EHLO reply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions(Vec<Extension>);

impl Extensions {
    /// Reads an EHLO reply: the first line greets, the others name one
    /// extension each. Several AUTH lines are one.
    pub fn parse(reply: &Reply) -> Self {
        let mut found = Self::default();
        for extension in reply
            .lines()
            .skip(1)
            .take(MAX_KEYWORDS)
            .filter_map(Extension::parse)
        {
            found.add(extension);
        }
        found
    }

    fn add(&mut self, extension: Extension) {
        if let Extension::Auth(more) = &extension
            && let Some(Extension::Auth(known)) =
                self.0.iter_mut().find(|e| matches!(e, Extension::Auth(_)))
        {
            for mechanism in more {
                if !known.contains(mechanism) {
                    known.push(mechanism.clone());
                }
            }
            return;
        }
        let same =
            |known: &Extension| std::mem::discriminant(known) == std::mem::discriminant(&extension);
        if !self.0.iter().any(same) {
            self.0.push(extension);
        }
    }

    /// True when `extension` is offered; parameters are not compared.
    pub fn offers(&self, extension: &Extension) -> bool {
        self.0
            .iter()
            .any(|known| std::mem::discriminant(known) == std::mem::discriminant(extension))
    }

    /// The largest message the peer takes, when it tells one.
    pub fn size_limit(&self) -> Option<u64> {
        self.0.iter().find_map(|extension| match extension {
            Extension::Size(limit) => *limit,
            _ => None,
        })
    }

    /// The limit of this name, in upper case, when the peer tells one (RFC
    /// 9422): `RCPTMAX`, `MAILMAX`, `RCPTDOMAINMAX`.
    pub fn limit(&self, name: &str) -> Option<u64> {
        let limits = self.0.iter().find_map(|extension| match extension {
            Extension::Limits(limits) => Some(limits),
            _ => None,
        })?;
        limits
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, most)| *most)
    }

    /// The SASL mechanisms, in upper case, in the peer's order.
    pub fn auth_mechanisms(&self) -> &[String] {
        let mechanisms = self.0.iter().find_map(|extension| match extension {
            Extension::Auth(mechanisms) => Some(mechanisms.as_slice()),
            _ => None,
        });
        mechanisms.unwrap_or_default()
    }

    /// Every extension, once each.
    pub fn iter(&self) -> impl Iterator<Item = &Extension> {
        self.0.iter()
    }
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<I: IntoIterator<Item = Extension>>(extensions: I) -> Self {
        let mut set = Self::default();
        extensions
            .into_iter()
            .for_each(|extension| set.add(extension));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::ReplyParser;

    #[test]
    fn an_ehlo_reply_is_read_whatever_its_age() {
        let mut octets = &b"250-mx.test Hello AUTH\r\n250-size 1000\r\n250-AUTH=LOGIN\r\n250-AUTH PLAIN login\r\n\
            250-X-OWN thing\r\n250-8bitmime\r\n250-PIPELINING\r\n250 STARTTLS\r\n"[..];
        let reply = ReplyParser::default()
            .receive(&mut octets)
            .unwrap()
            .unwrap();
        let offered = Extensions::parse(&reply);
        assert_eq!(offered.size_limit(), Some(1000));
        assert_eq!(offered.auth_mechanisms(), ["LOGIN", "PLAIN"]);
        assert!(offered.offers(&Extension::EightBitMime) && offered.offers(&Extension::StartTls));
        assert!(!offered.offers(&Extension::Dsn));
        assert_eq!(offered.iter().count(), 5);
    }

    #[test]
    fn lines_read_back() {
        for extension in [
            Extension::Size(Some(7)),
            Extension::Size(None),
            Extension::Auth(vec!["PLAIN".into(), "LOGIN".into()]),
            Extension::SmtpUtf8,
            Extension::BinaryMime,
            Extension::FutureRelease(Some((60, "2026-12-24T18:30:00Z".into()))),
            Extension::DeliverBy(Some(240)),
            Extension::DeliverBy(None),
            Extension::MtPriority(Some("MIXER".into())),
            Extension::MtPriority(None),
            Extension::Limits(vec![("RCPTMAX".into(), 100), ("MAILMAX".into(), 5)]),
        ] {
            assert_eq!(Extension::parse(&extension.to_string()), Some(extension));
        }
        assert_eq!(Extension::parse("SIZE 0"), Some(Extension::Size(None)));
    }
}
