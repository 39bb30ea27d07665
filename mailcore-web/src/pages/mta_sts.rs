//! [`MtaStsPolicy`]: what other servers are told of TLS to a domain's hosts
//! (RFC 8461 section 3.2).

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::Domain;

use crate::{Page, Request, Response, Status};

/// The longest time a policy may be kept: about a year (RFC 8461 section 3.2).
const MAX_AGE: u64 = 31_557_600;

/// What senders do when TLS fails (RFC 8461 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MtaStsMode {
    /// They don't deliver.
    Enforce,
    /// They report it, and deliver.
    Testing,
    /// There is no policy any more.
    None,
}

/// A policy, and its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MtaStsPolicy {
    mode: MtaStsMode,
    max_age: u64,
    /// Hosts, of which the first label may be `*`.
    mx: Vec<String>,
}

impl MtaStsPolicy {
    /// Where the page belongs, on the host [`MtaStsPolicy::host`].
    pub const PATH: &'static str = "/.well-known/mta-sts.txt";

    /// A policy that names these hosts, and is kept so long.
    pub fn new(mode: MtaStsMode, mx: impl IntoIterator<Item = String>, max_age: Duration) -> Self {
        Self {
            mode,
            max_age: max_age.as_secs().min(MAX_AGE),
            mx: mx.into_iter().collect(),
        }
    }

    /// The host that a domain's policy is looked for on.
    pub fn host(domain: &Domain) -> String {
        format!("mta-sts.{domain}")
    }

    /// An id that changes with the policy, for the record `_mta-sts` (RFC 8461
    /// section 3.1).
    pub fn id(&self) -> String {
        let hash = blake3::hash(self.to_string().as_bytes()).to_hex();
        hash.as_str().chars().take(20).collect()
    }
}

/// The policy's text.
impl fmt::Display for MtaStsPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            MtaStsMode::Enforce => "enforce",
            MtaStsMode::Testing => "testing",
            MtaStsMode::None => "none",
        };
        write!(f, "version: STSv1\r\nmode: {mode}\r\n")?;
        for mx in &self.mx {
            write!(f, "mx: {mx}\r\n")?;
        }
        write!(f, "max_age: {}\r\n", self.max_age)
    }
}

#[async_trait]
impl Page for MtaStsPolicy {
    async fn answer(&self, _: &Request) -> Response {
        Response::new(Status::OK, "text/plain", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_written_as_the_rfc_has_it_and_its_id_follows_it() {
        let policy = |days: u64| {
            let mx = ["mail.example.com".to_owned(), "*.example.net".to_owned()];
            MtaStsPolicy::new(MtaStsMode::Enforce, mx, Duration::from_secs(days * 86_400))
        };
        assert_eq!(
            policy(7).to_string(),
            "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n\
             max_age: 604800\r\n"
        );
        assert_eq!(policy(7).id(), policy(7).id());
        assert_ne!(policy(7).id(), policy(8).id());
        assert!(policy(9_999).to_string().ends_with("max_age: 31557600\r\n"));
        assert!(policy(7).id().len() <= 32);
    }
}
