//! [`Ruling`]: what all that was said comes to for one recipient.

use std::fmt::Write;

use mailcore::plan::{Disposition, Edit, Quarantine, QuarantinePlace, RecipientPlan};
use mailcore::status::Status;

use super::decide::{counts, is_firm, later, refusal};
use super::effective::Effective;
use super::judged::Judged;
use super::{Act, Reaction, SpamPlace, TestClass};

/// Results that a header field names.
const MOST_NAMED: usize = 20;

/// A result with what holds about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighed<'a> {
    judged: &'a Judged,
    reaction: Reaction,
    score: f32,
}

impl<'a> Weighed<'a> {
    pub(super) fn new(judged: &'a Judged, effective: &Effective) -> Self {
        let key = (judged.test, judged.result);
        Self {
            judged,
            reaction: effective.reaction(judged.test, judged.result, judged.shipped),
            score: effective.score(key, judged.score, judged.shipped),
        }
    }
}

/// What becomes of one copy, and why.
pub(super) struct Ruling<'a> {
    /// The most severe action, and what asks for it.
    act: Act,
    why: Option<&'a Judged>,
    /// A virus is why it is kept apart: nobody is to have it out again.
    harmful: bool,
    /// For one who must hear complaints.
    unbending: bool,
    score: f32,
    required: Option<f32>,
    /// What scored, for the header field.
    scored: Vec<(&'a Judged, f32)>,
}

impl<'a> Ruling<'a> {
    /// By what asks for an action.
    pub(super) fn new(
        said: impl Iterator<Item = Weighed<'a>>,
        allowed: bool,
        unbending: bool,
    ) -> Self {
        let mut ruling = Self {
            act: Act::None,
            why: None,
            harmful: false,
            unbending,
            score: 0.0,
            required: None,
            scored: Vec::new(),
        };
        for weighed in said.filter(|it| counts(it.judged, allowed)) {
            ruling.add(weighed);
        }
        ruling
    }

    fn add(
        &mut self,
        Weighed {
            judged,
            reaction,
            score,
        }: Weighed<'a>,
    ) {
        if score != 0.0 {
            self.score += score;
            self.scored.push((judged, score));
        }
        // Whatever sets it apart: what a test found to do harm stays there.
        self.harmful |=
            judged.class == TestClass::Virus && (score > 0.0 || reaction.act >= Act::Quarantine);
        // What was to be refused for all at an earlier stage was; what is left is
        // a recipient's own wish.
        let act = match reaction.act {
            Act::None | Act::Accept | Act::Delay(_) => return,
            _ if self.unbending && !is_firm(judged.class) => Act::Tag,
            act => act,
        };
        if act > self.act {
            (self.act, self.why) = (act, Some(judged));
        }
    }

    /// And by the score, where that counts.
    pub(super) fn score(mut self, effective: &Effective, counts: bool) -> Self {
        if !counts {
            return self;
        }
        let scoring = effective.scoring();
        self.required = scoring.quarantine.or(scoring.tag).or(scoring.reject);
        let thresholds = [
            (scoring.reject, Act::Reject),
            (scoring.quarantine, Act::Quarantine),
            (scoring.tag, Act::Tag),
        ];
        let reached = |(from, act): (Option<f32>, Act)| {
            from.is_some_and(|from| self.score >= from).then_some(act)
        };
        if let Some(act) = thresholds.into_iter().find_map(reached) {
            let act = if self.unbending { Act::Tag } else { act };
            if act > self.act {
                (self.act, self.why) = (act, None);
            }
        }
        self
    }

    /// Writes it into the plan of a copy.
    pub(super) fn apply(&self, effective: &Effective, copy: &mut RecipientPlan) {
        if !self.scored.is_empty() {
            copy.edits.push(Edit::AddHeader {
                name: "X-Spam-Status".into(),
                value: self.summary(),
            });
        }
        if self.act >= Act::Tag {
            copy.edits.push(Edit::AddHeader {
                name: "X-Spam-Flag".into(),
                value: "YES".into(),
            });
            self.tag_subject(effective, copy);
        }
        if self.harmful
            && let Disposition::Quarantine(apart) = &copy.disposition
        {
            copy.disposition = Disposition::Quarantine(apart.clone().harmful());
        }
        // What a filter before this one decided against the mail stands.
        if copy.disposition != Disposition::Accept {
            return;
        }
        match self.act {
            Act::Quarantine => {
                if let Some(quarantine) = self.quarantine(effective.place()) {
                    copy.disposition = Disposition::Quarantine(quarantine);
                }
            }
            Act::Discard => copy.disposition = Disposition::Discard,
            Act::Defer => copy.disposition = Disposition::Defer(self.status(later)),
            Act::Reject | Act::Disconnect => {
                copy.disposition = Disposition::Reject(self.status(refusal));
            }
            Act::None | Act::Accept | Act::Delay(_) | Act::Tag => {}
        }
    }

    /// Of what the recipient finds among other mail: what comes out of the
    /// quarantine was found to be none.
    fn tag_subject(&self, effective: &Effective, copy: &mut RecipientPlan) {
        let apart = matches!(effective.place(), SpamPlace::Quarantine | SpamPlace::Admin);
        let found = self.act == Act::Tag || self.act == Act::Quarantine && !apart;
        if let Some(text) = effective.subject_tag().filter(|_| found && !self.harmful) {
            copy.edits.push(Edit::TagSubject { text: text.into() });
        }
    }

    /// Where it is kept apart; `None` for nowhere.
    fn quarantine(&self, place: SpamPlace) -> Option<Quarantine> {
        let quarantine = Quarantine::new(self.reason());
        if self.harmful {
            return Some(quarantine.harmful());
        }
        let place = match place {
            SpamPlace::Usual => QuarantinePlace::Usual,
            SpamPlace::Folder => QuarantinePlace::Folder,
            SpamPlace::Quarantine => QuarantinePlace::User,
            SpamPlace::Admin => QuarantinePlace::Admin,
            SpamPlace::Inbox => return None,
        };
        Some(quarantine.kept_in(place))
    }

    fn status(&self, of: fn(&Judged) -> Status) -> Status {
        match self.why {
            Some(judged) => of(judged),
            // Which tests did it is not told: it would teach how to pass them.
            None => Status::permanent(7, 1, "the message looks like spam"),
        }
    }

    fn reason(&self) -> String {
        match self.why {
            Some(judged) if judged.detail.is_empty() => {
                format!("{} {}", judged.test, judged.result)
            }
            Some(judged) => format!("{} {}: {}", judged.test, judged.result, judged.detail),
            None => format!("score {:.1}: {}", self.score, self.names()),
        }
    }

    /// `Yes, score=7.0 required=5.0 tests=spf.fail=3.0,...`
    fn summary(&self) -> String {
        let spam = if self.act >= Act::Tag { "Yes" } else { "No" };
        let mut text = format!("{spam}, score={:.1}", self.score);
        if let Some(required) = self.required {
            let _ = write!(text, " required={required:.1}");
        }
        let _ = write!(text, " tests={}", self.names());
        text
    }

    fn names(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for (judged, score) in self.scored.iter().take(MOST_NAMED) {
            names.push(format!("{}.{}={score:.1}", judged.test, judged.result));
        }
        names.join(",")
    }
}
