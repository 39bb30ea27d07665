//! [`ListTest`]: the lists, asked as a test of the pipeline.

use std::collections::HashSet;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::{Address, Domain, ReversePath};
use mailcore::plan::{Finding, Stage};
use mailcore::seams::{Clock, DnsError, Resolver, Scope, SessionMemory};

use super::rule_set::Client;
use super::{Decision, Force, RuleSet, RuleVerdict, ScopedLists};
use crate::pipeline::{Audience, Look, Reaction, Said, Test, TestClass, scopes_of};
use crate::sender::reverse::ReverseNames;

/// How long DNS may take over a client's names: less than a test may take, so
/// that rules that need none are heard.
const PATIENCE: Duration = Duration::from_secs(3);
/// MX hosts of a sender's domain that are looked at.
const MAX_EXCHANGERS: usize = 10;
/// Recipients after which other connections have their turn.
const IN_ONE_TURN: usize = 64;

/// Whether a sender that a list lets through must be proven to be the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SenderProof {
    /// By SPF or DKIM of its domain: anybody can write a sender.
    #[default]
    Required,
    /// It is taken at its word.
    Waived,
}

/// Lists as a test: `lists`.
///
/// Of each kind - client, sender, recipient - the nearest scope that says
/// anything decides, the account's before its domain's before the one for
/// everybody; but what a wider one denies for good stays denied. Such denials
/// are said at once; the rest waits for RCPT, when it is known whose rules count.
#[derive(Debug)]
pub struct ListTest {
    lists: ScopedLists,
    /// The operator's, which nobody lifts.
    file: Arc<RuleSet>,
    proof: SenderProof,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
}

/// A scope's rules, and its name in findings.
type Level = (&'static str, Arc<RuleSet>);
/// What is decided, and where.
type Found = Option<(&'static str, RuleVerdict)>;

/// What was said of the session or the message before any recipient was known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    client: Found,
    sender: Found,
}

/// To whom a sender was let through.
#[derive(Debug, Default)]
struct Believed(Mutex<HashSet<Address>>);

impl ListTest {
    /// The lists of a directory.
    pub fn new(lists: ScopedLists, resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self {
            lists,
            file: Arc::default(),
            proof: SenderProof::default(),
            resolver,
            clock,
        }
    }

    /// With the operator's own rules, for everybody and for good.
    #[must_use]
    pub fn file(mut self, rules: RuleSet) -> Self {
        self.file = Arc::new(rules.firmly());
        self
    }

    /// With or without proof of a sender that is let through.
    #[must_use]
    pub fn proof(mut self, proof: SenderProof) -> Self {
        self.proof = proof;
        self
    }

    /// What holds for everybody, the nearest first.
    async fn everybody(&self) -> Vec<Level> {
        let mut levels = Vec::new();
        levels.extend(self.lists.of(&Scope::Global).await.map(|it| ("global", it)));
        if !self.file.is_empty() {
            levels.push(("file", Arc::clone(&self.file)));
        }
        levels
    }

    /// What holds for a recipient, the nearest first.
    async fn of_recipient(&self, recipient: &Address) -> Vec<Level> {
        let mut levels = Vec::new();
        let directory = self.lists.directory();
        if let Some(settings) = directory.settings() {
            for scope in scopes_of(directory, settings, recipient).await {
                let name = match scope {
                    Scope::Account(_) => "account",
                    Scope::Domain(_) => "domain",
                    Scope::Global => continue,
                };
                levels.extend(self.lists.of(&scope).await.map(|it| (name, it)));
            }
        }
        levels.extend(self.everybody().await);
        levels
    }

    async fn client(&self, levels: &[Level], at: &Look<'_>) -> Found {
        let ip = at.session.peer?.ip().to_canonical();
        let names = match levels.iter().any(|(_, rules)| rules.asks_for_names(ip)) {
            true => self.names(&at.session.memory, ip).await,
            false => None,
        };
        let sender = at.reverse_path.and_then(ReversePath::address);
        let mx_of = match sender {
            Some(sender) if levels.iter().any(|(_, rules)| rules.asks_for_mx(sender)) => {
                let is = self.in_time(self.is_exchanger(ip, sender.domain())).await;
                Some(sender).filter(|_| is == Some(true))
            }
            _ => None,
        };
        let client = Client {
            ip,
            names: names.as_ref().map_or(&[], |it| &it.confirmed),
            mx_of,
        };
        decide(levels, |rules| rules.client(client))
    }

    async fn names(&self, memory: &SessionMemory, ip: IpAddr) -> Option<Arc<ReverseNames>> {
        if let Some(known) = memory.get::<ReverseNames>().filter(|it| it.ip == ip) {
            return Some(known);
        }
        let found = ReverseNames::look_up(self.resolver.as_ref(), ip);
        memory.keep_for_session(self.in_time(found).await?);
        memory.get()
    }

    /// Whether an address is one of the hosts that take a domain's mail (RFC 5321
    /// section 5.1).
    async fn is_exchanger(&self, ip: IpAddr, domain: &Domain) -> bool {
        let hosts = match self.resolver.mx(domain).await {
            Ok(answer) => answer
                .records
                .into_iter()
                .filter_map(|mx| mx.host)
                .collect(),
            Err(DnsError::NotFound { .. }) => vec![domain.clone()],
            Err(_) => Vec::new(),
        };
        for host in hosts.iter().take(MAX_EXCHANGERS) {
            if let Ok(answer) = self.resolver.addresses(host).await
                && answer.records.iter().any(|it| it.to_canonical() == ip)
            {
                return true;
            }
        }
        false
    }

    async fn in_time<T>(&self, question: impl Future<Output = T>) -> Option<T> {
        let until = self.clock.monotonic().after(PATIENCE);
        tokio::select! {
            biased;
            answer = question => Some(answer),
            () = self.clock.sleep_until(until) => None,
        }
    }

    /// Whether the sender is who it says, as far as is known by now.
    fn is_proven(&self, at: &Look<'_>, sender: &Address) -> bool {
        self.proof == SenderProof::Waived
            || at.session.is_known()
            || (at.session.memory.findings().iter()).any(|it| proves(it, sender.domain()))
    }

    async fn at_connect(&self, at: &Look<'_>) -> Vec<Said> {
        let client = self.client(&self.everybody().await, at).await;
        let client = client.filter(|(_, it)| holds_for_all(*it));
        at.session.memory.keep_for_session(Told {
            client,
            sender: None,
        });
        said_of("client", client, peer(at)).into_iter().collect()
    }

    async fn at_mail(&self, at: &Look<'_>, sender: &ReversePath) -> Vec<Said> {
        let levels = self.everybody().await;
        let before = at.session.memory.get::<Told>();
        let before = before.map(|it| *it).unwrap_or_default();
        // The sender says whose MX host the client may be.
        let client = self.client(&levels, at).await;
        let client = client.filter(|(_, it)| holds_for_all(*it));
        let found = decide(&levels, |rules| rules.sender(sender));
        let proven = || match sender {
            ReversePath::Address(sender) => self.is_proven(at, sender),
            _ => self.proof == SenderProof::Waived,
        };
        let found = found.filter(|(_, it)| match it.decision {
            Decision::Allow => proven(),
            Decision::Deny => it.force == Force::Final,
        });
        let told = Told {
            client: client.or(before.client),
            sender: found,
        };
        at.session.memory.keep_for_message(told);
        let news = client.filter(|_| client != before.client);
        let client = said_of("client", news, peer(at));
        let sender = said_of("sender", found, sender.to_string());
        client.into_iter().chain(sender).collect()
    }

    async fn at_rcpt(&self, at: &Look<'_>, sender: &ReversePath, to: &Address) -> Vec<Said> {
        let levels = self.of_recipient(to).await;
        if levels.is_empty() {
            return Vec::new();
        }
        let told = at.session.memory.get::<Told>();
        let told = told.map(|it| *it).unwrap_or_default();
        let client = self.client(&levels, at).await;
        let client = client.filter(|_| client != told.client);
        let mut found = decide(&levels, |rules| rules.sender(sender));
        if let Some((_, verdict)) = found
            && verdict.decision == Decision::Allow
        {
            let proven = sender.address().is_some_and(|it| self.is_proven(at, it));
            let waived = self.proof == SenderProof::Waived;
            found = found.filter(|_| proven || waived);
            if found.is_some() {
                believed(&at.session.memory, to);
            }
        }
        let found = found.filter(|_| found != told.sender);
        let recipient = decide(&levels, |rules| rules.recipient(to));
        let said = [
            said_of("client", client, peer(at)),
            said_of("sender", found, sender.to_string()),
            said_of("recipient", recipient, to.to_string()),
        ];
        said.into_iter().flatten().collect()
    }

    /// What a signature may have proven since.
    async fn at_content(&self, at: &Look<'_>, sender: &Address) -> Vec<Said> {
        let Some(mail) = at.mail else {
            return Vec::new();
        };
        let told = at.session.memory.get::<Told>();
        if told.is_some_and(|it| it.sender.is_some()) || !self.is_proven(at, sender) {
            return Vec::new();
        }
        let path = ReversePath::Address(sender.clone());
        let mut said = Vec::new();
        for (place, recipient) in mail.envelope.recipients.iter().enumerate() {
            if place % IN_ONE_TURN == IN_ONE_TURN - 1 {
                tokio::task::yield_now().await;
            }
            let to = &recipient.address;
            let levels = self.of_recipient(to).await;
            let found = decide(&levels, |rules| rules.sender(&path));
            let found = found.filter(|(_, it)| it.decision == Decision::Allow);
            if found.is_some() && believed(&at.session.memory, to) {
                let it = said_of("sender", found, path.to_string());
                said.extend(it.map(|it| it.to(to)));
            }
        }
        said
    }
}

#[async_trait]
impl Test for ListTest {
    fn name(&self) -> &'static str {
        "lists"
    }

    fn stage(&self) -> Stage {
        Stage::Connect
    }

    fn also_at(&self) -> &'static [Stage] {
        &[Stage::Mail, Stage::Rcpt, Stage::Content]
    }

    /// At the content, where a signature may prove a sender.
    fn after(&self) -> &'static [&'static str] {
        &["dkim"]
    }

    fn class(&self) -> TestClass {
        TestClass::List
    }

    fn audience(&self) -> Audience {
        Audience::Everybody
    }

    fn results(&self) -> &'static [&'static str] {
        &[
            "client-allow",
            "client-deny",
            "sender-allow",
            "sender-deny",
            "recipient-allow",
            "recipient-deny",
        ]
    }

    fn reaction(&self, result: &str) -> Reaction {
        match result {
            "client-deny" => Reaction::disconnect(),
            "sender-deny" | "recipient-deny" => Reaction::reject(),
            _ => Reaction::accept(),
        }
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        match (at.mail, at.recipient, at.reverse_path) {
            (Some(_), _, Some(ReversePath::Address(sender))) => self.at_content(at, sender).await,
            (Some(_), _, _) => Vec::new(),
            (None, Some(to), Some(sender)) => self.at_rcpt(at, sender, to).await,
            (None, None, Some(sender)) => self.at_mail(at, sender).await,
            _ => self.at_connect(at).await,
        }
    }
}

/// What the nearest level says, unless a wider one denies for good.
fn decide(levels: &[Level], of: impl Fn(&RuleSet) -> Option<RuleVerdict>) -> Found {
    let said = |(name, rules): &Level| of(rules).map(|verdict| (*name, verdict));
    let firm =
        |(_, it): &(_, RuleVerdict)| it.decision == Decision::Deny && it.force == Force::Final;
    let denied = levels.iter().rev().filter_map(said).find(firm);
    denied.or_else(|| levels.iter().find_map(said))
}

/// Whether it can be acted on before anybody's own rules are known.
fn holds_for_all(verdict: RuleVerdict) -> bool {
    verdict.decision == Decision::Allow || verdict.force == Force::Final
}

fn said_of(subject: &str, found: Found, input: String) -> Option<Said> {
    let (level, verdict) = found?;
    let (result, words) = match (subject, verdict.decision) {
        ("client", Decision::Allow) => ("client-allow", ""),
        ("client", Decision::Deny) => ("client-deny", "your host may not send mail here"),
        ("sender", Decision::Allow) => ("sender-allow", ""),
        ("sender", Decision::Deny) => ("sender-deny", "this sender is not accepted here"),
        (_, Decision::Allow) => ("recipient-allow", ""),
        (_, Decision::Deny) => ("recipient-deny", "this recipient takes no mail"),
    };
    Some(Said::new(result, format!("{input} ({level})")).detail(words))
}

fn peer(at: &Look<'_>) -> String {
    let peer = at.session.peer;
    peer.map_or_else(String::new, |peer| peer.ip().to_canonical().to_string())
}

/// Whether a finding shows that mail is of a domain: SPF of it, or a signature of
/// it or of a domain above.
fn proves(finding: &Finding, domain: &Domain) -> bool {
    if finding.result != "pass" {
        return false;
    }
    let Ok(by) = Domain::parse(&finding.input) else {
        return false;
    };
    match finding.test.as_str() {
        "spf" => by == *domain,
        "dkim" => {
            let (by, of) = (by.as_str(), domain.as_str());
            let above = || {
                let place = of.len().checked_sub(by.len()).filter(|it| *it > 0)?;
                let (before, end) = of.split_at_checked(place)?;
                Some(end.eq_ignore_ascii_case(by) && before.ends_with('.') && by.contains('.'))
            };
            of.eq_ignore_ascii_case(by) || above() == Some(true)
        }
        _ => false,
    }
}

/// Notes that a sender is let through to one; false when it was before.
fn believed(memory: &SessionMemory, to: &Address) -> bool {
    let believed: Arc<Believed> = memory.get().unwrap_or_else(|| {
        memory.keep_for_message(Believed::default());
        memory.get().unwrap_or_default()
    });
    let mut believed = believed.0.lock().unwrap_or_else(PoisonError::into_inner);
    believed.insert(to.clone())
}

#[cfg(test)]
mod tests;
