use proptest::prelude::*;

use super::*;

fn keys(match_type: MatchType, comparator: Comparator, key: &str) -> Keys {
    Keys::new(match_type, comparator, [key]).unwrap()
}

fn meter() -> Meter {
    Meter::new(1_000_000)
}

fn test(match_type: MatchType, comparator: Comparator, key: &str, value: &str) -> bool {
    let keys = keys(match_type, comparator, key);
    keys.test(value.as_bytes(), None, &mut meter()).unwrap()
}

/// The captures of a key that matches.
fn captures(match_type: MatchType, key: &str, value: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let keys = keys(match_type, Comparator::Octet, key);
    let matched = keys.test(value.as_bytes(), Some(&mut found), &mut meter());
    matched.unwrap().then_some(found)
}

#[test]
fn captures_are_the_shortest_from_left_to_right() {
    let glob = |key, value| captures(MatchType::Matches, key, value).unwrap();
    assert_eq!(
        glob("*<*@*", "News <a.b@example.org>"),
        ["News <a.b@example.org>", "News ", "a.b", "example.org>"]
    );
    assert_eq!(glob("?*b*", "abbb"), ["abbb", "a", "", "bb"]);
    assert_eq!(glob("*a?c*", "aabcaac"), ["aabcaac", "a", "b", "aac"]);
    assert_eq!(glob("", ""), [""]);
    assert_eq!(glob("?", "ä"), ["ä", "ä"]);
    assert_eq!(captures(MatchType::Matches, "*a", "b"), None);
}

#[test]
fn a_backslash_makes_a_wildcard_a_character() {
    let octet = |key, value| test(MatchType::Matches, Comparator::Octet, key, value);
    assert!(octet(r"a\*b", "a*b") && !octet(r"a\*b", "axb"));
    assert!(octet(r"\?\\", r"?\") && !octet(r"\?\\", r"x\"));
    assert!(octet(r"a\", r"a\") && octet(r"\a", "a"));
}

#[test]
fn an_asterisk_of_another_width_is_no_wildcard() {
    assert!(!test(
        MatchType::Matches,
        Comparator::UnicodeCasemap,
        "a＊",
        "abc"
    ));
    assert!(test(
        MatchType::Matches,
        Comparator::UnicodeCasemap,
        "Ä*",
        "äbc"
    ));
}

#[test]
fn captures_of_folded_text_are_of_the_text_itself() {
    let keys = keys(MatchType::Matches, Comparator::UnicodeCasemap, "*Ä?ß*");
    let mut found = Vec::new();
    let value = "ﬁäöße";
    assert!(
        keys.test(value.as_bytes(), Some(&mut found), &mut meter())
            .unwrap()
    );
    assert_eq!(found, [value, "ﬁ", "ö", "e"]);
}

#[test]
fn a_comparator_of_numbers_finds_no_text_in_text() {
    for match_type in [MatchType::Contains, MatchType::Matches, MatchType::Regex] {
        let error = Keys::new(match_type, Comparator::AsciiNumeric, ["1"]).unwrap_err();
        assert_eq!(error, KeyError::NoSubstrings(Comparator::AsciiNumeric));
    }
}

#[test]
fn relations_hold_by_the_comparator() {
    let value = |relation, key| {
        let match_type = MatchType::Value(Relation::parse(relation).unwrap());
        test(match_type, Comparator::AsciiNumeric, key, "10")
    };
    assert!(value("gt", "9") && value("ge", "10") && value("eq", "010"));
    assert!(value("lt", "11") && value("le", "11") && value("ne", "9"));
    let count = keys(
        MatchType::Count(Relation::Greater),
        Comparator::AsciiNumeric,
        "9",
    );
    assert!(count.test_count(10, &mut meter()).unwrap());
    assert!(!count.test_count(9, &mut meter()).unwrap());
}

#[test]
fn a_pattern_of_many_question_marks_costs_steps_and_no_more() {
    let key = format!("*{}b*", "a?".repeat(5_000));
    let keys = keys(MatchType::Matches, Comparator::Octet, &key);
    let value = vec![b'a'; 1 << 20];
    assert_eq!(keys.test(&value, None, &mut meter()), Err(OutOfSteps));
}

#[test]
fn many_stars_take_linear_time() {
    let keys = keys(
        MatchType::Matches,
        Comparator::AsciiCasemap,
        &"*a".repeat(1_000),
    );
    let value = [b"A".repeat(100_000), b"b".to_vec()].concat();
    let mut meter = meter();
    assert!(!keys.test(&value, None, &mut meter).unwrap());
    assert!(meter.left() > 990_000);
}

/// RFC 5228 section 2.7.1 by trying everything; the first match found from the
/// shortest captures on.
fn naive(pattern: &[char], value: &[char], spans: &mut Vec<String>) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return value.is_empty();
    };
    let depth = spans.len();
    match first {
        '*' => (0..=value.len()).any(|length| {
            spans.truncate(depth);
            spans.push(value[..length].iter().collect());
            naive(rest, &value[length..], spans)
        }),
        '?' => value.split_first().is_some_and(|(one, after)| {
            spans.push(one.to_string());
            naive(rest, after, spans)
        }),
        '\\' if !rest.is_empty() => {
            value.first() == rest.first() && naive(&rest[1..], &value[1..], spans)
        }
        _ => value.first() == Some(first) && naive(rest, &value[1..], spans),
    }
}

proptest! {
    #[test]
    fn globs_match_as_trying_everything_does(key in r"[ab*?é\\]{0,8}", value in r"[abé\\*]{0,10}") {
        let pattern: Vec<char> = key.chars().collect();
        let characters: Vec<char> = value.chars().collect();
        let mut spans = vec![value.clone()];
        let expected = naive(&pattern, &characters, &mut spans).then_some(spans);
        prop_assert_eq!(captures(MatchType::Matches, &key, &value), expected);
    }

    #[test]
    fn folding_changes_no_match_of_folded_text(key in "[aAb*?]{0,6}", value in "[aAbB]{0,8}") {
        for comparator in [Comparator::AsciiCasemap, Comparator::UnicodeCasemap] {
            let upper = (key.to_uppercase(), value.to_uppercase());
            prop_assert_eq!(
                test(MatchType::Matches, comparator, &key, &value),
                test(MatchType::Matches, Comparator::Octet, &upper.0, &upper.1)
            );
            let plain = key.replace(['*', '?'], "");
            prop_assert_eq!(
                test(MatchType::Contains, comparator, &plain, &value),
                upper.1.contains(&plain.to_uppercase())
            );
        }
    }

    #[test]
    fn any_octets_are_matched_within_the_steps(key in r"\PC{0,20}", value: Vec<u8>) {
        for comparator in Comparator::ALL {
            for match_type in [MatchType::Is, MatchType::Contains, MatchType::Matches, MatchType::Regex] {
                if let Ok(keys) = Keys::new(match_type, comparator, [key.as_str()]) {
                    let mut found = Vec::new();
                    prop_assert!(keys.test(&value, Some(&mut found), &mut meter()).is_ok());
                }
            }
        }
    }
}

#[cfg(feature = "regex")]
mod regex {
    use super::*;

    fn finds(key: &str, value: &str) -> bool {
        test(MatchType::Regex, Comparator::Octet, key, value)
    }

    fn error(key: &str) -> (usize, String) {
        match Keys::new(MatchType::Regex, Comparator::Octet, [key]) {
            Err(KeyError::Regex { character, words }) => (character, words),
            other => panic!("{key}: {other:?}"),
        }
    }

    #[test]
    fn expressions_are_those_of_posix() {
        assert!(finds("^a.c$", "a\nc") && !finds("^a.c$", "xabc"));
        assert!(finds("(foo|bar){2}", "xfoobar") && !finds("^(foo|bar){2}$", "foo"));
        assert!(finds(r"[\]", r"\") && finds("[]a]", "]") && finds("[^]a]", "b"));
        assert!(finds("[[:digit:]]+-[a-f]", "12-c") && finds("[a-]", "-"));
        assert!(finds("[[.-.]x]", "-") && finds("[a&&b]", "&") && finds("[a~~b]", "~"));
        assert!(finds("^a+?$", "") && finds("^a{1,2}*$", "aaaaa"));
        assert!(finds(r"\(x\)\.", "(x).") && finds(r"\<word\>", "a word."));
        assert!(!finds("ABC", "abc"));
        assert!(test(
            MatchType::Regex,
            Comparator::AsciiCasemap,
            "ABC",
            "xabcx"
        ));
        assert!(finds("a|", ""));
    }

    #[test]
    fn groups_are_captured() {
        let found = captures(
            MatchType::Regex,
            "([a-z]+)@(x)?([a-z]+)",
            "to ann@example now",
        );
        assert_eq!(found.unwrap(), ["ann@example", "ann", "", "example"]);
    }

    #[test]
    fn what_cannot_be_matched_is_an_error_with_its_place() {
        assert_eq!(error(r"(a)\1").0, 5);
        assert_eq!(error("ab)").0, 3);
        assert_eq!(error("*a").0, 1);
        assert_eq!(error("a{3,2}").0, 6);
        assert!(error("a{300}").1.contains("255"));
        assert!(error("[[:nonsense:]]").1.contains("nonsense"));
        assert!(error("[b-a]").1.contains("range"));
        assert!(error("(a").1.contains("open"));
        assert!(error(r"\d").1.contains("[[:digit:]]"));
        assert!(error("(((a{255}){255}){255}){255}").1.contains("too large"));
        assert!(error(&"(".repeat(100)).1.contains("groups within groups"));
        assert!(error("a\\").1.contains("backslash"));
    }

    #[test]
    fn an_expression_that_backtracks_elsewhere_is_linear_here() {
        let keys = keys(MatchType::Regex, Comparator::Octet, "^(a|a)*(a|aa)+b$");
        assert!(!keys.test(&[b'a'; 100_000], None, &mut meter()).unwrap());
    }

    #[test]
    fn repetitions_cost_what_they_stand_for() {
        let cost = |key: &str| {
            let keys = keys(MatchType::Regex, Comparator::Octet, key);
            let mut meter = meter();
            keys.test(&[b'a'; 64_000], None, &mut meter).unwrap();
            1_000_000 - meter.left()
        };
        assert!(cost("a.{200}b") > 49_000 && cost("(a.){10,100}b") > 49_000);
        assert!(cost("[a-z]+b?c*") < 2_000);
        assert!(cost("((aa){5}b){6}") > 15_000);
    }

    #[test]
    fn long_expressions_on_long_values_cost_steps() {
        let key = "(x+x+)+y".repeat(100);
        let keys = keys(MatchType::Regex, Comparator::Octet, &key);
        assert_eq!(
            keys.test(&vec![b'x'; 2 << 20], None, &mut meter()),
            Err(OutOfSteps)
        );
    }

    proptest! {
        #[test]
        fn any_expression_is_translated_or_refused(key in r"[\[\](){}|*+?^$.\\:a0-9,=-]{0,16}") {
            let mut meter = meter();
            if let Ok(keys) = Keys::new(MatchType::Regex, Comparator::Octet, [key.as_str()]) {
                prop_assert!(keys.test(b"a[]0", None, &mut meter).is_ok());
            }
        }
    }
}
