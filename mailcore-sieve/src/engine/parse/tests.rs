//! Grammar, places of errors, and that what is printed reads the same.

use proptest::prelude::*;

use super::{parse, parse_with_comments};
use crate::engine::Limits;

fn error(text: &str) -> String {
    parse(text.as_bytes(), &Limits::default())
        .expect_err("the script is wrong")
        .to_string()
}

#[test]
fn errors_have_a_line_and_a_column() {
    assert_eq!(
        error("keep;\r\nif true {\r\n  keep\r\n}\r\n"),
        "line 4, column 1: found `}` instead of a `;` or a block after `keep`"
    );
    assert!(error("keep; }").starts_with("line 1, column 7: "));
    assert!(error("redirect \"a").starts_with("line 1, column 10: this string never ends"));
    assert!(error("/* ä").starts_with("line 1, column 1: this comment never ends"));
    assert!(error("ä").starts_with("line 1, column 1: "));
    assert!(error("keep 1kb;").starts_with("line 1, column 8: "));
    assert!(error("keep 99999999999999999999;").contains("too large"));
    assert!(error("if true { keep;").starts_with("line 1, column 9: this block never ends"));
    assert!(error("x text:\r\nfoo").contains("never ends"));
}

#[test]
fn octets_that_are_no_text_are_told_with_their_place() {
    let error = parse(b"keep;\n# \xc3\xa4 \xff", &Limits::default()).expect_err("not UTF-8");
    assert_eq!((error.at.line, error.at.column), (2, 5));
}

#[test]
fn limits_hold_while_reading() {
    let limits = Limits::default();
    let large = vec![b' '; limits.script_size + 1];
    assert!(parse(&large, &limits).is_err());
    let deep = format!("if {} true {{ keep; }}", "not ".repeat(100_000));
    assert!(parse(deep.as_bytes(), &limits).is_err());
    let blocks = "if true {".repeat(50_000);
    assert!(parse(blocks.as_bytes(), &limits).is_err());
    let many = "keep;".repeat(limits.elements + 1);
    assert!(parse(many.as_bytes(), &limits).is_err());
}

#[test]
fn text_over_lines_loses_its_stuffing_alone() {
    let script = parse(b"x text: # words\n..one\n.two\n.\n;", &Limits::default()).expect("right");
    assert_eq!(
        format!("{:?}", script.commands[0].arguments[0].value),
        r#"Text(".one\r\n.two\r\n")"#
    );
}

#[test]
fn comments_are_kept_where_asked_for() {
    let text = "# one\r\n\r\n# two\r\nif true {\r\n    /* three */\r\n    keep;\r\n}\r\n";
    let script = parse_with_comments(text.as_bytes(), &Limits::default()).expect("right");
    let printed = script.to_string();
    assert_eq!(printed, text.replace("/* three */", "# three"));
}

fn script() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "\"[ -!#-\\[\\]-~äß]{0,12}\"",
        "\"(\\\\\"|\\\\\\\\|\r\n|a){0,6}\"",
        "text:\r\n(\\.?\\.?[a-z\"]{1,5}\r\n){0,4}\\.\\.x\r\n\\.\r\n",
    ];
    let argument = prop_oneof![
        text.clone(),
        proptest::collection::vec(text, 1..3).prop_map(|list| format!("[{}]", list.join(", "))),
        "[0-9]{1,9}[KMGkmg]?",
        ":[a-z_][a-z0-9_]{0,6}",
    ];
    let arguments = proptest::collection::vec(argument, 0..4).prop_map(|list| list.join(" "));
    let test = ("t[a-z]{0,5}x", arguments.clone())
        .prop_map(|(name, arguments)| format!("{name} {arguments}"))
        .prop_recursive(3, 8, 3, |inner| {
            proptest::collection::vec(inner, 1..3)
                .prop_map(|tests| format!("anyof ({})", tests.join(",")))
        });
    ("c[a-z]{0,5}x", arguments, proptest::option::of(test))
        .prop_map(|(name, arguments, test)| {
            format!("{name} {arguments} {}", test.unwrap_or_default())
        })
        .prop_map(|head| format!("{head};\r\n"))
        .prop_recursive(3, 16, 4, |inner| {
            proptest::collection::vec(inner, 0..4)
                .prop_map(|list| format!("if true {{ # words\r\n{} }}\r\n", list.concat()))
        })
}

/// The tree without places, which printing changes.
fn shape(text: &str) -> String {
    let script = parse(text.as_bytes(), &Limits::default()).expect("right");
    let mut shape = String::new();
    for (index, part) in format!("{script:?}").split("Position {").enumerate() {
        let part = if index == 0 {
            part
        } else {
            part.split_once('}').map_or("", |(_, rest)| rest)
        };
        shape.push_str(part);
    }
    shape
}

#[test]
fn a_list_of_one_test_is_printed_as_a_list() {
    let script = parse(b"if anyof (true) { keep; }", &Limits::default()).expect("it is right");
    assert!(script.to_string().starts_with("if anyof (\r\n    true)"));
}

#[test]
fn no_text_that_is_printed_ends_before_its_end() {
    use crate::engine::ast::Value;
    let mut script = parse(b"reject \"x\";", &Limits::default()).expect("right");
    let text = "a\n\r.\nredirect \"eve@example.org\";\n\0.\n";
    script.commands[0].arguments[0].value = Value::Text(text.into());
    let again = parse(script.to_string().as_bytes(), &Limits::default()).expect("right");
    assert_eq!(again.commands.len(), 1);
}

proptest! {
    #[test]
    fn what_is_printed_reads_the_same(text in script()) {
        let script = parse_with_comments(text.as_bytes(), &Limits::default())
            .map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        prop_assert_eq!(shape(&text), shape(&script.to_string()));
    }

    #[test]
    fn any_octets_are_a_script_or_an_error(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&text, &Limits::default());
    }

    #[test]
    fn a_changed_script_is_a_script_or_an_error(text in script(), cuts in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let mut text = text.into_bytes();
        for (place, octet) in cuts {
            let place = place % text.len();
            text[place] = octet;
        }
        let _ = parse(&text, &Limits::default());
        let _ = parse_with_comments(&text, &Limits::default());
    }
}
