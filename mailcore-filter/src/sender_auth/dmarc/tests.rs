use mailcore::seams::DnsError;
use mailcore::testing::{FixedResolver, VirtualClock};

use super::*;

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

async fn check(dns: &Arc<FixedResolver>, from: &[&str], spf: &str, dkim: &[&str]) -> DmarcReport {
    check_open(dns, from, (spf, dkim), &[]).await
}

async fn check_open(
    dns: &Arc<FixedResolver>,
    from: &[&str],
    (spf, dkim): (&str, &[&str]),
    unanswered: &[&str],
) -> DmarcReport {
    let domains = |names: &[&str]| names.iter().map(|it| domain(it)).collect::<Vec<_>>();
    let (from, dkim) = (domains(from), domains(dkim));
    let unanswered = domains(unanswered);
    let spf = (!spf.is_empty()).then(|| domain(spf));
    let dmarc = Dmarc::new(dns.clone(), Arc::new(VirtualClock::new()));
    dmarc
        .check(&DmarcQuery {
            from: &from,
            spf: spf.as_ref(),
            dkim: &dkim,
            unanswered: &unanswered,
        })
        .await
}

#[tokio::test]
async fn mail_passes_by_a_domain_of_the_same_organization() {
    let dns = Arc::new(FixedResolver::new());
    dns.add_txt(
        "_dmarc.shop.test",
        "v=DMARC1; p=reject; sp=quarantine; aspf=s",
    );
    for (from, spf, dkim, result, by) in [
        (
            "shop.test",
            "",
            &["shop.test"][..],
            DmarcResult::Pass,
            Some(AlignedBy::Dkim),
        ),
        (
            "a.b.shop.test",
            "",
            &["shop.test"],
            DmarcResult::Pass,
            Some(AlignedBy::Dkim),
        ),
        (
            "shop.test",
            "shop.test",
            &["else.test"],
            DmarcResult::Pass,
            Some(AlignedBy::Spf),
        ),
        ("shop.test", "mail.shop.test", &[], DmarcResult::Fail, None),
        (
            "shop.test",
            "else.test",
            &["xshop.test", "shop.other"],
            DmarcResult::Fail,
            None,
        ),
        (
            "nothing.test",
            "nothing.test",
            &["nothing.test"],
            DmarcResult::None,
            None,
        ),
    ] {
        let report = check(&dns, &[from], spf, dkim).await;
        assert_eq!(
            (report.result, report.aligned_by),
            (result, by),
            "{from} {spf} {dkim:?}"
        );
    }
    let below = check(&dns, &["a.shop.test"], "", &[]).await;
    assert_eq!(below.policy, DmarcPolicy::Quarantine);
    assert_eq!(below.published_at, Some(domain("shop.test")));
    let own = check(&dns, &["shop.test"], "", &[]).await;
    assert_eq!(own.policy, DmarcPolicy::Reject);
}

#[tokio::test]
async fn what_a_public_suffix_says_joins_no_two_organizations() {
    let dns = Arc::new(FixedResolver::new());
    dns.add_txt(
        "_dmarc.gov.test",
        "v=DMARC1; p=none; sp=reject; np=reject; psd=y",
    )
    .add_txt("_dmarc.a.gov.test", "v=DMARC1; p=quarantine")
    .add_txt("_dmarc.eu.corp.test", "v=DMARC1; p=quarantine; psd=n")
    .add_txt("_dmarc.corp.test", "v=DMARC1; p=reject");
    let other = check(&dns, &["a.gov.test"], "", &["b.gov.test"]).await;
    assert_eq!(
        (other.result, other.policy),
        (DmarcResult::Fail, DmarcPolicy::Quarantine)
    );
    let own = check(&dns, &["x.a.gov.test"], "", &["y.a.gov.test"]).await;
    assert_eq!(own.result, DmarcResult::Pass);
    // One without a record is under what the suffix asks for.
    dns.add_address("c.gov.test", std::net::IpAddr::from([192, 0, 2, 1]));
    let without = check(&dns, &["c.gov.test"], "", &[]).await;
    assert_eq!(
        (without.result, without.policy),
        (DmarcResult::Fail, DmarcPolicy::Reject)
    );
    // A part of a company that is an organization of its own.
    let part = check(&dns, &["x.eu.corp.test"], "", &["us.corp.test"]).await;
    assert_eq!(
        (part.result, part.policy),
        (DmarcResult::Fail, DmarcPolicy::Quarantine)
    );
}

#[tokio::test]
async fn names_that_do_not_exist_have_a_policy_of_their_own() {
    let dns = Arc::new(FixedResolver::new());
    dns.add_txt("_dmarc.shop.test", "v=DMARC1; p=none; np=reject")
        .add_mx("here.shop.test", 10, "mx.shop.test");
    let made_up = check(&dns, &["made-up.shop.test"], "", &[]).await;
    assert_eq!(made_up.policy, DmarcPolicy::Reject);
    let there = check(&dns, &["here.shop.test"], "", &[]).await;
    assert_eq!(there.policy, DmarcPolicy::None);
    dns.fail("down.shop.test", DnsError::Temporary("no answer".into()));
    let unknown = check(&dns, &["down.shop.test"], "", &[]).await;
    assert_eq!(unknown.policy, DmarcPolicy::None);
}

#[tokio::test]
async fn several_authors_prove_nothing_and_the_strictest_of_them_counts() {
    let dns = Arc::new(FixedResolver::new());
    dns.add_txt("_dmarc.bank.test", "v=DMARC1; p=reject")
        .add_txt("_dmarc.mine.test", "v=DMARC1; p=none")
        .add_txt("_dmarc.tried.test", "v=DMARC1; p=reject; t=y");
    let two = check(
        &dns,
        &["mine.test", "bank.test"],
        "",
        &["mine.test", "bank.test"],
    )
    .await;
    assert_eq!(
        (two.result, two.policy),
        (DmarcResult::PermError, DmarcPolicy::Reject)
    );
    assert_eq!(two.domain, Some(domain("bank.test")));
    assert_eq!(
        check(&dns, &[], "", &[]).await.result,
        DmarcResult::PermError
    );
    let tried = check(&dns, &["tried.test"], "", &[]).await;
    assert_eq!(tried.policy, DmarcPolicy::Quarantine);
}

#[tokio::test]
async fn errors_are_told_apart_from_nothing() {
    let dns = Arc::new(FixedResolver::new());
    dns.add_txt("_dmarc.two.test", "v=DMARC1; p=reject")
        .add_txt("_dmarc.two.test", "v=DMARC1; p=none")
        .add_txt("_dmarc.odd.test", "v=DMARC1; p=maybe")
        .fail("_dmarc.down.test", DnsError::Temporary("no answer".into()));
    for (from, result) in [
        ("two.test", DmarcResult::PermError),
        ("odd.test", DmarcResult::PermError),
        ("down.test", DmarcResult::TempError),
        ("x.down.test", DmarcResult::TempError),
    ] {
        assert_eq!(check(&dns, &[from], "", &[]).await.result, result, "{from}");
    }
}

#[tokio::test]
async fn mail_has_not_failed_while_its_own_domain_does_not_answer() {
    let dns = Arc::new(FixedResolver::new());
    dns.add_txt("_dmarc.bank.test", "v=DMARC1; p=reject").fail(
        "_dmarc.evil.test",
        DnsError::Temporary("never answers".into()),
    );
    let open = check_open(&dns, &["bank.test"], ("", &[]), &["mail.bank.test"]).await;
    assert_eq!(
        (open.result, open.policy),
        (DmarcResult::TempError, DmarcPolicy::None)
    );
    // What is silent, or slow, in a forger's own DNS changes nothing.
    let others = ["evil.test", "xbank.test"];
    let forged = check_open(&dns, &["bank.test"], ("evil.test", &others), &others).await;
    assert_eq!(
        (forged.result, forged.policy),
        (DmarcResult::Fail, DmarcPolicy::Reject)
    );
}

#[tokio::test]
async fn more_authors_than_are_asked_are_refused() {
    let dns = Arc::new(FixedResolver::new());
    let names: Vec<String> = (0..11).map(|n| format!("d{n}.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ten = check(&dns, &names[..10], "", &[]).await;
    assert_eq!(
        (ten.result, ten.policy),
        (DmarcResult::PermError, DmarcPolicy::None)
    );
    let more = check(&dns, &names, "", &[]).await;
    assert_eq!(
        (more.result, more.policy),
        (DmarcResult::PermError, DmarcPolicy::Reject)
    );
}
