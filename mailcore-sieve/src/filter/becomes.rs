//! What a script's actions come to at an event of a session: a [`Verdict`] before
//! there is a message, edits and actions in a [`RecipientPlan`] once there is.

use mailcore::address::Address;
use mailcore::mailbox::{Flags, Keyword, MailboxName, SystemFlag};
use mailcore::message::Header;
use mailcore::plan::{Action as Planned, Disposition, Edit, RecipientPlan};
use mailcore::seams::Verdict;
use mailcore::status::Status;

use crate::engine::{Action, Form, HeaderEdit, Outcome, Place, Reject, RejectKind};

/// A script's words in a reply.
const MOST_WORDS: usize = 400;

/// What a script said, in a word and in its own words; `None` for nothing.
pub(super) type Said = Option<(&'static str, String)>;

/// What is said to the peer before there is a message. There is nothing yet to
/// file, to send on or to drop.
pub(super) fn verdict(outcome: &Outcome) -> (Verdict, Said) {
    for action in &outcome.actions {
        match action {
            Action::Accept => return (Verdict::Accept, word("accept", "")),
            Action::Disconnect { reason } => {
                let verdict = Verdict::Disconnect(refusal(reason));
                return (verdict, word("disconnect", reason));
            }
            Action::Reject(reject) => {
                let (status, said) = refused(reject);
                let verdict = if status.is_transient() {
                    Verdict::Defer(status)
                } else {
                    Verdict::Reject(status)
                };
                return (verdict, said);
            }
            _ => {}
        }
    }
    (Verdict::Continue, None)
}

/// Whether scripts after this one still have a say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Next,
    End,
}

/// Changes a copy's plan by what a script said of a message with this header.
/// What filters before decided of whether it is taken stands.
pub(super) fn change(outcome: &Outcome, header: &[u8], copy: &mut RecipientPlan) -> (Then, Said) {
    for action in &outcome.actions {
        if let Some((what, said)) = decided(action) {
            if copy.disposition == Disposition::Accept {
                copy.disposition = what;
            }
            return (Then::End, said);
        }
    }
    let mut said = None;
    let mut kept = outcome.implicit_keep;
    for action in &outcome.actions {
        match action {
            Action::Accept => return (Then::End, word("accept", "")),
            Action::Keep { flags, .. } => {
                kept = true;
                // Without any action a copy is kept anyhow.
                if !flags.is_empty() || outcome.actions.len() > 1 {
                    let place = Place {
                        mailbox: "INBOX".into(),
                        flags: flags.clone(),
                        ..Place::default()
                    };
                    said = filed(&place, copy).or(said);
                }
            }
            Action::FileInto(it) => {
                kept = true;
                said = filed(&it.place, copy).or(said);
            }
            Action::Redirect(redirect) if !redirect.list => {
                if let Ok(to) = Address::parse(&redirect.to) {
                    kept = true;
                    copy.actions.push(Planned::redirect(to));
                    said = word("redirect", &redirect.to);
                }
            }
            _ => {}
        }
    }
    if !kept && copy.disposition == Disposition::Accept {
        copy.disposition = Disposition::Discard;
        return (Then::End, word("discard", ""));
    }
    let edits = edits(outcome, header);
    if !edits.is_empty() {
        copy.edits.extend(edits);
        said = said.or(word("edit", ""));
    }
    (Then::Next, said)
}

/// What becomes of a copy by an action that decides it.
fn decided(action: &Action) -> Option<(Disposition, Said)> {
    match action {
        Action::Reject(reject) => {
            let (status, said) = refused(reject);
            let transient = status.is_transient();
            let refused = if transient {
                Disposition::Defer
            } else {
                Disposition::Reject
            };
            Some((refused(status), said))
        }
        Action::Disconnect { reason } => Some((
            Disposition::Reject(refusal(reason)),
            word("disconnect", reason),
        )),
        Action::Quarantine { reason } => {
            let what = Disposition::quarantine(one_line(reason, "a rule of this site"));
            Some((what, word("quarantine", reason)))
        }
        _ => None,
    }
}

fn filed(place: &Place, copy: &mut RecipientPlan) -> Said {
    let mailbox = MailboxName::parse(&place.mailbox).ok()?;
    copy.actions.push(file(mailbox, &place.flags, place.create));
    word("fileinto", &place.mailbox)
}

fn file(mailbox: MailboxName, flags: &[String], create: bool) -> Planned {
    let mut set = Flags::default();
    for flag in flags {
        if let Some(system) = SystemFlag::parse(flag) {
            set.insert(system);
        } else if let Some(keyword) = Keyword::new(flag) {
            set.insert_keyword(keyword);
        }
    }
    Planned::File {
        mailbox,
        flags: set,
        create,
        form: mailcore::plan::Form::Unchanged,
    }
}

fn refused(reject: &Reject) -> (Status, Said) {
    let words = one_line(&reject.reason, "refused by a rule of this site");
    match reject.kind {
        RejectKind::Defer => {
            let words = one_line(&reject.reason, "not now; try again later");
            (
                Status::transient(7, 1, words),
                word("defer", &reject.reason),
            )
        }
        RejectKind::Reject | RejectKind::Ereject => (
            Status::permanent(7, 1, words),
            word("reject", &reject.reason),
        ),
    }
}

fn refusal(reason: &str) -> Status {
    Status::permanent(7, 1, one_line(reason, "refused by a rule of this site"))
}

/// A reply's text is one line here (RFC 5321 section 4.2.1), and not endless.
fn one_line(words: &str, or: &str) -> String {
    let line: Vec<&str> = words.split_whitespace().collect();
    let line: String = line.join(" ").chars().take(MOST_WORDS).collect();
    if line.is_empty() { or.to_owned() } else { line }
}

fn word(word: &'static str, words: &str) -> Said {
    Some((word, words.to_owned()))
}

/// The edits of the form that is kept. A plan's edits know fields by name alone:
/// where some of a name go, all go, and those that stay are added again.
fn edits(outcome: &Outcome, header: &[u8]) -> Vec<Edit> {
    let form = outcome.actions.iter().find_map(|action| match action {
        Action::Keep { form, .. } => Some(*form),
        Action::FileInto(filed) => Some(filed.form),
        _ => None,
    });
    let Some(Form::Edited(changes)) = form.and_then(|form| outcome.forms.get(form)) else {
        return Vec::new();
    };
    let mut fields = fields(header);
    let mut edits = Vec::new();
    for change in changes.iter() {
        match change {
            HeaderEdit::First { name, value } => {
                fields.insert(0, (name.clone(), value.clone()));
                edits.push(added(name, value));
            }
            HeaderEdit::Last { name, value } => {
                fields.push((name.clone(), value.clone()));
                edits.push(added(name, value));
            }
            HeaderEdit::Remove(places) => removed(&mut fields, places, &mut edits),
        }
    }
    edits
}

fn added(name: &str, value: &str) -> Edit {
    Edit::AddHeader {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn removed(fields: &mut Vec<(String, String)>, places: &[usize], edits: &mut Vec<Edit>) {
    let mut names: Vec<String> = Vec::new();
    let mut at = 0;
    fields.retain(|(name, _)| {
        // They ascend; a stranger's header may have very many fields.
        let goes = places.binary_search(&at).is_ok();
        at += 1;
        if goes && !names.iter().any(|it| it.eq_ignore_ascii_case(name)) {
            names.push(name.clone());
        }
        !goes
    });
    for name in names {
        let stay = fields.iter().rev();
        let stay: Vec<Edit> = stay
            .filter(|(it, _)| it.eq_ignore_ascii_case(&name))
            .map(|(name, value)| added(name, value))
            .collect();
        edits.push(Edit::RemoveHeader { name });
        edits.extend(stay);
    }
}

/// The fields of a header in their order, unfolded.
fn fields(header: &[u8]) -> Vec<(String, String)> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let fields = Header::new(header).fields();
    fields
        // Lines that are no field have no place that scripts could name.
        .filter(|field| !field.name.is_empty() && std::str::from_utf8(field.name).is_ok())
        .map(|field| (text(field.name), text(&field.value())))
        .collect()
}
