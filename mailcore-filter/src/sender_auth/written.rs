//! What is written on a message of the checks of its sender: Authentication-Results
//! (RFC 8601) and Received-SPF (RFC 7208 section 9.1).

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailcore::address::{Domain, ReversePath};

use super::arc::{ArcReport, ArcResult};
use super::bimi::BimiReport;
use super::dkim::DkimVerdict;
use super::dmarc::DmarcResult;
use super::outcome::{DmarcOutcome, Override, SenderAuthentication, SpfOutcome};
use super::results::{AuthenticationResults, comment, quoted};
use super::spf::SpfResult;
use crate::sender::reverse::ReverseNames;

/// Octets of a signature that tell it from others (RFC 6008 section 4: eight
/// characters of base64).
const SIGNATURE: usize = 6;

impl SenderAuthentication {
    /// The value of an Authentication-Results field of the host `hostname`.
    pub fn results(&self, hostname: &Domain) -> AuthenticationResults {
        let mut results = AuthenticationResults::new(ascii(hostname));
        if let Some(spf) = &self.spf {
            spf.tell(&mut results);
        }
        match self.dkim.as_deref() {
            Some(dkim) if dkim.verdicts.is_empty() => {
                results.method("dkim", "none");
            }
            Some(dkim) => {
                for verdict in &dkim.verdicts {
                    signature(verdict, &mut results);
                }
            }
            None => {}
        }
        if let Some(dmarc) = &self.dmarc {
            dmarc.tell(&mut results);
        }
        if let Some(arc) = &self.arc {
            chain(arc, self.spf.as_deref(), &mut results);
        }
        if let Some(iprev) = &self.iprev {
            names(iprev, &mut results);
        }
        if let Some(bimi) = &self.bimi {
            picture(bimi, &mut results);
        }
        results
    }
}

impl SpfOutcome {
    fn tell(&self, results: &mut AuthenticationResults) {
        results.method("spf", self.report.result.as_str());
        if let Some(problem) = &self.report.problem {
            results.reason(problem);
        }
        match &self.reverse_path {
            ReversePath::Null => results.property("smtp.helo", &self.helo),
            ReversePath::Address(address) => {
                let domain = ascii(address.domain());
                results.mailbox("smtp.mailfrom", (address.local_part(), domain.as_str()))
            }
        };
    }

    /// The value of a Received-SPF field of the host `hostname`.
    pub fn received_spf(&self, hostname: &Domain) -> String {
        let report = &self.report;
        let who = match &self.reverse_path {
            ReversePath::Null => comment(&self.helo),
            ReversePath::Address(address) => comment(&address.to_string()),
        };
        let says = match report.result {
            SpfResult::Pass => "designates",
            SpfResult::Fail => "does not designate",
            SpfResult::SoftFail => "probably does not designate",
            SpfResult::Neutral | SpfResult::None => "does not say whether it designates",
            SpfResult::TempError | SpfResult::PermError => {
                "could not be asked whether it designates"
            }
        };
        let receiver = comment(ascii(hostname).as_str());
        let client = self.client;
        let mut text = format!(
            "{} ({receiver}: domain of {who} {says} {client} as permitted sender)",
            report.result
        );
        let identity = match self.reverse_path {
            ReversePath::Null => "helo",
            ReversePath::Address(_) => "mailfrom",
        };
        let _ = write!(
            text,
            " identity={identity}; client-ip={}",
            dotted(&client.to_string())
        );
        let _ = write!(text, "; helo={}", dotted(&self.helo));
        if let ReversePath::Address(address) = &self.reverse_path {
            let _ = write!(text, "; envelope-from={}", quoted(&address.to_string()));
        }
        let _ = write!(text, "; receiver={}", dotted(&receiver));
        if let Some(problem) = &report.problem {
            let _ = write!(text, "; problem={}", quoted(&problem.to_string()));
        } else if report.decided_by.is_empty() {
            text.push_str("; mechanism=default");
        } else {
            let _ = write!(text, "; mechanism={}", quoted(&report.decided_by));
        }
        text
    }
}

fn signature(verdict: &DkimVerdict, results: &mut AuthenticationResults) {
    results.method("dkim", verdict.result.as_str());
    if verdict.is_testing {
        results.comment("the key is only being tried");
    }
    if let Some(problem) = &verdict.problem {
        results.reason(problem);
    }
    if let Some(signature) = &verdict.signature {
        let start = signature.octets.get(..SIGNATURE);
        let start = STANDARD.encode(start.unwrap_or(&signature.octets));
        results
            .property("header.d", &signature.domain)
            .property("header.s", &signature.selector)
            .property("header.a", signature.algorithm.as_str())
            .property("header.b", start);
    }
}

impl DmarcOutcome {
    fn tell(&self, results: &mut AuthenticationResults) {
        let report = &self.report;
        results.method("dmarc", report.result.as_str());
        match &self.overridden {
            Some(Override::Sealed(sealer)) => {
                results.comment(format_args!("let through for the seal of {sealer}"));
            }
            Some(Override::SealUnanswered(sealer)) => {
                results.comment(format_args!("the seal of {sealer} can't be checked now"));
            }
            None => {}
        }
        if report.result == DmarcResult::PermError && self.from.len() != 1 {
            results.reason(format_args!("{} domains in From", self.from.len()));
        }
        if let Some(domain) = &report.domain {
            results.property("header.from", ascii(domain));
        }
        if report.record.is_some() {
            results.property("policy.dmarc", report.published_policy().as_str());
        }
    }
}

fn chain(arc: &ArcReport, spf: Option<&SpfOutcome>, results: &mut AuthenticationResults) {
    results.method("arc", arc.result.as_str());
    if let Some(problem) = &arc.problem {
        results.reason(problem);
    }
    if let (ArcResult::Pass, Some(last)) = (arc.result, arc.sealers.last()) {
        results.comment(format_args!("i={} sealed by {last}", arc.sealers.len()));
    }
    if let (false, Some(spf)) = (arc.sealers.is_empty(), spf) {
        results.property("smtp.remote-ip", spf.client);
    }
}

fn names(iprev: &ReverseNames, results: &mut AuthenticationResults) {
    results.method("iprev", iprev.result.as_str());
    if let Some(name) = iprev.confirmed.first() {
        results.comment(name);
    }
    results.property("policy.iprev", iprev.ip);
}

fn picture(bimi: &BimiReport, results: &mut AuthenticationResults) {
    results.method("bimi", bimi.result.as_str());
    results
        .property("header.d", &bimi.domain)
        .property("header.selector", bimi.selector);
}

/// The name with A-labels (RFC 7489 section 6.7); as it is where it has none.
fn ascii(domain: &Domain) -> Domain {
    domain.to_ascii().unwrap_or_else(|_| domain.clone())
}

/// `dot-atom`, or else a quoted string.
fn dotted(text: &str) -> String {
    let is_atom = |label: &str| {
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"-_".contains(&octet);
        !label.is_empty() && label.bytes().all(fits)
    };
    if text.split('.').all(is_atom) && text.len() < 256 {
        text.to_owned()
    } else {
        quoted(text)
    }
}
