//! SELECT's parameters, and QRESYNC (RFC 7162 section 3.2.5): what a client
//! missed since it last knew the mailbox.

use mailcore::mailbox::{ModSeq, Uid, UidSet, UidValidity};

use crate::codec::{Cursor, ParseError};
use crate::session::{Context, Known, Opened};
use crate::types::{Extension, SeqNum};
use crate::view::View;
use crate::wording::{self, Status};

/// What stands after the mailbox's name.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub(super) condstore: bool,
    pub(super) resync: Option<Knowledge>,
}

/// `"QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids]
/// [SP seq-match-data] ")"`
#[derive(Debug)]
pub(super) struct Knowledge {
    pub(super) known: Known,
    uids: Option<UidSet>,
    matching: Option<Matching>,
}

/// `seq-match-data = "(" known-sequence-set SP known-uid-set ")"`: as many
/// places as UIDs, both as ascending ranges.
#[derive(Debug)]
struct Matching {
    places: Vec<(u32, u32)>,
    uids: Vec<(u32, u32)>,
}

/// What a client missed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed {
    /// Gone, to be told by VANISHED (EARLIER).
    pub(super) vanished: UidSet,
    /// Changed, to be told by FETCH.
    pub(super) changed: UidSet,
}

impl Parameters {
    /// `[SP "(" select-param *(SP select-param) ")"]`
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let mut parameters = Self::default();
        if !cursor.eat(b' ') {
            return Ok(parameters);
        }
        cursor.expect(b'(', "parameters")?;
        loop {
            if cursor.eat_word("CONDSTORE") {
                parameters.condstore = true;
            } else if parameters.resync.is_none() && cursor.eat_word("QRESYNC") {
                parameters.resync = Some(Knowledge::parse(cursor)?);
            } else {
                return Err(ParseError::Expected("CONDSTORE or QRESYNC"));
            }
            if cursor.eat(b')') {
                return Ok(parameters);
            }
            cursor.space()?;
        }
    }

    /// Why they can't be served to this client.
    pub(super) fn refusal(&self, cx: &Context) -> Option<Status> {
        let resync = self.resync.as_ref()?;
        if !cx.enabled.has(Extension::QResync) {
            return Some(wording::not_enabled());
        }
        // Its places are message numbers (RFC 9586 section 3).
        let numbered = resync.matching.is_some() && cx.enabled.has(Extension::UidOnly);
        numbered.then(wording::uid_required)
    }
}

impl Knowledge {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        cursor.space()?;
        cursor.expect(b'(', "what is known")?;
        let uid_validity = UidValidity::new(cursor.number()?);
        cursor.space()?;
        let modseq = ModSeq::new(cursor.number64()?);
        let (Some(uid_validity), Some(modseq)) = (uid_validity, modseq) else {
            return Err(ParseError::Expected("numbers above zero"));
        };
        let mut knowledge = Self {
            known: Known {
                uid_validity,
                modseq,
            },
            uids: None,
            matching: None,
        };
        if !cursor.eat(b')') {
            cursor.space()?;
            if cursor.peek() != Some(b'(') {
                let uids = cursor.sequence_set()?.numbers();
                knowledge.uids = Some(uid_set(&uids.ok_or(ParseError::Expected("UIDs"))?));
                if cursor.eat(b')') {
                    return Ok(knowledge);
                }
                cursor.space()?;
            }
            knowledge.matching = Some(Matching::parse(cursor)?);
            cursor.expect(b')', "the end of what is known")?;
        }
        Ok(knowledge)
    }

    /// What of `opened` a client of this knowledge missed; nothing when it
    /// knew another mailbox of this name.
    pub(super) fn missed(&self, opened: &Opened, view: &View) -> Option<Missed> {
        let resync = opened.resync.as_ref()?;
        let there = view.all();
        let known = self.uids.clone().unwrap_or_else(UidSet::all);
        let vanished = match &resync.vanished {
            Some(vanished) => vanished.intersection(&known),
            // Whatever is not there is gone, as far as UIDs were given out.
            None => {
                let last = opened.status.uid_next.map_or(Some(Uid::MAX), |next| {
                    Uid::new(next.value().saturating_sub(1))
                });
                let given = last.map(|last| UidSet::range(Uid::MIN, last));
                given.unwrap_or(UidSet::EMPTY).intersection(&known)
            }
        };
        let mut vanished = vanished.difference(&there);
        if let Some(last) = self.matching.as_ref().and_then(|it| it.last_match(view)) {
            vanished = vanished.difference(&UidSet::range(Uid::MIN, last));
        }
        let changed = resync.changed.intersection(&known).intersection(&there);
        Some(Missed { vanished, changed })
    }
}

impl Matching {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        const WANTED: ParseError = ParseError::Expected("as many places as UIDs, ascending");
        cursor.expect(b'(', "places and UIDs")?;
        let places = cursor.sequence_set()?.ascending().ok_or(WANTED)?;
        cursor.space()?;
        let uids = cursor.sequence_set()?.ascending().ok_or(WANTED)?;
        cursor.expect(b')', "the end of places and UIDs")?;
        let count = |ranges: &[(u32, u32)]| -> u64 {
            ranges.iter().map(|(a, b)| u64::from(b - a) + 1).sum()
        };
        if count(&places) != count(&uids) {
            return Err(WANTED);
        }
        Ok(Self { places, uids })
    }

    /// The last message that is where the client thinks: up to there it knows
    /// what went away. Ranges are compared from their ends, never walked beyond
    /// what the mailbox holds.
    fn last_match(&self, view: &View) -> Option<Uid> {
        let (mut places, mut uids) = (self.places.iter().rev(), self.uids.iter().rev());
        let (mut place, mut uid) = (places.next().copied(), uids.next().copied());
        while let (Some((from, to)), Some((first, last))) = (place, uid) {
            let pairs = (to - from).min(last - first);
            // Beyond the mailbox nothing matches.
            let skipped = to.saturating_sub(view.exists()).min(pairs + 1);
            let found = (skipped..=pairs).find_map(|back| {
                let there = view.uid(SeqNum::new(to - back)?)?;
                (there.value() == last - back).then_some(there)
            });
            if found.is_some() {
                return found;
            }
            place = match to - from > pairs {
                true => Some((from, to - pairs - 1)),
                false => places.next().copied(),
            };
            uid = match last - first > pairs {
                true => Some((first, last - pairs - 1)),
                false => uids.next().copied(),
            };
        }
        None
    }
}

fn uid_set(ranges: &[(u32, u32)]) -> UidSet {
    let uids = ranges
        .iter()
        .filter_map(|(a, b)| Some((Uid::new(*a)?, Uid::new(*b)?)));
    UidSet::from_ranges(uids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(text: &str) -> Result<Matching, ParseError> {
        Matching::parse(&mut Cursor::new(text.as_bytes()))
    }

    /// RFC 7162 section 3.2.5.2: of 29,997 messages each third is left.
    #[test]
    fn the_sample_of_rfc_7162_matches_to_its_end() {
        let uids: UidSet = (1..=10_003).filter_map(|n| Uid::new(n * 3)).collect();
        let sample = "(5000,7500,9000,9990:9999 15000,22500,27000,29970,29973,29976,29979,\
                      29982,29985,29988,29991,29994,29997)";
        let last = matching(sample).unwrap().last_match(&View::new(&uids));
        assert_eq!(last, Uid::new(29_997));
    }

    #[test]
    fn the_last_pair_that_matches_counts() {
        let view = View::new(&uid_set(&[(8, 8), (20, 21), (25, 25)]));
        let last = |text| matching(text).unwrap().last_match(&view).map(Uid::value);
        assert_eq!(last("(1,4 8,24)"), Some(8));
        assert_eq!(last("(1:4 8,19:21)"), Some(8));
        assert_eq!(last("(1:3 8,20:21)"), Some(21));
        assert_eq!(last("(4:4294967273 25:4294967294)"), Some(25));
        assert_eq!(last("(4:4294967294 2:4294967292)"), None);
    }

    #[test]
    fn places_without_their_uids_are_refused() {
        for bad in ["(1:3 1:2)", "(2,1 3,4)", "(1 *)", "(1,1 2,3)", "(2:1 3:4)"] {
            assert!(matching(bad).is_err(), "{bad}");
        }
    }
}
