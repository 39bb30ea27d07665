//! [`ArcSealer`]: adds this host's set to a chain (RFC 8617 section 5.1).

use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::message::{Field, Message};
use mailcore::time::Timestamp;

use super::chain::{MOST_SETS, Set, instance, is_of_chain, sets};
use super::results::{said_of_chain, said_of_message};
use super::{ArcResult, ArcVerifier};
use crate::sender_auth::dkim::sign::{completed, end_of_field, names, signed_field};
use crate::sender_auth::dkim::tag_list::TagList;
use crate::sender_auth::dkim::verify::fields;
use crate::sender_auth::dkim::{Canonicalization, SigningError, SigningKey};
use crate::sender_auth::signing::{Digested, Octets};

/// Columns of a line.
const COLUMNS: usize = 76;

/// Seals mail that is passed on: what this host found about it when it came, the
/// message as it leaves, and what the hosts before said.
#[derive(Debug)]
pub struct ArcSealer {
    authserv_id: Domain,
    domain: Domain,
    selector: Domain,
    key: Arc<SigningKey>,
}

/// What a set is to be: the chain before it that it seals, too.
struct Plan {
    instance: u8,
    /// The chain's state, as the seal tells it.
    told: &'static str,
    /// None of a chain that is broken (RFC 8617 section 5.1.2).
    before: Vec<Set>,
}

impl ArcSealer {
    /// Seals in the name of `domain` with the key that it publishes under
    /// `selector`. `authserv_id` is the name under which this host's results
    /// stand in the Authentication-Results fields of messages.
    pub fn new(
        authserv_id: Domain,
        (domain, selector): (Domain, Domain),
        key: impl Into<Arc<SigningKey>>,
    ) -> Self {
        let ascii = |name: Domain| name.to_ascii().unwrap_or(name);
        Self {
            authserv_id: ascii(authserv_id),
            domain: ascii(domain),
            selector: ascii(selector),
            key: key.into(),
        }
    }

    /// The three fields to put before `message`, which must be as it goes out,
    /// signatures of DKIM and all. `chain` is what its chain came to when it
    /// arrived. None for a message that is not to be sealed: its chain is full,
    /// or was told to be broken before.
    ///
    /// # Errors
    /// [`SigningError`].
    pub async fn seal(
        &self,
        message: &Message,
        chain: ArcResult,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, SigningError> {
        let digested = Digested::of(&mut Octets::of(message)).await;
        let digested = digested.map_err(|error| SigningError::Message(error.problem()))?;
        self.seal_digested(&digested, chain, now)
    }

    /// What the chain came to: as this host's own results say, or else as it is
    /// found now. `None` when that can't be told.
    pub(in crate::sender_auth) async fn chain(
        &self,
        message: &Message,
        digested: &Digested,
        verifier: &ArcVerifier,
    ) -> Option<ArcResult> {
        let fields = fields(&digested.header).ok()?;
        if !fields.iter().any(is_of_chain) {
            return Some(ArcResult::None);
        }
        let said = said_of_chain(&said_of_message(&fields, &self.authserv_id));
        let result = match said {
            Some(said) if said != ArcResult::None => said,
            _ => verifier.verify(message).await.result,
        };
        (result != ArcResult::TempError).then_some(result)
    }

    pub(in crate::sender_auth) fn seal_digested(
        &self,
        digested: &Digested,
        chain: ArcResult,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, SigningError> {
        let fields = fields(&digested.header).map_err(SigningError::Message)?;
        let Some(plan) = Plan::of(&fields, chain) else {
            return Ok(None);
        };
        let results = self.results(&plan, &fields);
        let message = self.message_signature(&plan, &fields, digested, now)?;
        let seal = self.seal_of(&plan, &fields, (&results, &message), now)?;
        Ok(Some([seal, message, results].concat()))
    }

    /// ARC-Authentication-Results (RFC 8617 section 4.1.1).
    fn results(&self, plan: &Plan, fields: &[Field<'_>]) -> Vec<u8> {
        let said = said_of_message(fields, &self.authserv_id);
        let text = format!("i={}; {}; {said}", plan.instance, self.authserv_id);
        let mut out = String::from("ARC-Authentication-Results:");
        let mut column = out.len();
        for word in text.split_ascii_whitespace() {
            if column + 1 + word.len() > COLUMNS && column > 2 {
                out.push_str("\r\n\t");
                column = 8;
            } else {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += word.len();
        }
        out.push_str("\r\n");
        out.into_bytes()
    }

    /// ARC-Message-Signature (RFC 8617 section 4.1.2).
    fn message_signature(
        &self,
        plan: &Plan,
        fields: &[Field<'_>],
        digested: &Digested,
        now: Timestamp,
    ) -> Result<Vec<u8>, SigningError> {
        let mut names = names(fields);
        let signatures = fields.iter().filter(|field| field.is("DKIM-Signature"));
        names.extend(signatures.map(|_| "DKIM-Signature".to_owned()));
        let mut field = format!(
            "ARC-Message-Signature: i={}; a={}; c=relaxed/relaxed;\r\n\td={}; s={};\r\n\tt={};",
            plan.instance,
            self.key.algorithm().as_str(),
            self.domain,
            self.selector,
            now.secs().max(0),
        );
        end_of_field(&mut field, &names, &digested.body_hash);
        signed_field(&self.key, field, &names, fields)
    }

    /// ARC-Seal (RFC 8617 sections 4.1.3 and 5.1.1).
    fn seal_of(
        &self,
        plan: &Plan,
        fields: &[Field<'_>],
        (results, message): (&[u8], &[u8]),
        now: Timestamp,
    ) -> Result<Vec<u8>, SigningError> {
        let field = format!(
            "ARC-Seal: i={}; a={}; t={}; cv={};\r\n\td={}; s={};\r\n\tb=",
            plan.instance,
            self.key.algorithm().as_str(),
            now.secs().max(0),
            plan.told,
            self.domain,
            self.selector,
        );
        let mut octets = Vec::new();
        let form = Canonicalization::Relaxed;
        for set in &plan.before {
            let places = [set.results, set.message, set.seal];
            for field in places.iter().filter_map(|place| fields.get(*place)) {
                form.field(field.name, b"", field.raw, &mut octets);
            }
        }
        for own in [results, message, field.as_bytes()] {
            let colon = own.iter().position(|octet| *octet == b':').unwrap_or(0);
            let (name, value) = own.split_at_checked(colon).unwrap_or_default();
            let value = value.get(1..).unwrap_or_default();
            form.field(name, b"", value, &mut octets);
        }
        octets.truncate(octets.len().saturating_sub(2));
        completed(field, &self.key.sign(&octets)?)
    }
}

impl Plan {
    /// `None` where there is nothing to be added.
    fn of(fields: &[Field<'_>], chain: ArcResult) -> Option<Self> {
        let Some(last) = last_instance(fields) else {
            return Some(Self {
                instance: 1,
                told: "none",
                before: Vec::new(),
            });
        };
        if is_told_broken(fields, last) {
            return None;
        }
        let instance = next(last)?;
        Some(match (sets(fields), chain) {
            (Ok(before), ArcResult::Pass) => Self {
                instance,
                told: "pass",
                before,
            },
            _ => Self {
                instance,
                told: "fail",
                before: Vec::new(),
            },
        })
    }
}

/// The greatest instance of a chain, whole or not; none where there is no chain.
fn last_instance(fields: &[Field<'_>]) -> Option<u8> {
    let of_chain = fields.iter().filter(|field| is_of_chain(field));
    // A field without one counts for the first, which it breaks.
    of_chain.map(|field| instance(field).unwrap_or(1)).max()
}

/// A chain that does not hold is told to be broken once, by who found it so (RFC
/// 8617 section 5.1, step 2).
fn is_told_broken(fields: &[Field<'_>], last: u8) -> bool {
    let seals = fields.iter().filter(|field| field.is("ARC-Seal"));
    let mut latest = seals.filter(|field| instance(field) == Ok(last));
    latest.any(|field| {
        let tags = TagList::parse(field.raw);
        tags.is_ok_and(|tags| {
            tags.get("cv")
                .is_some_and(|cv| cv.eq_ignore_ascii_case("fail"))
        })
    })
}

fn next(instance: u8) -> Option<u8> {
    instance.checked_add(1).filter(|next| *next <= MOST_SETS)
}
