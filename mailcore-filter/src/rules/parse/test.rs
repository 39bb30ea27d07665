//! Single tests: where to look and what for.
//!
//! ```text
//! test      = source predicate / quantity comparison number / "found" test result
//! source    = ("header" / "raw-header") name / "subject" / "headers" / "address" name part
//!           / "text" / "hidden" / "title" / "raw" / "url" part / "part" part
//!           / "helo" / "client" part / "sender" part / "recipient" part
//! predicate = "~" pattern / "has" [number "of"] phrases / "is" phrases / "under" phrases
//!           / "exists" / "missing" / ("count" / "length" / "capitals") comparison number
//!           / "differs" "from" source
//! quantity  = "size" / "date" ("ahead" / "behind") / "html" number-of
//! ```

use super::super::error::{Position, RuleProblem};
use super::super::lexer::TokenKind;
use super::super::syntax::{
    AddressPart, Comparison, Expression, Form, Operator, PageNumber, PartFact, Pattern, Quantity,
    Source, TextTest, UrlPart,
};
use super::{File, Parser, Problem, unknown};

const TESTS: &str = "header, raw-header, headers, subject, address, text, hidden, title, raw, url, \
    part, helo, client, sender, recipient, size, date, html, found, not, any, at, a rule's NAME";

impl Parser<'_> {
    pub(super) fn test(
        &self,
        file: &mut File<'_>,
        at: Position,
        word: &str,
    ) -> Result<Expression, Problem> {
        match word {
            "found" => {
                let test = file.word("the name of a test, such as spf")?;
                let result = file.word("a result, such as fail")?;
                Ok(Expression::Found(test, result))
            }
            "size" => Ok(Expression::Number(Quantity::Size, file.comparison()?)),
            "date" => {
                let quantity = choose(
                    file,
                    &[
                        ("ahead", Quantity::DateAhead),
                        ("behind", Quantity::DateBehind),
                    ],
                )?;
                Ok(Expression::Number(quantity, file.comparison()?))
            }
            "html" => {
                let number = choose(file, PAGE_NUMBERS)?;
                Ok(Expression::Number(
                    Quantity::Page(number),
                    file.comparison()?,
                ))
            }
            _ => {
                let source = source(file, at, word)?;
                let test = self.predicate(file)?;
                Ok(Expression::Text(source, test))
            }
        }
    }

    fn predicate(&self, file: &mut File<'_>) -> Result<TextTest, Problem> {
        if file.take_sign("~") {
            return pattern(file).map(TextTest::Matches);
        }
        let at = file.at();
        let word = file.word(PREDICATES)?;
        Ok(match word.as_str() {
            "has" => {
                let least = match file.peek() {
                    Some(TokenKind::Number(_)) => {
                        let least = file.count()?;
                        file.keyword("of")?;
                        least
                    }
                    _ => 1,
                };
                TextTest::Has(least, self.strings(file)?)
            }
            "is" => TextTest::Is(self.strings(file)?.into_iter().collect()),
            "under" => TextTest::Under(self.strings(file)?.into_iter().collect()),
            "exists" => TextTest::Exists,
            "missing" => TextTest::Missing,
            "count" => TextTest::Count(file.comparison()?),
            "length" => TextTest::Length(file.comparison()?),
            "capitals" => TextTest::Capitals(file.comparison()?),
            "differs" => {
                file.keyword("from")?;
                let at = file.at();
                let word = file.word("where to look")?;
                TextTest::Differs(source(file, at, &word)?)
            }
            word => return Err((at, unknown(word, PREDICATES))),
        })
    }
}

const PREDICATES: &str =
    "~, has, is, under, exists, missing, count, length, capitals, differs from";

const PAGE_NUMBERS: &[(&str, PageNumber)] = &[
    ("ratio", PageNumber::Ratio),
    ("tags", PageNumber::Tags),
    ("images", PageNumber::Images),
    ("links", PageNumber::Links),
    ("forms", PageNumber::Forms),
    ("passwords", PageNumber::Passwords),
    ("scripts", PageNumber::Scripts),
    ("frames", PageNumber::Frames),
    ("comments", PageNumber::Comments),
];

const ADDRESS_PARTS: &[(&str, AddressPart)] = &[
    ("address", AddressPart::Address),
    ("local", AddressPart::Local),
    ("domain", AddressPart::Domain),
    ("organization", AddressPart::Organization),
    ("name", AddressPart::Name),
];

const URL_PARTS: &[(&str, UrlPart)] = &[
    ("text", UrlPart::Text),
    ("host", UrlPart::Host),
    ("organization", UrlPart::Organization),
    ("tld", UrlPart::TopLevel),
    ("path", UrlPart::Path),
    ("address", UrlPart::Address),
    ("trick", UrlPart::Trick),
];

const PART_FACTS: &[(&str, PartFact)] = &[
    ("type", PartFact::Type),
    ("name", PartFact::Name),
    ("extension", PartFact::Extension),
    ("charset", PartFact::Charset),
    ("encoding", PartFact::Encoding),
];

fn source(file: &mut File<'_>, at: Position, word: &str) -> Result<Source, Problem> {
    let name = |file: &mut File<'_>| {
        let name = file.word("the name of a header field")?;
        Ok(name.to_ascii_lowercase())
    };
    Ok(match word {
        "header" => Source::Header(name(file)?, Form::Decoded),
        "raw-header" => Source::Header(name(file)?, Form::Raw),
        "subject" => Source::Header("subject".to_owned(), Form::Decoded),
        "headers" => Source::HeaderNames,
        "address" => Source::Address(name(file)?, choose(file, ADDRESS_PARTS)?),
        "text" => Source::Text,
        "hidden" => Source::Hidden,
        "title" => Source::Title,
        "raw" => Source::Raw,
        "url" => Source::Url(choose(file, URL_PARTS)?),
        "part" => Source::Part(choose(file, PART_FACTS)?),
        "helo" => Source::Helo,
        "client" => choose(
            file,
            &[
                ("name", Source::ClientName),
                ("address", Source::ClientAddress),
            ],
        )?,
        "sender" => Source::Sender(choose(file, ADDRESS_PARTS)?),
        "recipient" => Source::Recipient(choose(file, ADDRESS_PARTS)?),
        _ => return Err((at, unknown(word, TESTS))),
    })
}

/// The meaning of the next word.
fn choose<T: Clone>(file: &mut File<'_>, known: &[(&str, T)]) -> Result<T, Problem> {
    let names = || {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    };
    let at = file.at();
    let word = match file.peek() {
        Some(TokenKind::Word(word)) => word.clone(),
        _ => return Err((at, file.expected(&format!("one of {}", names())))),
    };
    file.next += 1;
    let found = known.iter().find(|(name, _)| *name == word);
    let (_, meaning) = found.ok_or_else(|| (at, unknown(&word, &names())))?;
    Ok(meaning.clone())
}

fn pattern(file: &mut File<'_>) -> Result<Pattern, Problem> {
    let at = file.at();
    let Some(TokenKind::Pattern { pattern, flags }) = file.peek().cloned() else {
        return Err((at, file.expected("a pattern between slashes")));
    };
    file.next += 1;
    if let Some(flag) = flags.chars().find(|it| *it != 'i') {
        return Err((at, unknown(&flag.to_string(), "i, which ignores case")));
    }
    let pattern = Pattern {
        pattern,
        ignore_case: flags.contains('i'),
    };
    match pattern.compile() {
        Ok(_) => Ok(pattern),
        Err(reason) => Err((at, RuleProblem::Pattern(reason))),
    }
}

impl File<'_> {
    fn comparison(&mut self) -> Result<Comparison, Problem> {
        let operator = match self.peek() {
            Some(TokenKind::Sign("<")) => Operator::Less,
            Some(TokenKind::Sign("<=")) => Operator::AtMost,
            Some(TokenKind::Sign("=")) => Operator::Equal,
            Some(TokenKind::Sign(">=")) => Operator::AtLeast,
            Some(TokenKind::Sign(">")) => Operator::More,
            _ => return Err((self.at(), self.expected("<, <=, =, >= or >"))),
        };
        self.next += 1;
        match self.number_if_any() {
            Some(value) => Ok(Comparison { operator, value }),
            None => Err((self.at(), self.expected("a number"))),
        }
    }
}
