//! What a LIST asks for: patterns, selection and return options (RFC 5258, RFC
//! 5819, RFC 6154).

use crate::codec::{Cursor, ParseError};
use crate::commands::status;
use crate::types::{ListPattern, StatusItem};

/// Patterns and options allowed in one LIST, each.
const MAX: usize = 100;
/// Octets of all patterns of one LIST: each is matched with each name.
const MAX_PATTERNS: usize = 8_000;

/// A LIST's arguments.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) patterns: Vec<ListPattern>,
    /// The mailbox argument is empty, without options: the delimiter is asked
    /// for (RFC 5258 section 3).
    pub(super) root: bool,
    /// Only these, when one is set.
    pub(super) select: Select,
    pub(super) returns: Returns,
    /// Options were given: RFC 5258's attributes may be used.
    pub(super) extended: bool,
}

/// Selection options.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Select {
    pub(super) subscribed: bool,
    pub(super) special_use: bool,
    /// Parents of what is selected, too.
    pub(super) recursive: bool,
}

/// Return options. CHILDREN and SPECIAL-USE are always returned.
#[derive(Debug, Default)]
pub(super) struct Returns {
    pub(super) subscribed: bool,
    pub(super) my_rights: bool,
    pub(super) status: Vec<StatusItem>,
}

/// ```text
/// list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat
///        [SP list-return-opts]
/// ```
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Options, ParseError> {
    let mut options = Options::default();
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        options.extended = true;
        options.select = selection(cursor)?;
        cursor.space()?;
    }
    let reference = cursor.mailbox_text()?;
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        options.extended = true;
        words(cursor, |cursor| {
            options
                .patterns
                .push(pattern(&reference, &cursor.list_mailbox()?)?);
            Ok(())
        })?;
    } else {
        let mailbox = cursor.list_mailbox()?;
        options.root = mailbox.is_empty();
        options.patterns.push(pattern(&reference, &mailbox)?);
    }
    let weight: usize = options.patterns.iter().map(ListPattern::weight).sum();
    if weight > MAX_PATTERNS {
        return Err(ParseError::TooMuch("octets in patterns"));
    }
    if cursor.eat(b' ') {
        options.extended = true;
        options.returns = returns(cursor)?;
    }
    cursor.end()?;
    options.root &= !options.extended;
    Ok(options)
}

fn pattern(reference: &str, mailbox: &str) -> Result<ListPattern, ParseError> {
    ListPattern::new(reference, mailbox).ok_or(ParseError::TooMuch("octets in a pattern"))
}

/// `list-select-opts = "(" [*(opt SP) opt] ")"`
fn selection(cursor: &mut Cursor<'_>) -> Result<Select, ParseError> {
    let mut select = Select::default();
    words(cursor, |cursor| {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => select.subscribed = true,
            "SPECIAL-USE" => select.special_use = true,
            "RECURSIVEMATCH" => select.recursive = true,
            // There are no mailboxes elsewhere to add.
            "REMOTE" => {}
            _ => return Err(ParseError::Expected("a selection option")),
        }
        Ok(())
    })?;
    // RFC 5258 section 3.1: it modifies another option and is none by itself.
    if select.recursive && !select.subscribed && !select.special_use {
        return Err(ParseError::Expected("an option that RECURSIVEMATCH is for"));
    }
    Ok(select)
}

/// `list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"`
fn returns(cursor: &mut Cursor<'_>) -> Result<Returns, ParseError> {
    let mut returns = Returns::default();
    if !cursor.eat_word("RETURN") {
        return Err(ParseError::Expected("RETURN"));
    }
    cursor.space()?;
    words(cursor, |cursor| {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => returns.subscribed = true,
            "CHILDREN" | "SPECIAL-USE" => {}
            "MYRIGHTS" => returns.my_rights = true,
            "STATUS" => {
                cursor.space()?;
                returns.status = status::items(cursor)?;
            }
            _ => return Err(ParseError::Expected("a return option")),
        }
        Ok(())
    })?;
    Ok(returns)
}

/// `"(" [word *(SP word)] ")"`
fn words(
    cursor: &mut Cursor<'_>,
    mut word: impl FnMut(&mut Cursor<'_>) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    cursor.expect(b'(', "a list")?;
    if cursor.eat(b')') {
        return Ok(());
    }
    for _ in 0..MAX {
        word(cursor)?;
        if cursor.eat(b')') {
            return Ok(());
        }
        cursor.space()?;
    }
    Err(ParseError::TooMuch("options"))
}
