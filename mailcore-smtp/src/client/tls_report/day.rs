//! [`DayReport`]: a day's counts for one domain, as the JSON of RFC 8460
//! section 4.4.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mailcore::address::Domain;
use mailcore::seams::StateValue;

/// A day's counts for one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DayReport {
    /// `2026-11-22`, UTC.
    pub day: String,
    /// The domain.
    pub domain: Domain,
    /// By the policy's type: `tlsa`, `sts`, `no-policy-found`.
    pub policies: BTreeMap<String, PolicyCount>,
}

/// The counts of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PolicyCount {
    /// The policy's lines.
    pub lines: Vec<String>,
    /// Sessions that went as it asks.
    pub successes: u64,
    /// Those that did not, by host and result type.
    pub failures: BTreeMap<(String, String), u64>,
}

impl DayReport {
    pub(super) fn new(day: String, domain: Domain) -> Self {
        Self {
            day,
            domain,
            policies: BTreeMap::new(),
        }
    }

    /// Takes an entry of the store: `kind` with the policy's lines, or
    /// `kind|host|result` with a count.
    pub(super) fn add(&mut self, key: &str, value: &StateValue) {
        let mut parts = key.split('|');
        let Some(kind) = parts.next() else { return };
        let policy = self.policies.entry(kind.to_owned()).or_default();
        let (Some(host), Some(result)) = (parts.next(), parts.next()) else {
            let text = String::from_utf8_lossy(&value.value);
            policy.lines = text.lines().map(str::to_owned).collect();
            return;
        };
        let count = value.counter().and_then(|count| u64::try_from(count).ok());
        let count = count.unwrap_or_default();
        if result == "success" {
            policy.successes = policy.successes.saturating_add(count);
        } else {
            let key = (host.to_owned(), result.to_owned());
            *policy.failures.entry(key).or_default() += count;
        }
    }

    /// The report as JSON.
    pub fn to_json(&self, organization: &str, contact: &str, report_id: &str) -> String {
        let mut policies = Vec::new();
        for (kind, policy) in &self.policies {
            policies.push(self.policy(kind, policy));
        }
        let day = &self.day;
        format!(
            "{{\"organization-name\":{},\"date-range\":{{\"start-datetime\":\"{day}T00:00:00Z\",\
             \"end-datetime\":\"{day}T23:59:59Z\"}},\"contact-info\":{},\"report-id\":{},\
             \"policies\":[{}]}}",
            text(organization),
            text(contact),
            text(report_id),
            policies.join(",")
        )
    }

    fn policy(&self, kind: &str, policy: &PolicyCount) -> String {
        let lines: Vec<String> = policy.lines.iter().map(|line| text(line)).collect();
        let failed: u64 = policy.failures.values().sum();
        let details = policy.failures.iter().map(|((host, result), count)| {
            format!(
                "{{\"result-type\":{},\"receiving-mx-hostname\":{},\"failed-session-count\":{count}}}",
                text(result),
                text(host)
            )
        });
        let details: Vec<String> = details.collect();
        format!(
            "{{\"policy\":{{\"policy-type\":{},\"policy-string\":[{}],\"policy-domain\":{}}},\
             \"summary\":{{\"total-successful-session-count\":{},\
             \"total-failure-session-count\":{failed}}},\"failure-details\":[{}]}}",
            text(kind),
            lines.join(","),
            text(self.domain.as_str()),
            policy.successes,
            details.join(",")
        )
    }
}

/// A JSON string (RFC 8259 section 7).
fn text(value: &str) -> String {
    let mut out = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a string can't fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
