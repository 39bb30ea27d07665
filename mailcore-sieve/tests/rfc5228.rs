//! The examples of RFC 5228, and what its sections promise.

mod support;

use mailcore_sieve::engine::Compiler;

use support::{World, check, holds, refused};

/// Message A of RFC 5228 section 1.? with the fields that its examples use.
const MESSAGE: &str = "\
From: coyote@desert.example.org
To: roadrunner@acme.example.com
Subject: I have a present for you
Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)
X-Caffeine: C8H10N4O2

Look, I'm sorry about the whole anvil thing, and I really
didn't mean to try and drop it on you from the top of the
cliff.  I want to try to make it up to you.  I've got some
great birdseed over here at my place--top of the line
stuff--and if you come by, I'll have it all wrapped up
for you.  I'm really sorry for all the problems I've caused
for you over the years, but I know we can work this out.
--
Wile E. Coyote   \"Super Genius\"   coyote@desert.example.org
";

/// Message B.
const SPAM: &str = "\
From: youcouldberich!@reply-by-postal-mail.invalid
Sender: b1ff@de.res.example.com
To: rube@landru.example.com
Date: Mon, 31 Mar 1997 18:26:10 -0800
Subject: $$$ YOU, TOO, CAN BE A MILLIONAIRE! $$$

YOU MAY HAVE ALREADY WON TEN MILLION DOLLARS, BUT I DOUBT
IT!  SO JUST POST THIS TO SIX HUNDRED NEWSGROUPS!  IT WILL
GUARANTEE THAT YOU GET AT LEAST FIVE RESPONSES WITH MONEY!
MONEY! MONEY! COLD HARD CASH!  YOU WILL RECEIVE OVER
$20,000 IN LESS THAN TWO MONTHS!  AND IT'S LEGAL!!!!!!!!!
!!!!!!!!!!!!!!!!!!111111111!!!!!!!11111111111!!1  JUST
SEND $5 IN SMALL, UNMARKED BILLS TO THE ADDRESSES BELOW!
";

#[test]
fn section_3_1_the_first_true_branch_is_taken() {
    let script = r#"require "fileinto";
        if header :contains "from" "coyote" { discard; }
        elsif header :contains ["subject"] ["$$$"] { discard; }
        else { fileinto "INBOX"; }"#;
    check(script, MESSAGE, &["discard"]);
    check(script, SPAM, &["discard"]);
    check(script, "Subject: neither\n\n", &["fileinto INBOX"]);
    let script = r#"if header :contains ["From"] ["coyote"] { redirect "acm@example.com"; }
        elsif header :contains "Subject" "$$$" { redirect "postmaster@example.com"; }
        else { redirect "field@example.com"; }"#;
    check(script, MESSAGE, &["redirect acm@example.com"]);
    check(script, SPAM, &["redirect postmaster@example.com"]);
    check(
        script,
        "Subject: neither\n\n",
        &["redirect field@example.com"],
    );
}

#[test]
fn section_3_2_require_comes_first_and_knows_its_extensions() {
    assert_eq!(
        refused("keep;\nrequire \"fileinto\";"),
        "line 2, column 1: `require` stands before all other commands: move it to the beginning"
    );
    assert_eq!(
        refused("require [\"fileinto\", \"filinto\"];"),
        "line 1, column 9: there is no extension \"filinto\" here; did you mean `fileinto`?"
    );
    assert_eq!(
        refused("fileinto \"x\";"),
        "line 1, column 1: `fileinto` needs `require \"fileinto\";` at the script's beginning"
    );
}

#[test]
fn section_3_3_stop_ends_the_script_and_leaves_the_implicit_keep() {
    check("stop; discard;", MESSAGE, &["keep"]);
    check("discard; stop; keep;", MESSAGE, &["discard"]);
}

#[test]
fn section_4_actions_cancel_the_implicit_keep() {
    check("", MESSAGE, &["keep"]);
    check("keep;", MESSAGE, &["keep"]);
    check("discard;", MESSAGE, &["discard"]);
    check("discard; keep;", MESSAGE, &["discard", "keep"]);
    check(
        "redirect \"Bart <bart@example.com>\";",
        MESSAGE,
        &["redirect bart@example.com"],
    );
    check(
        r#"require "fileinto"; if header :contains ["from"] "coyote" { fileinto "INBOX.harassment"; }"#,
        MESSAGE,
        &["fileinto INBOX.harassment"],
    );
}

#[test]
fn section_2_10_3_the_same_is_filed_and_sent_once() {
    check(
        r#"require "fileinto"; fileinto "a"; fileinto "a"; keep; fileinto "inbox"; redirect "a@b.example"; redirect "a@b.example";"#,
        MESSAGE,
        &["fileinto a", "keep", "redirect a@b.example"],
    );
}

#[test]
fn section_5_tests_say_what_the_message_is() {
    for (expected, test) in [
        (true, r#"address :is :all "from" "tim@example.com""#),
        (true, r#"address :localpart "from" "TIM""#),
        (true, r#"address :domain :is ["from", "to"] "example.com""#),
        (
            false,
            r#"address :domain :comparator "i;octet" "from" "EXAMPLE.COM""#,
        ),
        (true, r#"allof (true, not false, exists ["From", "Date"])"#),
        (false, r#"allof (true, false)"#),
        (true, r#"anyof (false, true)"#),
        (false, r#"anyof (false, false)"#),
        (
            true,
            r#"not anyof (not exists ["From","Date"], header :contains "from" "fool@example.com")"#,
        ),
        (false, r#"exists ["From", "X-Missing"]"#),
        (true, r#"header :is ["Subject"] "hello there""#),
        (false, r#"header :is "subject:" "hello there""#),
        (true, r#"header :is "X-Caffeine" """#),
        (false, r#"header :is "X-Nothing" """#),
        (true, r#"header :contains "X-Caffeine" """#),
        (false, r#"header :contains "X-Nothing" """#),
        (true, r#"header :matches "subject" "h?llo*""#),
        (false, r#"header :matches "subject" "h?llo""#),
        (true, r#"header :matches "x-star" "a\\*b""#),
        (true, r#"size :over 10"#),
        (false, r#"size :over 1M"#),
        (true, r#"size :under 1K"#),
    ] {
        let message = "From: Tim <tim@example.com>\nTo: you@example.com\nSubject: hello\n there\n\
            Date : now\nX-Caffeine: \nX-Star: a*b\n\nbody\n";
        assert_eq!(holds(&[], test, message), expected, "{test}");
    }
}

#[test]
fn section_5_4_the_envelope_is_tested() {
    let message = "From: x@y.example\n\n";
    assert!(holds(
        &["envelope"],
        r#"envelope :all :is "from" "from@example.org""#,
        message
    ));
    assert!(holds(
        &["envelope"],
        r#"envelope :localpart "to" "user+detail""#,
        message
    ));
    let mut world = World::new();
    world.environment.envelope.from = Some(String::new());
    let script = r#"require "envelope"; if envelope :domain "from" "" { discard; }"#;
    assert_eq!(world.run(script, message), ["discard"]);
    assert!(
        refused("require \"envelope\"; if envelope \"form\" \"x\" { keep; }")
            .contains("no part \"form\"")
    );
}

/// Scripts, and what is said of them.
const ERRORS: &[(&str, &str)] = &[
    (
        "keeep;",
        "line 1, column 1: there is no command `keeep`; did you mean `keep`?",
    ),
    (
        "if header :containz \"a\" \"b\" { keep; }",
        "line 1, column 11: `header` takes no tag `:containz`; did you mean `:contains`?",
    ),
    (
        "if heder \"a\" \"b\" { keep; }",
        "line 1, column 4: there is no test `heder`; did you mean `header`?",
    ),
    (
        "true;",
        "line 1, column 1: `true` is a test and can't stand where a command is wanted",
    ),
    (
        "if keep { }",
        "line 1, column 4: `keep` is a command and can't stand where a test is wanted",
    ),
    (
        "else { keep; }",
        "line 1, column 1: `else` follows the block of an `if` or `elsif` alone",
    ),
    (
        "keep \"x\";",
        "line 1, column 6: `keep` takes no more arguments: remove this one",
    ),
    (
        "redirect \"nobody\";",
        "line 1, column 10: \"nobody\" is no address: write one as user@example.org",
    ),
    (
        "if header :is :contains \"a\" \"b\" { keep; }",
        "line 1, column 15: `:is` and `:contains` can't go together: choose one",
    ),
    (
        "if header :is :is \"a\" \"b\" { keep; }",
        "line 1, column 15: `:is` is given twice: write it once",
    ),
    (
        "if header \"a\" :is \"b\" { keep; }",
        "line 1, column 15: tags of `header` stand before its other arguments: move this one",
    ),
    (
        "if size 3 { keep; }",
        "line 1, column 4: `size` needs one of `:over` and `:under`, as in `size :over 1M`",
    ),
    (
        "redirect :copy \"a@b.example\";",
        "line 1, column 10: `:copy` needs `require \"copy\";` at the script's beginning",
    ),
    (
        "if not { keep; }",
        "line 1, column 4: `not` needs one test after it, and nothing else",
    ),
    (
        "keep { }",
        "line 1, column 1: `keep` takes no block: end it with `;`",
    ),
    (
        "if true;",
        "line 1, column 1: `if` needs a block: write `{ ... }` instead of `;`",
    ),
    (
        "if address \"subject\" \"x\" { keep; }",
        "line 1, column 12: the field \"subject\" holds no addresses: use the test `header`",
    ),
    (
        "if header :comparator \"i;foo\" \"a\" \"b\" { keep; }",
        "line 1, column 23: there is no such comparator: \"i;ascii-casemap\" and \"i;octet\" are always there",
    ),
];

#[test]
fn errors_name_the_place_and_the_remedy() {
    for (script, expected) in ERRORS {
        assert_eq!(refused(script), *expected, "{script}");
    }
}

#[test]
fn section_9_the_extended_example_runs() {
    let script = r#"
        # Example Sieve Filter
        # Declare any optional features or extension used by the script
        require ["fileinto"];
        # Handle messages from known mailing lists
        if header :is "Sender" "owner-ietf-mta-filters@imc.org"
                {
                fileinto "filter";  # move to "filter" mailbox
                }
        # Keep all messages to or from people in my company
        elsif address :DOMAIN :is ["From", "To"] "example.com"
                {
                keep;               # keep in "In" mailbox
                }
        # Try and catch unsolicited email.  If a message is not to me,
        # or it contains a subject known to be spam, file it away.
        elsif anyof (NOT address :all :contains
                       ["To", "Cc", "Bcc"] "me@example.com",
                     header :matches "subject"
                       ["*make*money*fast*", "*university*dipl*mas*"])
                {
                fileinto "spam";   # move to "spam" mailbox
                }
        else
                {
                # Move all other (non-company) mail to "personal" mailbox.
                fileinto "personal";
                }
        "#;
    check(
        script,
        "Sender: owner-ietf-mta-filters@imc.org\n\n",
        &["fileinto filter"],
    );
    check(script, "From: a@example.com\n\n", &["keep"]);
    check(script, "To: b@example.org\n\n", &["fileinto spam"]);
    check(script, SPAM, &["fileinto spam"]);
}

#[test]
fn a_run_has_limits() {
    let mut world = World::new();
    world.limits.actions = 2;
    world.limits.redirects = 1;
    assert_eq!(
        world.run(
            "redirect \"a@b.example\";\nredirect \"c@b.example\";",
            MESSAGE
        ),
        ["error: test: line 2: the script has more than 1 redirects for one message"]
    );
    world.limits.steps = 8;
    assert_eq!(
        world.run(
            "if header :contains \"subject\" \"x\" {}\nif header :contains \"from\" \"x\" {}",
            MESSAGE
        ),
        [
            "error: test: line 2: the script takes more steps than are allowed: look at less text, or use fewer tests"
        ]
    );
}

#[test]
fn what_is_never_run_is_warned_of() {
    let program = Compiler::new()
        .compile("test", b"if true {\n  stop;\n  keep;\n}\nstop;\n")
        .expect("right");
    let warnings: Vec<String> = program.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["line 3, column 3: nothing after `stop` is run: remove it"]
    );
}
