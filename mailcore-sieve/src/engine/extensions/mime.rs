//! `mime` (RFC 5703 section 4): tests of the header fields of parts, and of what
//! Content-Type and its like say. `fields.rs` reads `:mime` and `:anychild`.

use std::sync::Arc;

use super::Extension;
use crate::engine::compile::{Args, Compile, Texts};
use crate::engine::mime::value::{Structured, token};
use crate::engine::run::{Context, Fault};
use crate::engine::{CompileError, Position};

pub(super) static MIME: Extension = Extension::new("mime");

/// What of a field is tested.
#[derive(Debug)]
pub(crate) enum Aspect {
    Type,
    Subtype,
    ContentType,
    /// These parameters.
    Param(Texts),
}

/// A tag that means nothing without `:mime`.
type Needy = Option<(&'static str, Position)>;

impl Aspect {
    /// Takes `:type`, `:subtype`, `:contenttype` or `:param`.
    pub(crate) fn take(
        cx: &mut Compile<'_>,
        args: &mut Args<'_>,
        mut needy: Needy,
    ) -> Result<(Option<Self>, Needy), CompileError> {
        let mut aspect = None;
        for (tag, name, kind) in [
            ("type", ":type", Self::Type),
            ("subtype", ":subtype", Self::Subtype),
            ("contenttype", ":contenttype", Self::ContentType),
        ] {
            if let Some(at) = args.flag(cx, (tag, "mime"))? {
                once(aspect.is_some(), at)?;
                needy = Some((name, at));
                aspect = Some(kind);
            }
        }
        if let Some(names) = args.tag_texts(cx, ("param", "mime"))? {
            once(aspect.is_some(), args.at())?;
            needy = Some((":param", args.at()));
            aspect = Some(Self::Param(names));
        }
        Ok((aspect, needy))
    }

    /// Adds what a field has of it. A field that says nothing readable has nothing;
    /// one that is not structured has an empty value.
    pub(crate) fn of(
        &self,
        cx: &mut Context<'_>,
        place: (usize, usize),
        texts: &mut Vec<Arc<str>>,
    ) -> Result<(), Fault> {
        let (part, index) = place;
        let raw = cx.field_raw(part, index)?;
        let mail = cx.mail;
        let value = Structured::parse_by(&raw, &|label, octets| mail.to_utf8(label, octets));
        let fields = &cx.header(part)?.fields;
        let Some(field) = fields.get(index) else {
            return Ok(());
        };
        if let Self::Param(names) = self {
            for name in names {
                let name = name.value(cx)?.to_ascii_lowercase();
                let found = value.parameter(&name);
                texts.extend(found.map(|found| Arc::from(&*mail.text(found))));
            }
            return Ok(());
        }
        let text = if field.is("content-type") {
            value.media_type().map(|(media, subtype)| match self {
                Self::Type => media,
                Self::Subtype => subtype,
                Self::ContentType | Self::Param(_) => format!("{media}/{subtype}"),
            })
        } else if field.is("content-disposition") {
            let disposition = token(&value.value);
            disposition.map(|disposition| match self {
                Self::Subtype => String::new(),
                _ => disposition,
            })
        } else {
            Some(String::new())
        };
        texts.extend(text.map(Arc::from));
        Ok(())
    }
}

fn once(twice: bool, at: Position) -> Result<(), CompileError> {
    if twice {
        return Err(CompileError::new(
            at,
            "`:type`, `:subtype`, `:contenttype` and `:param` can't go together: choose one",
        ));
    }
    Ok(())
}
