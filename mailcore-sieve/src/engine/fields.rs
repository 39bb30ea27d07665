//! The header fields that a test looks at.

use std::ops::Range;
use std::sync::Arc;

use super::CompileError;
use super::compile::{Args, Compile, Texts};
use super::extensions::{Aspect, Index};
use super::matching::Matching;
use super::run::{Context, Fault, Flow, What};

/// Which fields.
#[derive(Debug)]
pub(crate) struct Fields {
    names: Texts,
    selection: Selection,
}

/// What tags say of them.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    index: Option<Index>,
    mime: Option<Scope>,
    aspect: Option<Aspect>,
}

/// Parts whose fields are looked at with `:mime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The one that the loop is at, or the message.
    Here,
    /// That one and those within it: `:anychild`.
    Within,
}

impl Fields {
    /// Takes the tags that extensions add to the test: `:index` and `:last` (RFC 5260
    /// section 6), `:mime` and what goes with it (RFC 5703 section 4).
    pub(crate) fn tags(
        cx: &mut Compile<'_>,
        args: &mut Args<'_>,
    ) -> Result<Selection, CompileError> {
        let exists = args.name() == "exists";
        let index = if exists { None } else { Index::take(cx, args)? };
        let mime = args.flag(cx, ("mime", "mime"))?;
        let mut needs_mime = None;
        let mut scope = Scope::Here;
        if let Some(at) = args.flag(cx, ("anychild", "mime"))? {
            scope = Scope::Within;
            needs_mime = Some((":anychild", at));
        }
        let mut aspect = None;
        if args.name() == "header" {
            (aspect, needs_mime) = Aspect::take(cx, args, needs_mime)?;
        }
        if let (None, Some((tag, at))) = (mime, needs_mime) {
            let words = format!("`{tag}` goes with `:mime`: write `:mime` before it");
            return Err(CompileError::new(at, words));
        }
        cx.needs.parts |= mime.is_some();
        Ok(Selection {
            index,
            mime: mime.map(|_| scope),
            aspect,
        })
    }

    /// Tests the fields' values.
    pub(crate) fn test(
        &self,
        cx: &mut Context<'_>,
        what: What,
        matching: &Matching,
    ) -> Result<Flow, Fault> {
        if self.selection.is_plain() && matching.is_alternative() {
            for name in &self.names {
                let values = match name.fixed() {
                    Some(name) => cx.values(name, what)?,
                    None => {
                        let name = name.value(cx)?;
                        cx.values(&name, what)?
                    }
                };
                if let Flow::Result(true) = matching.test(cx, &values)? {
                    return Ok(Flow::Result(true));
                }
            }
            return Ok(Flow::Result(false));
        }
        let values = match what {
            What::Text => self.texts(cx)?,
            What::Addresses(part) => {
                let mut values = Vec::new();
                for place in self.places(cx)? {
                    cx.add_addresses(place, part, &mut values)?;
                }
                values
            }
        };
        matching.test(cx, &values)
    }

    /// The fields by their parts and indices, the names in the script's order.
    pub(crate) fn places(&self, cx: &mut Context<'_>) -> Result<Vec<(usize, usize)>, Fault> {
        let mut places = Vec::new();
        for name in &self.names {
            let name = name.value(cx)?;
            self.selection.find(cx, &name, &mut places)?;
        }
        // All names' fields are counted together (RFC 5260 section 6).
        if let Some(index) = &self.selection.index {
            places = index.choose(&places).into_iter().collect();
        }
        Ok(places)
    }

    /// Their decoded texts, or what `:type` and its like take of them.
    fn texts(&self, cx: &mut Context<'_>) -> Result<Vec<Arc<str>>, Fault> {
        let places = self.places(cx)?;
        let Some(aspect) = &self.selection.aspect else {
            let text = |(part, index)| cx.field_text(part, index);
            return places.into_iter().map(text).collect();
        };
        let mut texts = Vec::new();
        for (part, index) in places {
            aspect.of(cx, (part, index), &mut texts)?;
        }
        Ok(texts)
    }

    /// Whether there is one of each name.
    pub(crate) fn all_exist(&self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        for name in &self.names {
            let name = name.value(cx)?;
            let mut places = Vec::new();
            self.selection.find(cx, &name, &mut places)?;
            if places.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Selection {
    /// With these names.
    pub(crate) fn names(self, names: Texts) -> Fields {
        Fields {
            names,
            selection: self,
        }
    }

    /// Whether it is all fields of the message.
    fn is_plain(&self) -> bool {
        self.index.is_none() && self.mime.is_none() && self.aspect.is_none()
    }

    fn find(
        &self,
        cx: &mut Context<'_>,
        name: &str,
        places: &mut Vec<(usize, usize)>,
    ) -> Result<(), Fault> {
        for part in self.parts(cx) {
            let found = cx.fields_named(part, name)?;
            places.extend(found.into_iter().map(|index| (part, index)));
        }
        Ok(())
    }

    fn parts(&self, cx: &Context<'_>) -> Range<usize> {
        let here = cx.part();
        match self.mime {
            None => 0..1,
            Some(Scope::Here) => here..here + 1,
            Some(Scope::Within) => {
                let end = cx.message().parts().get(here).map(|part| part.end);
                here..end.unwrap_or(here + 1)
            }
        }
    }
}
