use proptest::prelude::*;

use super::*;

fn report() -> AggregateReport {
    let mut policy = PublishedPolicy {
        domain: "a.test".into(),
        policy: DmarcPolicy::Reject,
        subdomains: DmarcPolicy::Quarantine,
        ..PublishedPolicy::default()
    };
    policy.failure_options = "1:d".into();
    let mut report = AggregateReport::new("B & Co", "1.a.test@b.test", policy);
    report.email = "postmaster@b.test".into();
    (report.begin, report.end) = (1_700_000_000, 1_700_086_399);
    report.errors = vec!["rows were left out".into()];
    let mut row = Row::new("2001:db8::1".parse().unwrap(), "news.a.test");
    row.spf = Proof::Pass;
    row.count = 7;
    row.envelope_from = "a.test".into();
    row.reasons = vec![Reason::new("local_policy", "arc=pass <as[1].d=l.test>")];
    row.signatures = vec![SignatureResult::new("a.test", "s1", "fail")];
    row.hosts = vec![SpfRow::new("a.test", "mfrom", "pass")];
    report.rows = vec![row, Row::new("192.0.2.1".parse().unwrap(), "a.test")];
    report
}

#[test]
fn what_is_written_is_read() {
    let report = report();
    let xml = report.to_xml();
    assert_eq!(AggregateReport::parse(xml.as_bytes()).unwrap(), report);
    assert!(xml.contains("<org_name>B &amp; Co</org_name>"), "{xml}");
    assert_eq!(report.messages(), 8);
    let row = &report.rows[0];
    assert_eq!(Row::from_xml(&row.to_xml()).as_ref(), Some(row));
}

#[test]
fn odd_reports_are_read_as_far_as_they_go() {
    let text = "<d:feedback xmlns:d='x'><d:report_metadata><d:report_id> 1 </d:report_id>\
        </d:report_metadata><d:policy_published><d:domain>A.test</d:domain><d:p>REJECT</d:p>\
        <d:sp></d:sp></d:policy_published><d:record><d:row><d:source_ip>nowhere</d:source_ip>\
        <d:count>1</d:count></d:row></d:record><d:record><d:row><d:source_ip>::ffff:192.0.2.1\
        </d:source_ip><d:count>2</d:count><d:policy_evaluated><d:disposition>pass</d:disposition>\
        <d:dkim>Pass</d:dkim><d:reason><d:type/></d:reason></d:policy_evaluated></d:row>\
        </d:record></d:feedback>";
    let report = AggregateReport::parse(text.as_bytes()).unwrap();
    assert_eq!(
        (report.id.as_str(), report.policy.domain.as_str()),
        ("1", "a.test")
    );
    assert_eq!(report.policy.nonexistent, DmarcPolicy::Reject);
    let [row] = &report.rows[..] else {
        panic!("{report:?}")
    };
    assert_eq!(
        (row.source.to_string().as_str(), row.count),
        ("192.0.2.1", 2)
    );
    assert!(row.passed() && row.reasons.is_empty());
    assert_eq!(row.disposition, DmarcPolicy::None);
}

#[test]
fn what_is_no_report_says_so() {
    let error = |text: &str| AggregateReport::parse(text.as_bytes()).unwrap_err();
    assert_eq!(error("<html></html>"), ReportError::Missing("feedback"));
    assert!(matches!(
        error("<feedback></feedback>"),
        ReportError::Missing(_)
    ));
    assert!(matches!(error("Hello"), ReportError::Xml(_)));
    let long = vec![b' '; SIZE + 1];
    assert_eq!(AggregateReport::parse(&long), Err(ReportError::Size));
    let text = format!("<feedback><org_name>{}", "x".repeat(1_000));
    assert!(AggregateReport::parse(text.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn any_words_survive_the_way(words in proptest::collection::vec("[!-~а-я]{1,40}", 4), count in 1u64..) {
        let mut report = report();
        report.organization.clone_from(&words[0]);
        report.id.clone_from(&words[1]);
        report.rows[0].reasons[0].comment.clone_from(&words[2]);
        report.rows[0].signatures[0].selector.clone_from(&words[3]);
        report.rows[0].count = count;
        let read = AggregateReport::parse(report.to_xml().as_bytes()).unwrap();
        prop_assert_eq!(read, report);
    }

    #[test]
    fn whatever_comes_is_bounded(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = AggregateReport::parse(&octets);
    }
}
