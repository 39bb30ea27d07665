use std::net::IpAddr;
use std::sync::Arc;

use mailcore::seams::DnsError;
use mailcore::testing::{FixedResolver, VirtualClock};

use super::*;

fn spf(resolver: &Arc<FixedResolver>) -> Spf {
    let clock = Arc::new(VirtualClock::default());
    Spf::new(
        Arc::clone(resolver) as Arc<dyn Resolver>,
        clock,
        "mx.here.test".parse().unwrap(),
    )
}

async fn check(resolver: &Arc<FixedResolver>, ip: &str, from: &str) -> SpfReport {
    let address = ReversePath::Address(from.parse().unwrap());
    let query = SpfQuery::mail_from(ip.parse().unwrap(), "helo.test", &address);
    spf(resolver).check(&query).await
}

#[tokio::test]
async fn the_terms_that_led_to_a_result_are_told() {
    let dns = Arc::new(FixedResolver::new());
    dns.add_txt("a.test", "v=spf1 mx/24 include:b.test redirect=_r.%{d}")
        .add_txt("b.test", "v=spf1 ip4:192.0.2.0/25 -all")
        .add_txt("_r.a.test", "v=spf1 a:web.test -all exp=why.%{d}")
        .add_txt("why._r.a.test", "%{i} is none of %{o}'s, says %{r}")
        .add_mx("a.test", 10, "mx.a.test")
        .add_address("mx.a.test", "198.51.100.1".parse::<IpAddr>().unwrap())
        .add_address("web.test", "2001:db8::1".parse::<IpAddr>().unwrap());
    let report = check(&dns, "192.0.2.7", "x@a.test").await;
    assert_eq!(report.result, SpfResult::Pass);
    assert_eq!(report.decided_by, "include:b.test > ip4:192.0.2.0/25");
    let report = check(&dns, "::ffff:198.51.100.200", "x@a.test").await;
    assert_eq!(
        (report.result, report.decided_by.as_str()),
        (SpfResult::Pass, "mx/24")
    );
    let report = check(&dns, "2001:db8::1", "x@a.test").await;
    assert_eq!(report.decided_by, "redirect=_r.a.test > a:web.test");
    let report = check(&dns, "203.0.113.9", "x@a.test").await;
    assert_eq!(report.result, SpfResult::Fail);
    assert_eq!(report.decided_by, "redirect=_r.a.test > all");
    let words = report.explanation.unwrap();
    assert_eq!(words, "203.0.113.9 is none of a.test's, says mx.here.test");
}

#[tokio::test]
async fn records_that_lead_in_circles_or_nowhere_end_at_the_limits() {
    let dns = Arc::new(FixedResolver::new());
    dns.add_txt("loop.test", "v=spf1 include:loop.test -all")
        .add_txt("round.test", "v=spf1 redirect=round.test")
        .add_txt(
            "void.test",
            "v=spf1 a:x.test a:y.test a:z.test ip4:192.0.2.1 -all",
        )
        .add_txt("mx.test", "v=spf1 mx -all");
    for number in 0..11 {
        dns.add_mx("mx.test", number, &format!("mx{number}.test"));
    }
    for (domain, problem) in [
        ("loop.test", SpfProblem::ManyLookups),
        ("round.test", SpfProblem::ManyLookups),
        ("void.test", SpfProblem::ManyVoidLookups),
        ("mx.test", SpfProblem::ManyExchangers("mx.test".into())),
    ] {
        let report = check(&dns, "192.0.2.1", &format!("x@{domain}")).await;
        assert_eq!(report.result, SpfResult::PermError, "{domain}");
        assert_eq!(report.problem, Some(problem), "{domain}");
    }
    assert!(dns.asked() < 60, "{}", dns.asked());
}

#[tokio::test]
async fn dns_that_fails_is_told_apart_from_dns_that_has_nothing() {
    let dns = Arc::new(FixedResolver::new());
    dns.fail("down.test", DnsError::Temporary("no answer".into()));
    dns.add_txt("half.test", "v=spf1 a:down.test -all");
    for domain in ["down.test", "half.test"] {
        let report = check(&dns, "192.0.2.1", &format!("x@{domain}")).await;
        assert_eq!(report.result, SpfResult::TempError);
        assert_eq!(report.problem, Some(SpfProblem::Dns("down.test".into())));
    }
    let report = check(&dns, "192.0.2.1", "x@nothing.test").await;
    assert_eq!((report.result, report.problem), (SpfResult::None, None));
}

/// A resolver that never answers.
#[derive(Debug)]
struct Silent;

#[async_trait::async_trait]
impl Resolver for Silent {
    async fn mx(
        &self,
        _: &Domain,
    ) -> Result<mailcore::seams::Lookup<mailcore::seams::Mx>, DnsError> {
        std::future::pending().await
    }
    async fn addresses(&self, _: &Domain) -> Result<mailcore::seams::Lookup<IpAddr>, DnsError> {
        std::future::pending().await
    }
    async fn txt(&self, _: &Domain) -> Result<mailcore::seams::Lookup<Vec<u8>>, DnsError> {
        std::future::pending().await
    }
    async fn ptr(&self, _: IpAddr) -> Result<mailcore::seams::Lookup<Domain>, DnsError> {
        std::future::pending().await
    }
    async fn tlsa(
        &self,
        _: &Domain,
    ) -> Result<mailcore::seams::Lookup<mailcore::seams::Tlsa>, DnsError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_check_ends_in_time_when_dns_is_silent() {
    let clock = Arc::new(VirtualClock::default());
    let spf = Spf::new(
        Arc::new(Silent),
        clock.clone(),
        "mx.here.test".parse().unwrap(),
    );
    let ip = IpAddr::from([192, 0, 2, 1]);
    let check = tokio::spawn(async move { spf.check(&SpfQuery::helo(ip, "a.test")).await });
    clock.until_someone_sleeps().await;
    clock.advance(Duration::from_secs(20));
    let report = check.await.unwrap();
    assert_eq!(report.result, SpfResult::TempError);
    assert_eq!(report.problem, Some(SpfProblem::Deadline));
}
