//! `check_host()` (RFC 7208 section 4): a record's terms in their order, with
//! the questions counted.

use std::net::IpAddr;

use mailcore::address::Domain;
use mailcore::seams::{DnsError, Lookup};

use super::macros::{MacroString, Use, Values};
use super::record::{Directive, Mechanism, Prefixes, Record, is_record};
use super::{Spf, SpfProblem, SpfQuery, SpfReport, SpfResult};

/// What a macro stands for when a name could not be validated (RFC 7208 section
/// 7.3).
const UNKNOWN: &str = "unknown";

/// One check.
pub(super) struct Evaluation<'a> {
    spf: &'a Spf,
    query: &'a SpfQuery<'a>,
    lookups: u32,
    void_lookups: u32,
    /// Names of the client that lead back to it, once they were looked for.
    validated: Option<Vec<Domain>>,
}

/// Ends an evaluation at once.
struct Stop(SpfResult, SpfProblem);

impl Stop {
    fn permanent(problem: SpfProblem) -> Self {
        Self(SpfResult::PermError, problem)
    }
}

/// What one record came to.
#[derive(Debug)]
struct Decision {
    result: SpfResult,
    decided_by: String,
    /// For a `fail`: where its words are, and of which domain.
    explanation: Option<(MacroString, Domain)>,
}

impl Decision {
    fn of(result: SpfResult) -> Self {
        Self {
            result,
            decided_by: String::new(),
            explanation: None,
        }
    }
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(spf: &'a Spf, query: &'a SpfQuery<'a>) -> Self {
        Self {
            spf,
            query,
            lookups: 0,
            void_lookups: 0,
            validated: None,
        }
    }

    pub(super) async fn run(&mut self) -> SpfReport {
        let mut report = SpfReport {
            result: SpfResult::None,
            domain: self.query.domain.to_owned(),
            decided_by: String::new(),
            problem: None,
            explanation: None,
        };
        // RFC 7208 section 4.3: no name of more than one label.
        let Some(domain) = checkable(self.query.domain) else {
            return report;
        };
        report.domain = domain.as_str().to_owned();
        match self.check_host(&domain).await {
            Ok(decision) => {
                report.result = decision.result;
                report.decided_by = decision.decided_by;
                if let Some((at, domain)) = decision.explanation {
                    report.explanation = self.explain(&at, &domain).await;
                }
            }
            Err(Stop(result, problem)) => {
                report.result = result;
                report.problem = Some(problem);
            }
        }
        report
    }

    /// The result of a domain's record; `None` where it has none.
    async fn check_host(&mut self, domain: &Domain) -> Result<Decision, Stop> {
        let Some(record) = self.record(domain).await? else {
            return Ok(Decision::of(SpfResult::None));
        };
        for directive in &record.directives {
            if let Some(decided_by) = self.matches(directive, domain).await? {
                let result = directive.qualifier.into();
                let explanation = match result {
                    SpfResult::Fail => record.explanation.map(|at| (at, domain.clone())),
                    _ => None,
                };
                return Ok(Decision {
                    result,
                    decided_by,
                    explanation,
                });
            }
        }
        match &record.redirect {
            Some(name) if !record.has_all() => self.redirect(name, domain).await,
            _ => Ok(Decision::of(SpfResult::Neutral)),
        }
    }

    /// RFC 7208 section 6.1.
    async fn redirect(&mut self, name: &MacroString, domain: &Domain) -> Result<Decision, Stop> {
        self.count_lookup()?;
        let name = self.expand(name, domain).await;
        let mut decision = self.follow(&name).await?;
        decision.decided_by = trail(format!("redirect={name}"), &decision.decided_by);
        Ok(decision)
    }

    /// The result of a domain that another one's record relies on.
    async fn follow(&mut self, name: &str) -> Result<Decision, Stop> {
        let none = || Stop::permanent(SpfProblem::NoRecord(name.to_owned()));
        let target = checkable(name).ok_or_else(none)?;
        let decision = Box::pin(self.check_host(&target)).await?;
        match decision.result {
            SpfResult::None => Err(none()),
            _ => Ok(decision),
        }
    }

    /// RFC 7208 sections 4.4 and 4.5.
    async fn record(&self, domain: &Domain) -> Result<Option<Record>, Stop> {
        let found = match self.spf.resolver.txt(domain).await {
            Ok(found) => found,
            Err(DnsError::NotFound { .. }) => return Ok(None),
            Err(_) => return Err(unanswered(domain)),
        };
        let mut records = found.records.iter().filter(|txt| is_record(txt));
        let Some(record) = records.next() else {
            return Ok(None);
        };
        if records.next().is_some() {
            let problem = SpfProblem::ManyRecords(domain.as_str().to_owned());
            return Err(Stop::permanent(problem));
        }
        let record = Record::parse(record).map_err(|error| {
            Stop::permanent(SpfProblem::Record {
                domain: domain.as_str().to_owned(),
                error,
            })
        })?;
        Ok(Some(record))
    }

    /// The mechanism that matches, with what led to it; `None` when it does not.
    async fn matches(
        &mut self,
        directive: &Directive,
        domain: &Domain,
    ) -> Result<Option<String>, Stop> {
        let mechanism = &directive.mechanism;
        let is_match = match mechanism {
            Mechanism::All => true,
            Mechanism::Ip(network) => network.contains(self.query.ip),
            Mechanism::Include(name) => {
                self.count_lookup()?;
                let name = self.expand(name, domain).await;
                let decision = self.follow(&name).await?;
                return Ok((decision.result == SpfResult::Pass)
                    .then(|| trail(mechanism.to_string(), &decision.decided_by)));
            }
            Mechanism::A(name, prefixes) => {
                self.count_lookup()?;
                let name = self.target(name.as_ref(), domain).await;
                self.is_address_of(name.as_ref(), *prefixes).await?
            }
            Mechanism::Mx(name, prefixes) => {
                self.count_lookup()?;
                let name = self.target(name.as_ref(), domain).await;
                self.is_exchanger_of(name.as_ref(), *prefixes).await?
            }
            Mechanism::Ptr(name) => {
                self.count_lookup()?;
                let name = self.target(name.as_ref(), domain).await;
                match name {
                    Some(name) => self.is_named_within(&name).await,
                    None => false,
                }
            }
            Mechanism::Exists(name) => {
                self.count_lookup()?;
                let name = self.target(Some(name), domain).await;
                let found = self.addresses(name.as_ref()).await?;
                // RFC 7208 section 5.7: A records alone, whatever the client is.
                let exists = found.iter().any(IpAddr::is_ipv4);
                if !exists {
                    self.count_void()?;
                }
                exists
            }
        };
        Ok(is_match.then(|| mechanism.to_string()))
    }

    async fn is_address_of(
        &mut self,
        name: Option<&Domain>,
        prefixes: Prefixes,
    ) -> Result<bool, Stop> {
        let ip = self.query.ip;
        let found = self.addresses(name).await?;
        let mut of_family = found.iter().filter(|it| it.is_ipv4() == ip.is_ipv4());
        let mut is_void = true;
        let is_match = of_family.any(|found| {
            is_void = false;
            prefixes.are_equal(*found, ip)
        });
        if is_void {
            self.count_void()?;
        }
        Ok(is_match)
    }

    async fn is_exchanger_of(
        &mut self,
        name: Option<&Domain>,
        prefixes: Prefixes,
    ) -> Result<bool, Stop> {
        let Some(name) = name else {
            self.count_void()?;
            return Ok(false);
        };
        let exchangers = match self.spf.resolver.mx(name).await {
            Ok(Lookup { records, .. }) => records,
            Err(DnsError::NotFound { .. }) => {
                // RFC 7208 section 5.4: no address takes the place of an MX.
                self.count_void()?;
                return Ok(false);
            }
            Err(_) => return Err(unanswered(name)),
        };
        if exchangers.len() > self.spf.limits.names {
            let problem = SpfProblem::ManyExchangers(name.as_str().to_owned());
            return Err(Stop::permanent(problem));
        }
        for host in exchangers.iter().filter_map(|mx| mx.host.as_ref()) {
            if self.is_address_of(Some(host), prefixes).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// RFC 7208 section 5.5. What DNS does not answer counts for nothing here.
    async fn is_named_within(&mut self, name: &Domain) -> bool {
        let validated = self.validated().await;
        validated.iter().any(|it| is_within(it, name))
    }

    /// The client's names that lead back to it.
    async fn validated(&mut self) -> &[Domain] {
        if self.validated.is_none() {
            // The client's own DNS may be as slow as it likes: what is not validated in
            // time is not, as if it were not there (RFC 7208 section 5.5).
            let clock = &self.spf.clock;
            let deadline = clock.monotonic().after(self.spf.limits.time / 4);
            let found = tokio::select! {
                biased;
                found = self.validate() => found,
                () = clock.sleep_until(deadline) => Vec::new(),
            };
            self.validated = Some(found);
        }
        self.validated.as_deref().unwrap_or_default()
    }

    async fn validate(&self) -> Vec<Domain> {
        let ip = self.query.ip;
        let resolver = &self.spf.resolver;
        let Ok(found) = resolver.ptr(ip).await else {
            return Vec::new();
        };
        let mut validated = Vec::new();
        // Whoever owns the address says how many there are: the rest is ignored
        // (RFC 7208 section 4.6.4).
        for name in found.records.into_iter().take(self.spf.limits.names) {
            if let Ok(found) = resolver.addresses(&name).await
                && found.records.iter().any(|it| it.to_canonical() == ip)
            {
                validated.push(name);
            }
        }
        validated
    }

    /// The addresses of a name; none of one that is not there or no name.
    async fn addresses(&self, name: Option<&Domain>) -> Result<Vec<IpAddr>, Stop> {
        let Some(name) = name else {
            return Ok(Vec::new());
        };
        match self.spf.resolver.addresses(name).await {
            Ok(found) => Ok(found.records),
            Err(DnsError::NotFound { .. }) => Ok(Vec::new()),
            Err(_) => Err(unanswered(name)),
        }
    }

    /// The name a mechanism is about; `None` for one that DNS can't have, which
    /// matches nothing (RFC 7208 section 4.8 leaves that open).
    async fn target(&mut self, name: Option<&MacroString>, domain: &Domain) -> Option<Domain> {
        match name {
            None => Some(domain.clone()),
            Some(name) => Domain::for_lookup(&self.expand(name, domain).await).ok(),
        }
    }

    /// A macro string as a name.
    async fn expand(&mut self, name: &MacroString, domain: &Domain) -> String {
        let validated = self.validated_name(name, domain).await;
        name.expand_name(&self.values(domain, &validated))
    }

    fn values<'v>(&self, domain: &'v Domain, validated_name: &'v str) -> Values<'v>
    where
        'a: 'v,
    {
        Values {
            local_part: self.query.local_part,
            sender_domain: self.query.domain,
            domain: domain.as_str(),
            helo: self.query.helo,
            ip: self.query.ip,
            validated_name,
            receiver: self.spf.receiver.as_str(),
            time: self.spf.clock.now().millis().div_euclid(1000),
        }
    }

    /// What `%{p}` stands for: the domain itself if it is among the client's
    /// names, else one below it, else any.
    async fn validated_name(&mut self, name: &MacroString, domain: &Domain) -> String {
        if !name.takes_validated_name() {
            return UNKNOWN.to_owned();
        }
        let validated = self.validated().await;
        let found = (validated.iter().find(|it| *it == domain))
            .or_else(|| validated.iter().find(|it| is_within(it, domain)))
            .or_else(|| validated.first());
        found.map_or(UNKNOWN, Domain::as_str).to_owned()
    }

    /// The words for a `fail` (RFC 7208 section 6.2). Whatever is wrong with them,
    /// there are none.
    async fn explain(&mut self, at: &MacroString, domain: &Domain) -> Option<String> {
        let name = Domain::for_lookup(&self.expand(at, domain).await).ok()?;
        let found = self.spf.resolver.txt(&name).await.ok()?;
        let [text] = found.records.as_slice() else {
            return None;
        };
        let text = std::str::from_utf8(text).ok()?;
        let words = MacroString::parse(text, Use::Explanation).ok()?;
        let validated = self.validated_name(&words, domain).await;
        let most = self.spf.limits.explanation;
        let words = words.expand(&self.values(domain, &validated), most);
        // The sender's part of the words may be anything.
        let printable = words.chars().all(|c| matches!(c, ' '..='~'));
        printable.then(|| words.chars().take(most).collect())
    }

    /// RFC 7208 section 4.6.4.
    fn count_lookup(&mut self) -> Result<(), Stop> {
        self.lookups = self.lookups.saturating_add(1);
        if self.lookups > self.spf.limits.lookups {
            return Err(Stop::permanent(SpfProblem::ManyLookups));
        }
        Ok(())
    }

    fn count_void(&mut self) -> Result<(), Stop> {
        self.void_lookups = self.void_lookups.saturating_add(1);
        if self.void_lookups > self.spf.limits.void_lookups {
            return Err(Stop::permanent(SpfProblem::ManyVoidLookups));
        }
        Ok(())
    }
}

/// A name that can have a record: of more than one label, in the form that DNS
/// takes.
fn checkable(name: &str) -> Option<Domain> {
    let domain = Domain::parse(name).ok()?.to_ascii().ok()?;
    (domain.as_ip().is_none() && domain.as_str().contains('.')).then_some(domain)
}

/// Whether `name` is `domain` or below it.
fn is_within(name: &Domain, domain: &Domain) -> bool {
    let above = name.as_str().strip_suffix(domain.as_str());
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn trail(term: String, then: &str) -> String {
    if then.is_empty() {
        term
    } else {
        format!("{term} > {then}")
    }
}

fn unanswered(name: &Domain) -> Stop {
    Stop(
        SpfResult::TempError,
        SpfProblem::Dns(name.as_str().to_owned()),
    )
}
