//! The words in which tests over lists say what they found.

use super::{Effect, Listing, Listings, Subject, Zone};
use crate::pipeline::Said;

/// On a list.
pub(super) const LISTED: &str = "listed";
/// On a list whose answer only scores.
pub(super) const SCORED: &str = "scored";
/// On a list of those known for good mail.
pub(super) const ALLOWED: &str = "allowed";
/// On a list, and on another of those known for good mail.
pub(super) const DISPUTED: &str = "disputed";
/// On a list, and excepted by the operator.
pub(super) const EXCEPTED: &str = "excepted";
/// A list gave no answer.
pub(super) const TEMPERROR: &str = "temperror";

/// What is said of each listing, and of each list that gave no answer.
pub(super) fn of(listings: &Listings) -> Vec<Said> {
    let is_allowed = |it: &Listing| matches!(it.effect, Effect::Allowed(_));
    let allowed = listings.found.iter().any(is_allowed);
    let listed = listings.found.iter().map(|listing| {
        let said = |result| said(result, &listing.subject, &listing.zone).detail(words(listing));
        match listing.effect {
            Effect::Listed if allowed => said(DISPUTED),
            Effect::Listed => said(LISTED),
            Effect::Score(score) => said(SCORED).score(score),
            Effect::Allowed(score) => said(ALLOWED).score(score),
            Effect::Ignored => said(EXCEPTED),
        }
    });
    listed.chain(silent(listings)).collect()
}

/// The same of one who is excepted, or may be.
pub(super) fn of_excepted(listings: &Listings, result: &'static str) -> Vec<Said> {
    let listed = listings.found.iter().map(|listing| {
        let said = |result| said(result, &listing.subject, &listing.zone).detail(words(listing));
        match listing.effect {
            Effect::Allowed(score) => said(ALLOWED).score(score),
            _ => said(result),
        }
    });
    listed.chain(silent(listings)).collect()
}

fn silent(listings: &Listings) -> impl Iterator<Item = Said> {
    let said = |zone: &std::sync::Arc<Zone>| {
        Said::new(TEMPERROR, zone.shown()).detail(format!("{} gives no answer", zone.shown()))
    };
    listings.silent.iter().map(said)
}

/// A finding is known by what it is about: each list has one of its own.
fn said(result: &'static str, subject: &Subject, zone: &Zone) -> Said {
    Said::new(result, format!("{subject} {}", zone.shown()))
}

fn words(listing: &Listing) -> String {
    let (subject, zone) = (&listing.subject, listing.zone.shown());
    match &listing.text {
        Some(text) => format!("{subject} is listed by {zone}: {text}"),
        None => format!("{subject} is listed by {zone}"),
    }
}
