//! Where a copy is filed, as `fileinto` and its like say it: the mailbox and the
//! tags that extensions add.

use super::compile::{Args, Compile, Text, Texts};
use super::flag_set::FlagSet;
use super::run::{Context, Fault};
use super::{CompileError, Place};

/// A [`Place`] before a run.
#[derive(Debug)]
pub(crate) struct PlaceText {
    mailbox: Text,
    mailbox_id: Option<Text>,
    special_use: Option<Text>,
    create: bool,
    flags: Option<Texts>,
}

/// The tags of a place whose mailbox is not known yet.
#[derive(Debug)]
pub(crate) struct PlaceTags {
    mailbox_id: Option<Text>,
    special_use: Option<Text>,
    create: bool,
    flags: Option<Texts>,
}

impl PlaceText {
    /// Takes `:mailboxid` (RFC 9042), `:specialuse` (RFC 8579), `:create` (RFC 5490)
    /// and `:flags` (RFC 5232).
    pub(crate) fn tags(
        cx: &mut Compile<'_>,
        args: &mut Args<'_>,
    ) -> Result<PlaceTags, CompileError> {
        let mailbox_id = args.tag_text(cx, ("mailboxid", "mailboxid"))?;
        let special_use = args.tag_text(cx, ("specialuse", "special-use"))?;
        if mailbox_id.is_some() && special_use.is_some() {
            return Err(args.error("`:mailboxid` and `:specialuse` can't go together: choose one"));
        }
        Ok(PlaceTags {
            mailbox_id,
            special_use,
            create: args.flag(cx, ("create", "mailbox"))?.is_some(),
            flags: args.tag_texts(cx, ("flags", "imap4flags"))?,
        })
    }

    /// The place in this run, of what is not the message: flags that are set for
    /// the message are not meant for it.
    pub(crate) fn copy(&self, cx: &mut Context<'_>) -> Result<Place, Fault> {
        let mut place = self.value(cx)?;
        if self.flags.is_none() {
            place.flags.clear();
        }
        Ok(place)
    }

    /// The place in this run.
    pub(crate) fn value(&self, cx: &mut Context<'_>) -> Result<Place, Fault> {
        let mut text = |text: &Option<Text>| -> Result<Option<String>, Fault> {
            text.as_ref()
                .map(|text| Ok(text.value(cx)?.to_string()))
                .transpose()
        };
        let mailbox_id = text(&self.mailbox_id)?;
        let special_use = text(&self.special_use)?;
        Ok(Place {
            mailbox: self.mailbox.value(cx)?.to_string(),
            mailbox_id,
            special_use,
            create: self.create,
            flags: flags(self.flags.as_deref(), cx)?,
        })
    }
}

impl PlaceTags {
    /// Whether there is one at least.
    pub(crate) fn are_given(&self) -> bool {
        self.mailbox_id.is_some()
            || self.special_use.is_some()
            || self.create
            || self.flags.is_some()
    }

    /// With its mailbox.
    pub(crate) fn mailbox(self, mailbox: Text) -> PlaceText {
        PlaceText {
            mailbox,
            mailbox_id: self.mailbox_id,
            special_use: self.special_use,
            create: self.create,
            flags: self.flags,
        }
    }
}

/// The flags of a copy: those given with it, or those of the internal variable
/// (RFC 5232 section 5). A string may hold several, divided by spaces.
pub(crate) fn flags(given: Option<&[Text]>, cx: &mut Context<'_>) -> Result<Vec<String>, Fault> {
    let Some(given) = given else {
        return Ok(cx.flags.clone());
    };
    let limit = cx.limits.variable;
    let mut flags = FlagSet::default();
    for text in given {
        let value = text.value(cx)?;
        // Each flag is compared with each other one.
        cx.look(value.len().saturating_mul(flags.len().max(1)))?;
        flags.add([value], limit);
    }
    Ok(flags.into_vec())
}
