//! The header fields that a test looks at.

use std::sync::Arc;

use super::CompileError;
use super::compile::{Args, Compile, Texts};
use super::run::{Context, Fault};

/// Which fields.
#[derive(Debug)]
pub(crate) struct Fields {
    names: Texts,
    selection: Selection,
}

/// What tags say of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {}

impl Fields {
    /// Takes the tags that extensions add to tests of header fields.
    pub(crate) fn tags(
        _cx: &mut Compile<'_>,
        _args: &mut Args<'_>,
    ) -> Result<Selection, CompileError> {
        Ok(Selection::default())
    }

    /// The fields by their parts and indices, the names in the script's order.
    pub(crate) fn places(&self, cx: &mut Context<'_>) -> Result<Vec<(usize, usize)>, Fault> {
        let mut places = Vec::new();
        for name in &self.names {
            let name = name.value(cx)?;
            self.selection.find(cx, &name, &mut places)?;
        }
        Ok(places)
    }

    /// Their decoded texts.
    pub(crate) fn texts(&self, cx: &mut Context<'_>) -> Result<Vec<Arc<str>>, Fault> {
        self.places(cx)?
            .into_iter()
            .map(|(part, index)| cx.field_text(part, index))
            .collect()
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

    fn find(
        &self,
        cx: &mut Context<'_>,
        name: &str,
        places: &mut Vec<(usize, usize)>,
    ) -> Result<(), Fault> {
        let found = cx.fields_named(0, name)?;
        places.extend(found.into_iter().map(|index| (0, index)));
        Ok(())
    }
}
