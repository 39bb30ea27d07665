//! The editheader extension (RFC 5293).

mod support;

use support::{World, check, holds, refused};

const MESSAGE: &str = "\
Received: by mx
X-Hello: one
X-Hello: two
X-Hello: three
Subject: hi
Delivered-To: ann@example.com
Delivered-To: bob@example.com

body
";

fn edited(commands: &str) -> String {
    let script = format!("require [\"editheader\", \"fileinto\", \"variables\"];\n{commands}");
    World::new().messages(&script, MESSAGE).remove(0)
}

#[test]
fn section_4_fields_are_added_at_either_end() {
    let message = edited("addheader \"X-A\" \"a\"; addheader :last \"X-B\" \"b\";");
    assert!(message.starts_with("X-A: a\nReceived: by mx\n"));
    assert!(message.ends_with("bob@example.com\nX-B: b\n\nbody\n"));
}

#[test]
fn section_4_values_are_folded_and_encoded() {
    let message = edited("addheader \"Subject\" \"Grüße an alle\r\nBcc: x\";");
    assert!(
        message.starts_with("Subject: =?utf-8?B?R3LDvMOfZQ==?= an alle  Bcc: x\n"),
        "{message}"
    );
}

#[test]
fn section_5_fields_are_deleted_by_index_and_value() {
    let left = |commands: &str| {
        let message = edited(commands);
        let fields = message
            .lines()
            .filter_map(|line| line.strip_prefix("X-Hello: "));
        fields.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(left("deleteheader \"x-hello\";"), "");
    assert_eq!(left("deleteheader :index 2 \"X-Hello\";"), "one three");
    assert_eq!(left("deleteheader :index 1 :last \"X-Hello\";"), "one two");
    assert_eq!(left("deleteheader :contains \"X-Hello\" \"t\";"), "one");
    assert_eq!(
        left("deleteheader :index 1 :contains \"X-Hello\" \"t\";"),
        "one two three"
    );
    assert_eq!(
        left("deleteheader \"X-Hello\" [\"ONE\", \"three\"];"),
        "two"
    );
    assert_eq!(
        left("deleteheader :comparator \"i;octet\" \"X-Hello\" [\"ONE\"];"),
        "one two three"
    );
    // Section 7: the second count is over what the first left.
    assert_eq!(
        left("deleteheader :index 1 \"X-Hello\"; deleteheader :index 2 \"X-Hello\";"),
        "two"
    );
    let message = edited("deleteheader :index 1 :contains \"Delivered-To\" \"bob@example.com\";");
    assert!(message.contains("Delivered-To: bob"));
}

#[test]
fn section_6_some_fields_stay_as_they_are() {
    let message = edited(
        "deleteheader \"Received\"; addheader \"auto-submitted\" \"no\"; \
         set \"name\" \"Received\"; addheader \"${name}\" \"by me\"; deleteheader \"${name}\";",
    );
    assert_eq!(message, MESSAGE);
}

#[test]
fn section_7_tests_see_the_edits() {
    let script = "require [\"editheader\", \"fileinto\"];
        addheader \"X-Flag\" \"World\";
        if header :contains \"X-Flag\" \"World\" { fileinto \"international\"; }";
    assert!(World::new().run(script, MESSAGE)[0].starts_with("fileinto international edited"));
    let gone = "require \"editheader\"; deleteheader \"subject\";
        if exists \"subject\" { discard; }";
    assert_eq!(World::new().messages(gone, MESSAGE).len(), 1);
    assert!(
        edited("addheader \"X-Hello\" \"World\"; deleteheader :index 1 \"X-Hello\";")
            .ends_with(MESSAGE)
    );
}

#[test]
fn section_7_an_edited_copy_is_no_second_one() {
    let script = "require \"editheader\"; keep; addheader \"X-Flavor\" \"vanilla\"; keep;";
    check(script, MESSAGE, &["keep"]);
}

#[test]
fn each_action_has_the_message_as_it_was_then() {
    let script = "require [\"editheader\", \"fileinto\", \"copy\"];
        fileinto :copy \"a\"; addheader \"X-1\" \"1\"; fileinto :copy \"b\"; deleteheader \"X-1\"; ";
    let messages = World::new().messages(script, MESSAGE);
    assert_eq!(messages[0], MESSAGE);
    assert_eq!(messages[1], format!("X-1: 1\n{MESSAGE}"));
    assert_eq!(messages[2], MESSAGE);
}

#[test]
fn match_variables_are_left_alone() {
    let script = "require [\"editheader\", \"fileinto\", \"variables\"];
        if header :matches \"subject\" \"h*\" { deleteheader :matches \"X-Hello\" \"*\"; fileinto \"${1}\"; }";
    assert!(World::new().run(script, MESSAGE)[0].starts_with("fileinto i edited"));
}

#[test]
fn names_that_are_none_are_refused() {
    assert!(refused("require \"editheader\"; addheader \"X Y\" \"a\";").contains("no name"));
    assert!(refused("require \"editheader\"; deleteheader \"Süß\";").contains("no name"));
    assert!(refused("require \"editheader\"; deleteheader :last \"A\";").contains(":index"));
    let script =
        "require [\"editheader\", \"variables\"]; set \"n\" \"a:b\"; addheader \"${n}\" \"x\";";
    assert!(World::new().run(script, MESSAGE)[0].contains("no name"));
}

#[test]
fn edits_are_limited_in_number() {
    let many = format!(
        "require \"editheader\"; {}",
        "addheader \"X\" \"y\";".repeat(65)
    );
    assert!(World::new().run(&many, MESSAGE)[0].contains("more than 64 times"));
}

#[test]
fn a_message_without_a_body_or_a_header_can_be_edited() {
    let script = "require \"editheader\"; addheader :last \"X\" \"y\";";
    assert_eq!(World::new().messages(script, ""), ["X: y\n"]);
    assert_eq!(World::new().messages(script, "\nbody"), ["X: y\n\nbody"]);
    assert!(holds(&["editheader"], "size :under 10", "\nbody"));
}
