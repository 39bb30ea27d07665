//! Commands on DMARC reports.

use mailcore::seams::{Clock, SystemClock};
use mailcore_filter::sender_auth::reports::received::{SourceSum, Sums};
use mailcore_filter::sender_auth::reports::reporter::Sending;
use mailcore_filter::sender_auth::reports::tally::Until;
use serde::{Deserialize, Serialize};

use super::admin::{parse_domain, words};
use crate::dmarc::{self, DmarcReports};
use crate::when;

/// Lines of an answer; the hosts with least mail are left out.
const MOST_LINES: usize = 5_000;

/// What can be asked of reports.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DmarcRequest {
    /// What others reported: a [`Source`] a line.
    Reports {
        domain: Option<String>,
        /// A moment as a person writes it.
        since: Option<String>,
    },
    /// Sends what was counted, or says what would be sent.
    Send { dry_run: bool },
}

/// Mail of a domain from one host, as a line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) domain: String,
    pub(crate) source: String,
    pub(crate) messages: u64,
    pub(crate) passed: u64,
    pub(crate) dkim: u64,
    pub(crate) spf: u64,
    pub(crate) quarantined: u64,
    pub(crate) rejected: u64,
}

impl From<SourceSum> for Source {
    fn from(sum: SourceSum) -> Self {
        Self {
            source: match sum.source.is_unspecified() {
                true => "others".to_owned(),
                false => sum.source.to_string(),
            },
            domain: sum.domain,
            messages: sum.messages,
            passed: sum.passed,
            dkim: sum.dkim,
            spf: sum.spf,
            quarantined: sum.quarantined,
            rejected: sum.rejected,
        }
    }
}

/// Carries one command out.
pub(super) async fn run(
    reports: &DmarcReports,
    request: DmarcRequest,
) -> Result<Vec<String>, String> {
    match request {
        DmarcRequest::Reports { domain, since } => {
            let domain = domain.as_deref().map(parse_domain).transpose()?;
            let now = SystemClock::new().now();
            let since = since.map(|text| {
                when::parse(&text, now)
                    .ok_or_else(|| format!("\"{text}\" is no time; write 2026-11-22 or 7d for ago"))
            });
            let since = since.transpose()?;
            let mut sums = Sums::default();
            let kept = reports.kept();
            let each = kept.each(domain.as_ref(), since, |report| sums.add(&report));
            each.await.map_err(words)?;
            let sources = sums.finish().into_iter().take(MOST_LINES).map(Source::from);
            let lines = sources.map(|source| serde_json::to_string(&source).map_err(words));
            lines.collect()
        }
        DmarcRequest::Send { dry_run } => {
            let sending = if dry_run { Sending::Dry } else { Sending::Real };
            let sent = reports.send(Until::Now, sending).await?;
            Ok(dmarc::told(&sent, sending))
        }
    }
}
