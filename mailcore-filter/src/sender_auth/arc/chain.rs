//! A message's sets of fields, put in their order (RFC 8617 section 4).

use mailcore::address::Domain;
use mailcore::message::Field;

use super::ArcProblem;
use crate::sender_auth::dkim::tag_list::TagList;
use crate::sender_auth::dkim::verify::without_signature;
use crate::sender_auth::dkim::{Algorithm, Canonicalization, DkimProblem, Signature, signature};

/// RFC 8617 section 4.2.1.
pub(super) const MOST_SETS: u8 = 50;

const RESULTS: &str = "ARC-Authentication-Results";
const MESSAGE: &str = "ARC-Message-Signature";
const SEAL: &str = "ARC-Seal";

/// What one host added.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) instance: u8,
    /// The places of its fields in the header.
    pub(super) results: usize,
    pub(super) message: usize,
    pub(super) seal: usize,
}

/// A seal, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) algorithm: Algorithm,
    pub(super) domain: Domain,
    pub(super) selector: Domain,
    pub(super) octets: Vec<u8>,
    pub(super) told: Told,
}

/// What a seal says of the chain before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    None,
    Pass,
    Fail,
}

/// The places of one set's fields, as they are found.
#[derive(Debug, Clone, Copy, Default)]
struct Places([Option<usize>; 3]);

/// The sets from the first to the last; none when there is no field of ARC.
pub(super) fn sets(fields: &[Field<'_>]) -> Result<Vec<Set>, ArcProblem> {
    let mut found: Vec<Places> = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let Some(kind) = kind(field) else { continue };
        let instance = instance(field)?;
        let index = usize::from(instance).saturating_sub(1);
        if found.len() <= index {
            found.resize(index + 1, Places::default());
        }
        let place = found.get_mut(index).and_then(|set| set.0.get_mut(kind));
        match place {
            Some(place @ None) => *place = Some(at),
            _ => return Err(ArcProblem::Incomplete(instance)),
        }
    }
    let numbered = (1u8..).zip(found);
    let whole = numbered.map(|(instance, Places(places))| match places {
        [Some(results), Some(message), Some(seal)] => Ok(Set {
            instance,
            results,
            message,
            seal,
        }),
        _ => Err(ArcProblem::Incomplete(instance)),
    });
    whole.collect()
}

/// Which of the three fields it is.
fn kind(field: &Field<'_>) -> Option<usize> {
    let names = [RESULTS, MESSAGE, SEAL];
    names.iter().position(|name| field.is(name))
}

/// True for a field of a chain, whole or not.
pub(super) fn is_of_chain(field: &Field<'_>) -> bool {
    kind(field).is_some()
}

/// The tag `i`, which is the first of what a host says.
pub(super) fn instance(field: &Field<'_>) -> Result<u8, ArcProblem> {
    let number = if field.is(RESULTS) {
        // Only this tag is one: what follows are results.
        let end = field.raw.iter().position(|octet| *octet == b';');
        let first = field.raw.get(..end.unwrap_or(0)).unwrap_or_default();
        number(&TagList::parse(first).map_err(ArcProblem::Syntax)?)
    } else {
        number(&TagList::parse(field.raw).map_err(ArcProblem::Syntax)?)
    };
    number.ok_or(ArcProblem::Instance)
}

fn number(tags: &TagList<'_>) -> Option<u8> {
    let text = tags.get("i")?;
    let digits = text.len() <= 2 && text.bytes().all(|octet| octet.is_ascii_digit());
    let number: u8 = digits.then(|| text.parse().ok())??;
    (1..=MOST_SETS).contains(&number).then_some(number)
}

impl Seal {
    /// Reads a seal's field.
    pub(super) fn parse(instance: u8, field: &Field<'_>) -> Result<Self, ArcProblem> {
        let tags = TagList::parse(field.raw).map_err(ArcProblem::Syntax)?;
        if tags.get("h").is_some() {
            return Err(ArcProblem::NamesFields(instance));
        }
        let seal = Self::of_tags(&tags);
        let seal = seal.map_err(|problem| ArcProblem::Seal { instance, problem })?;
        // RFC 8617 section 5.2, steps 2 and 3c.
        let right = if instance == 1 {
            Told::None
        } else {
            Told::Pass
        };
        if seal.told != right {
            return Err(ArcProblem::ToldBroken(instance));
        }
        Ok(seal)
    }

    fn of_tags(tags: &TagList<'_>) -> Result<Self, DkimProblem> {
        let name = |tag: &'static str| {
            let name = signature::name(tags.require(tag)?);
            name.ok_or(DkimProblem::BadTag(tag))
        };
        signature::time(tags, "t")?;
        tags.require("b")?;
        let octets = tags.octets("b").filter(|it| !it.is_empty());
        Ok(Self {
            algorithm: Algorithm::parse(tags.require("a")?)?,
            domain: name("d")?,
            selector: name("s")?,
            octets: octets.ok_or(DkimProblem::BadTag("b"))?,
            told: match tags.require("cv")?.to_ascii_lowercase().as_str() {
                "none" => Told::None,
                "pass" => Told::Pass,
                "fail" => Told::Fail,
                _ => return Err(DkimProblem::BadTag("cv")),
            },
        })
    }
}

/// Reads a host's signature of the message. It signs no seal, and itself only as
/// every signature does (RFC 8617 section 4.1.2).
pub(super) fn message_signature(field: &Field<'_>) -> Result<Signature, DkimProblem> {
    let tags = TagList::parse(field.raw).map_err(DkimProblem::Syntax)?;
    let signature = Signature::of_tags(&tags, signature::Manner::Arc)?;
    let mut names = signature.fields.iter();
    if names.any(|name| name.eq_ignore_ascii_case(SEAL)) {
        return Err(DkimProblem::BadTag("h"));
    }
    Ok(signature)
}

/// The octets that a seal is over: the fields of all sets up to its own, its own
/// without the signature (RFC 8617 section 5.1.1).
pub(super) fn sealed(sets: &[Set], fields: &[Field<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, set) in sets.iter().enumerate() {
        for place in [set.results, set.message, set.seal] {
            let Some(field) = fields.get(place) else {
                continue;
            };
            let own = index + 1 == sets.len() && place == set.seal;
            let form = Canonicalization::Relaxed;
            if own {
                let value = without_signature(field.raw);
                form.field(field.name, b"", &value, &mut out);
            } else {
                form.field(field.name, b"", field.raw, &mut out);
            }
        }
    }
    out.truncate(out.len().saturating_sub(2));
    out
}
