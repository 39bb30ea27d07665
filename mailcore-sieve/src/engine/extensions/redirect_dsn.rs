//! `redirect-dsn` (RFC 6009 section 4): `:notify` and `:ret` of `redirect`.

use super::Extension;
use crate::engine::CompileError;
use crate::engine::compile::{Args, Compile, Text};
use crate::engine::run::{Context, Fault};

pub(super) static REDIRECT_DSN: Extension = Extension::new("redirect-dsn");

/// What the sender of the copy wants to be told.
#[derive(Debug)]
pub(super) struct Dsn {
    notify: Option<Text>,
    ret: Option<Text>,
}

impl Dsn {
    /// Takes the tags.
    pub(super) fn take(cx: &mut Compile<'_>, args: &mut Args<'_>) -> Result<Self, CompileError> {
        let dsn = Self {
            notify: args.tag_text(cx, ("notify", "redirect-dsn"))?,
            ret: args.tag_text(cx, ("ret", "redirect-dsn"))?,
        };
        let wrong = |text: &Option<Text>, value: fn(&str) -> Option<String>| {
            let fixed = text.as_ref().and_then(Text::fixed);
            fixed.is_some_and(|fixed| value(fixed).is_none())
        };
        if wrong(&dsn.notify, notify) {
            return Err(args.error(NOTIFY));
        }
        if wrong(&dsn.ret, ret) {
            return Err(args.error(RET));
        }
        Ok(dsn)
    }

    /// NOTIFY of the copy in this run.
    pub(super) fn notify(&self, cx: &mut Context<'_>) -> Result<Option<String>, Fault> {
        of(&self.notify, cx, notify, NOTIFY)
    }

    /// RET of the copy in this run.
    pub(super) fn ret(&self, cx: &mut Context<'_>) -> Result<Option<String>, Fault> {
        of(&self.ret, cx, ret, RET)
    }
}

const NOTIFY: &str =
    "`:notify` needs \"NEVER\", or \"SUCCESS\", \"FAILURE\" and \"DELAY\" with commas between";

const RET: &str = "`:ret` needs \"FULL\" or \"HDRS\"";

fn of(
    text: &Option<Text>,
    cx: &mut Context<'_>,
    value: fn(&str) -> Option<String>,
    words: &str,
) -> Result<Option<String>, Fault> {
    let Some(text) = text else { return Ok(None) };
    let text = text.value(cx)?;
    value(&text).map(Some).ok_or_else(|| Fault::new(words))
}

/// RFC 3461 section 4.1.
fn notify(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    let known = |value: &str| matches!(value, "SUCCESS" | "FAILURE" | "DELAY");
    (text == "NEVER" || (text.len() <= 32 && text.split(',').all(known))).then_some(text)
}

/// RFC 3461 section 4.3.
fn ret(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    matches!(text.as_str(), "FULL" | "HDRS").then_some(text)
}
