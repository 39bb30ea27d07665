//! `dmarc`: whether the message is from the domain that its From field names, and
//! what is done for that domain where it is not.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::plan::Stage;
use mailcore::seams::{Clock, Resolver};

use super::{TIME, author};
use crate::pipeline::{Look, Reaction, Said, Test, TestClass};
use crate::sender_auth::arc::{ArcReport, ArcResult};
use crate::sender_auth::dkim::DkimResult;
use crate::sender_auth::dmarc::{Dmarc, DmarcPolicy, DmarcQuery, DmarcResult};
use crate::sender_auth::outcome::{DkimOutcome, DmarcOutcome, Override, SenderAuthentication};
use crate::sender_auth::sealed;
use crate::sender_auth::spf::SpfResult;

/// Asks DMARC of a message, with what `spf`, `dkim` and `arc` left.
///
/// | result | is | done unless set otherwise |
/// |---|---|---|
/// | `pass`, `none`, `temperror` | as RFC 7489 section 11.2 says | nothing |
/// | `fail`, `permerror` | as there, and the domain asks for nothing | nothing |
/// | `quarantine` | it did not pass, and the domain asks for that | kept apart |
/// | `reject` | likewise | refused |
/// | `sealed` | likewise, but a trusted host sealed that it passed there | nothing |
/// | `unsealed` | DNS does not answer whether that host did | put off |
#[derive(Debug, Clone)]
pub struct DmarcTest {
    dmarc: Dmarc,
    trusted_sealers: HashSet<Domain>,
}

impl DmarcTest {
    /// Asks this resolver for policies. Trusts no host's seal.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self {
            dmarc: Dmarc::new(resolver, clock).within(TIME),
            trusted_sealers: HashSet::new(),
        }
    }

    /// Believes these hosts, by the domains of their seals, that mail passed when it
    /// came to them (RFC 8617 section 7.2.1).
    #[must_use]
    pub fn trusted_sealers(mut self, sealers: impl IntoIterator<Item = Domain>) -> Self {
        self.trusted_sealers.extend(sealers);
        self
    }

    /// With another time than 5 seconds for its questions.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.dmarc = self.dmarc.within(time);
        self
    }

    /// Whether mail is not handled as its domain asks.
    fn overrides(&self, outcome: &DmarcOutcome, arc: Option<&ArcReport>) -> Option<Override> {
        let arc = arc.filter(|_| outcome.report.policy > DmarcPolicy::None)?;
        // Of mail with several authors no host can have said that it passes.
        let [from] = outcome.from.as_slice() else {
            return None;
        };
        let last = (arc.sealers.last()).filter(|it| self.trusted_sealers.contains(*it))?;
        match arc.result {
            ArcResult::Pass => sealed::vouches(arc, &self.trusted_sealers, from)
                .then(|| Override::Sealed(last.clone())),
            ArcResult::TempError => Some(Override::SealUnanswered(last.clone())),
            ArcResult::None | ArcResult::Fail => None,
        }
    }
}

#[async_trait]
impl Test for DmarcTest {
    fn name(&self) -> &'static str {
        "dmarc"
    }

    fn stage(&self) -> Stage {
        Stage::Content
    }

    fn after(&self) -> &'static [&'static str] {
        &["spf", "dkim", "arc"]
    }

    fn class(&self) -> TestClass {
        TestClass::Identity
    }

    fn results(&self) -> &'static [&'static str] {
        &[
            "none",
            "pass",
            "fail",
            "temperror",
            "permerror",
            "quarantine",
            "reject",
            "sealed",
            "unsealed",
        ]
    }

    fn reaction(&self, result: &str) -> Reaction {
        match result {
            "reject" => Reaction::reject(),
            "quarantine" => Reaction::quarantine(),
            "unsealed" => Reaction::defer(),
            _ => Reaction::none(),
        }
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let Some(mail) = at.mail else {
            return Vec::new();
        };
        let memory = &at.session.memory;
        let known = SenderAuthentication::of(memory);
        let Ok(from) = author::domains(mail.message).await else {
            return Vec::new();
        };
        let found = Proofs::of(&known, &from);
        let report = self
            .dmarc
            .check(&DmarcQuery {
                from: &from,
                spf: found.spf.as_ref(),
                dkim: &found.dkim,
                unanswered: &found.unanswered,
            })
            .await;
        let mut outcome = DmarcOutcome {
            from,
            report,
            overridden: None,
        };
        outcome.overridden = self.overrides(&outcome, known.arc.as_deref());
        let said = said(&outcome);
        memory.keep_for_message(outcome);
        vec![said]
    }
}

/// What speaks for the message.
#[derive(Debug, Default)]
struct Proofs {
    spf: Option<Domain>,
    dkim: Vec<Domain>,
    unanswered: Vec<Domain>,
}

impl Proofs {
    fn of(known: &SenderAuthentication, from: &[Domain]) -> Self {
        let mut proofs = Self::default();
        // What was not asked, or not said in time, may have proven it.
        if known.spf.is_none() || known.dkim.is_none() {
            proofs.unanswered.extend_from_slice(from);
        }
        if let Some(spf) = &known.spf
            && let Ok(domain) = Domain::parse(&spf.report.domain)
        {
            match spf.report.result {
                SpfResult::Pass => proofs.spf = Some(domain),
                SpfResult::TempError => proofs.unanswered.push(domain),
                _ => {}
            }
        }
        if let Some(dkim) = &known.dkim {
            proofs.take_signatures(dkim);
        }
        proofs
    }

    fn take_signatures(&mut self, dkim: &DkimOutcome) {
        for verdict in &dkim.verdicts {
            match (verdict.result, &verdict.signature) {
                (DkimResult::Pass, Some(it)) => self.dkim.push(it.domain.clone()),
                (DkimResult::TempError, Some(it)) => self.unanswered.push(it.domain.clone()),
                _ => {}
            }
        }
    }
}

fn said(outcome: &DmarcOutcome) -> Said {
    let report = &outcome.report;
    let domain = report.domain.as_ref().map_or("", |it| it.as_str());
    let (result, words) = match (&outcome.overridden, report.policy) {
        (Some(Override::Sealed(sealer)), _) => {
            ("sealed", format!("{sealer} sealed that it passed there"))
        }
        (Some(Override::SealUnanswered(sealer)), _) => {
            let why = format!("the seal of {sealer} can't be checked now; try again");
            ("unsealed", why)
        }
        // RFC 7489 section 10.3 has these words.
        (None, DmarcPolicy::Reject) => (
            "reject",
            format!("Email rejected per DMARC policy for {domain}"),
        ),
        (None, DmarcPolicy::Quarantine) => ("quarantine", format!("DMARC policy of {domain}")),
        (None, DmarcPolicy::None) => (report.result.as_str(), why_nothing(outcome)),
    };
    Said::new(result, domain).detail(words)
}

fn why_nothing(outcome: &DmarcOutcome) -> String {
    match (outcome.report.result, outcome.from.as_slice()) {
        (DmarcResult::PermError, []) => "From names no domain".into(),
        (DmarcResult::PermError, [_, _, ..]) => "From names several domains".into(),
        _ => String::new(),
    }
}
