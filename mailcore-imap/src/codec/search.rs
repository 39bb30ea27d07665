//! Reads SEARCH programs.

use std::num::NonZeroU32;

use mailcore::mailbox::{Keyword, SystemFlag};
use mailcore::message::Date;

use super::{Cursor, ParseError};
use crate::types::search::{Age, DateTest, MAX_SEARCH_DEPTH, MAX_SEARCH_KEYS, SearchReturn};
use crate::types::{MessageSet, SearchKey, SearchProgram, SeqRange, SequenceSet};

type Parsed<T> = Result<T, ParseError>;

impl Cursor<'_> {
    /// `[SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"]`
    ///
    /// # Errors
    /// [`ParseError::Expected`], also for an option that is not known.
    pub fn search_returns(&mut self) -> Parsed<Option<SearchReturn>> {
        let mut ahead = self.clone();
        if !ahead.eat(b' ') || !ahead.eat_word("RETURN") {
            return Ok(None);
        }
        *self = ahead;
        self.space()?;
        self.expect(b'(', "return options")?;
        let mut returns = SearchReturn::default();
        if !self.eat(b')') {
            self.search_return(&mut returns)?;
            while self.eat(b' ') {
                self.search_return(&mut returns)?;
            }
            self.expect(b')', "the end of the return options")?;
        }
        if returns.all && returns.partial.is_some() {
            return Err(ParseError::Expected("either ALL or PARTIAL"));
        }
        returns.all |= returns == SearchReturn::default();
        Ok(Some(returns))
    }

    /// `search-return-opt`
    fn search_return(&mut self, returns: &mut SearchReturn) -> Parsed<()> {
        match self.atom()?.to_ascii_uppercase().as_str() {
            "MIN" => returns.min = true,
            "MAX" => returns.max = true,
            "ALL" => returns.all = true,
            "COUNT" => returns.count = true,
            "SAVE" => returns.save = true,
            "PARTIAL" if returns.partial.is_none() => {
                self.space()?;
                returns.partial = Some(self.partial_range()?);
            }
            _ => return Err(ParseError::Expected("a return option")),
        }
        Ok(())
    }

    /// `["CHARSET" SP astring SP] search-key *(SP search-key)`
    ///
    /// # Errors
    /// [`ParseError::BadCharset`] for all but US-ASCII and UTF-8,
    /// [`ParseError::Expected`], [`ParseError::TooMuch`].
    pub fn search_program(&mut self) -> Parsed<SearchProgram> {
        if self.eat_word("CHARSET") {
            self.space()?;
            let charset = self.astring()?;
            if ![&b"US-ASCII"[..], b"UTF-8", b"ASCII", b"UTF8"]
                .iter()
                .any(|it| charset.eq_ignore_ascii_case(it))
            {
                return Err(ParseError::BadCharset);
            }
            self.space()?;
        }
        let mut budget = MAX_SEARCH_KEYS;
        let mut keys = vec![self.search_key(0, &mut budget)?];
        while self.eat(b' ') {
            keys.push(self.search_key(0, &mut budget)?);
        }
        Ok(SearchProgram { keys })
    }

    /// `search-key`; recursion ends at [`MAX_SEARCH_DEPTH`].
    fn search_key(&mut self, depth: usize, budget: &mut usize) -> Parsed<SearchKey> {
        *budget = budget
            .checked_sub(1)
            .ok_or(ParseError::TooMuch("search keys"))?;
        if depth > MAX_SEARCH_DEPTH {
            return Err(ParseError::TooMuch("nested search keys"));
        }
        match self.peek() {
            Some(b'(') => self.all_of(depth, budget),
            Some(b'*' | b'0'..=b'9' | b'$') => self.message_set().map(|set| match set {
                MessageSet::Numbers(set) => SearchKey::Sequence(set),
                MessageSet::Saved => SearchKey::Saved,
            }),
            _ => {
                let name = self.atom()?.to_ascii_uppercase();
                match name.as_str() {
                    "NOT" => {
                        self.space()?;
                        Ok(SearchKey::Not(Box::new(
                            self.search_key(depth + 1, budget)?,
                        )))
                    }
                    "OR" => {
                        self.space()?;
                        let left = self.search_key(depth + 1, budget)?;
                        self.space()?;
                        let right = self.search_key(depth + 1, budget)?;
                        Ok(SearchKey::Or(Box::new(left), Box::new(right)))
                    }
                    name => self.simple_key(name),
                }
            }
        }
    }

    /// `"(" search-key *(SP search-key) ")"`
    fn all_of(&mut self, depth: usize, budget: &mut usize) -> Parsed<SearchKey> {
        self.expect(b'(', "search keys")?;
        let mut keys = vec![self.search_key(depth + 1, budget)?];
        while self.eat(b' ') {
            keys.push(self.search_key(depth + 1, budget)?);
        }
        self.expect(b')', "the end of the search keys")?;
        Ok(SearchKey::And(keys))
    }

    /// The keys that hold no other.
    fn simple_key(&mut self, name: &str) -> Parsed<SearchKey> {
        if let Some(key) = flag_key(name) {
            return Ok(key);
        }
        self.space()
            .map_err(|_| ParseError::Expected("a search key and its argument"))?;
        Ok(match name {
            "KEYWORD" => self.keyword()?,
            "UNKEYWORD" => not(self.keyword()?),
            "BEFORE" => SearchKey::Received(DateTest::Before(self.date()?)),
            "ON" => SearchKey::Received(DateTest::On(self.date()?)),
            "SINCE" => SearchKey::Received(DateTest::Since(self.date()?)),
            "OLDER" => SearchKey::Within(Age::Older(self.interval()?)),
            "YOUNGER" => SearchKey::Within(Age::Younger(self.interval()?)),
            "SENTBEFORE" => SearchKey::Sent(DateTest::Before(self.date()?)),
            "SENTON" => SearchKey::Sent(DateTest::On(self.date()?)),
            "SENTSINCE" => SearchKey::Sent(DateTest::Since(self.date()?)),
            "SAVEDBEFORE" => SearchKey::SaveDate(DateTest::Before(self.date()?)),
            "SAVEDON" => SearchKey::SaveDate(DateTest::On(self.date()?)),
            "SAVEDSINCE" => SearchKey::SaveDate(DateTest::Since(self.date()?)),
            "EMAILID" => SearchKey::EmailId(self.astring_utf8()?),
            "THREADID" => SearchKey::ThreadId(self.astring_utf8()?),
            "LARGER" => SearchKey::Larger(self.number64()?),
            "SMALLER" => SearchKey::Smaller(self.number64()?),
            "UID" => match self.message_set()? {
                MessageSet::Numbers(set) => SearchKey::Uid(set),
                MessageSet::Saved => SearchKey::Saved,
            },
            "UIDAFTER" => match self.number()?.checked_add(1) {
                Some(first) => uids_between(first, u32::MAX),
                None => not(SearchKey::All),
            },
            "UIDBEFORE" => uids_between(1, self.number()?.saturating_sub(1)),
            "MODSEQ" => self.modseq_key()?,
            "BODY" => SearchKey::Body(self.astring_utf8()?),
            "TEXT" => SearchKey::Text(self.astring_utf8()?),
            "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => SearchKey::Header {
                name: name.to_ascii_lowercase(),
                text: self.astring_utf8()?,
            },
            "HEADER" => {
                let name = self.astring_utf8()?.to_ascii_lowercase();
                self.space()?;
                SearchKey::Header {
                    name,
                    text: self.astring_utf8()?,
                }
            }
            _ => return Err(ParseError::Expected("a search key")),
        })
    }

    /// `"MODSEQ" [search-modseq-ext] SP mod-sequence-valzer`: the flag named by
    /// the extension is read and has no effect, since a store keeps one ModSeq
    /// for all of a message.
    fn modseq_key(&mut self) -> Parsed<SearchKey> {
        if self.peek() == Some(b'"') {
            self.string()?;
            self.space()?;
            let kind = self.atom()?;
            if !["priv", "shared", "all"]
                .iter()
                .any(|it| kind.eq_ignore_ascii_case(it))
            {
                return Err(ParseError::Expected("priv, shared or all"));
            }
            self.space()?;
        }
        Ok(SearchKey::ModSeq(self.number64()?))
    }

    /// `nz-number`
    fn interval(&mut self) -> Parsed<u32> {
        match self.number()? {
            0 => Err(ParseError::Expected("a number above zero")),
            seconds => Ok(seconds),
        }
    }

    fn keyword(&mut self) -> Parsed<SearchKey> {
        Keyword::new(self.atom()?)
            .map(SearchKey::Keyword)
            .ok_or(ParseError::Expected("a keyword"))
    }

    /// `date = date-text / DQUOTE date-text DQUOTE`
    fn date(&mut self) -> Parsed<Date> {
        let octets = self.astring()?;
        Date::parse_imap(&octets).ok_or(ParseError::Expected("a date such as 1-Feb-1994"))
    }
}

/// RFC 9738 section 3.2; none when the last is 0.
fn uids_between(first: u32, last: u32) -> SearchKey {
    let (first, last) = (NonZeroU32::new(first), NonZeroU32::new(last));
    let set = last.and_then(|_| SequenceSet::new(vec![SeqRange::new(first, last)]));
    set.map_or_else(|| not(SearchKey::All), SearchKey::Uid)
}

/// The keys without an argument.
fn flag_key(name: &str) -> Option<SearchKey> {
    let flag = SearchKey::Flag;
    Some(match name {
        // Every mailbox here keeps the date (RFC 8514 section 4.3).
        "ALL" | "SAVEDATESUPPORTED" => SearchKey::All,
        "ANSWERED" => flag(SystemFlag::Answered),
        "DELETED" => flag(SystemFlag::Deleted),
        "DRAFT" => flag(SystemFlag::Draft),
        "FLAGGED" => flag(SystemFlag::Flagged),
        "SEEN" => flag(SystemFlag::Seen),
        "RECENT" => SearchKey::Recent,
        "OLD" => not(SearchKey::Recent),
        "NEW" => SearchKey::And(vec![SearchKey::Recent, not(flag(SystemFlag::Seen))]),
        "UNANSWERED" => not(flag(SystemFlag::Answered)),
        "UNDELETED" => not(flag(SystemFlag::Deleted)),
        "UNDRAFT" => not(flag(SystemFlag::Draft)),
        "UNFLAGGED" => not(flag(SystemFlag::Flagged)),
        "UNSEEN" => not(flag(SystemFlag::Seen)),
        _ => return None,
    })
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Parsed<SearchProgram> {
        let mut cursor = Cursor::new(text.as_bytes());
        let program = cursor.search_program()?;
        cursor.end()?;
        Ok(program)
    }

    #[test]
    fn reads_the_examples_of_rfc_3501() {
        let program = parse("FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"").unwrap();
        assert_eq!(program.keys.len(), 3);
        assert_eq!(
            program.keys[2],
            not(SearchKey::Header {
                name: "from".into(),
                text: "Smith".into()
            })
        );
        assert!(parse("CHARSET UTF-8 TEXT {6}\r\n\u{445}\u{445}\u{445}").is_ok());
        assert!(parse("OR 1:3,* (UID 4 unseen) LARGER 5").is_ok());
        assert_eq!(parse("CHARSET KOI8-R ALL"), Err(ParseError::BadCharset));
    }

    #[test]
    fn depth_and_number_of_keys_are_bounded() {
        let deep = |levels: usize| format!("{}ALL{}", "(".repeat(levels), ")".repeat(levels));
        assert!(parse(&deep(50)).is_ok());
        assert_eq!(
            parse(&deep(52)),
            Err(ParseError::TooMuch("nested search keys"))
        );
        assert_eq!(
            parse(&"NOT ".repeat(100_000)),
            Err(ParseError::TooMuch("nested search keys"))
        );
        assert_eq!(
            parse(&vec!["ALL"; 1_001].join(" ")),
            Err(ParseError::TooMuch("search keys"))
        );
        for bad in [
            "",
            "FOO",
            "OR ALL",
            "FROM",
            "SINCE 99-Feb-2000",
            "()",
            "NOT",
            "ALL ",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
