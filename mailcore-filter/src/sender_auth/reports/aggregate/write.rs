//! A report as XML: RFC 9990's form, with words that readers of RFC 7489's form
//! know, too.
//!
//! `pct` is not among them, since there is none any more. What passes has the
//! disposition `none`: `pass` is new, and old readers would refuse the report.

use std::fmt::{Display, Write};

use super::super::xml::escape;
use super::{AggregateReport, PublishedPolicy, Row};
use crate::sender_auth::dmarc::Alignment;

/// RFC 9990 section 3.1.1.1.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:dmarc-2.0";
/// Signatures told of one row (RFC 9990: no more than 100).
const MOST_SIGNATURES: usize = 100;

impl AggregateReport {
    /// The report as a document of its own.
    pub fn to_xml(&self) -> String {
        let mut xml = Writer::default();
        xml.text
            .push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(xml.text, "<feedback xmlns=\"{NAMESPACE}\">");
        xml.element("version", "1.0");
        xml.within("report_metadata", |xml| {
            xml.element("org_name", &self.organization);
            xml.element("email", &self.email);
            xml.unless_empty("extra_contact_info", &self.contact);
            xml.element("report_id", &self.id);
            xml.within("date_range", |xml| {
                xml.element("begin", self.begin);
                xml.element("end", self.end);
            });
            // RFC 9990 allows but one.
            xml.unless_empty("error", &self.errors.join("; "));
            xml.unless_empty("generator", &self.generator);
        });
        xml.policy(&self.policy);
        for row in &self.rows {
            xml.row(row);
        }
        xml.text.push_str("</feedback>\n");
        xml.text
    }
}

impl Row {
    /// The row alone, as it stands in a report.
    pub(in crate::sender_auth::reports) fn to_xml(&self) -> String {
        let mut xml = Writer::default();
        xml.row(self);
        xml.text
    }
}

#[derive(Default)]
struct Writer {
    text: String,
}

impl Writer {
    fn within(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        let _ = writeln!(self.text, "<{name}>");
        inner(self);
        let _ = writeln!(self.text, "</{name}>");
    }

    fn element(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.text, "<{name}>");
        escape(&value.to_string(), &mut self.text);
        let _ = writeln!(self.text, "</{name}>");
    }

    fn unless_empty(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.element(name, value);
        }
    }

    fn policy(&mut self, policy: &PublishedPolicy) {
        let letter = |alignment| match alignment {
            Alignment::Relaxed => "r",
            Alignment::Strict => "s",
        };
        self.within("policy_published", |xml| {
            xml.element("domain", &policy.domain);
            xml.element("discovery_method", "treewalk");
            xml.element("adkim", letter(policy.dkim_alignment));
            xml.element("aspf", letter(policy.spf_alignment));
            xml.element("p", policy.policy.as_str());
            xml.element("sp", policy.subdomains.as_str());
            xml.element("np", policy.nonexistent.as_str());
            xml.element("testing", if policy.is_testing { "y" } else { "n" });
            let options = &policy.failure_options;
            xml.element("fo", if options.is_empty() { "0" } else { options });
        });
    }

    fn row(&mut self, row: &Row) {
        self.within("record", |xml| {
            xml.within("row", |xml| {
                xml.element("source_ip", row.source);
                xml.element("count", row.count);
                xml.within("policy_evaluated", |xml| xml.evaluated(row));
            });
            xml.within("identifiers", |xml| {
                xml.unless_empty("envelope_to", &row.envelope_to);
                // RFC 7489 has it always, empty for a null sender.
                xml.element("envelope_from", &row.envelope_from);
                xml.element("header_from", &row.header_from);
            });
            xml.within("auth_results", |xml| xml.results(row));
        });
    }

    fn evaluated(&mut self, row: &Row) {
        self.element("disposition", row.disposition.as_str());
        self.element("dkim", row.dkim);
        self.element("spf", row.spf);
        for reason in &row.reasons {
            self.within("reason", |xml| {
                xml.element("type", &reason.kind);
                xml.unless_empty("comment", &reason.comment);
            });
        }
    }

    fn results(&mut self, row: &Row) {
        for signature in row.signatures.iter().take(MOST_SIGNATURES) {
            self.within("dkim", |xml| {
                xml.element("domain", &signature.domain);
                xml.element("selector", &signature.selector);
                xml.element("result", &signature.result);
            });
        }
        for host in &row.hosts {
            self.within("spf", |xml| {
                xml.element("domain", &host.domain);
                xml.unless_empty("scope", &host.scope);
                xml.element("result", &host.result);
            });
        }
    }
}
