//! MIME tests, loops and changes of parts (RFC 5703).

mod support;

use support::{World, check, holds, refused};

const MESSAGE: &str = "\
From: boss@example.org
To: user@example.com
Subject: report
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=\"outer\"

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe to all
--inner
Content-Type: text/html

<p>Hello</p>
--inner--

--outer
Content-Type: application/exe; name*0=\"ru\"; name*1=\"n.com\"
Content-Disposition: Attachment; filename*=utf-8''r%C3%BCn.com
Content-From: tim@example.com

MZ
--outer
Content-Type: message/rfc822

From: else@example.org
Subject: inner
Content-Type: text/plain

nested text
--outer--
";

const ALL: &str = "require [\"mime\", \"foreverypart\", \"extracttext\", \"replace\", \"enclose\", \
\"variables\", \"fileinto\", \"copy\", \"editheader\", \"relational\", \"comparator-i;ascii-numeric\"];\n";

fn mime(test: &str) -> bool {
    let required = ["mime", "relational", "comparator-i;ascii-numeric"];
    holds(&required, test, MESSAGE)
}

#[test]
fn section_4_1_what_content_type_says() {
    assert!(mime("header :mime :type \"Content-Type\" \"multipart\""));
    assert!(mime("header :mime :subtype \"Content-Type\" \"mixed\""));
    assert!(mime(
        "header :mime :contenttype \"Content-Type\" \"multipart/mixed\""
    ));
    assert!(mime(
        "header :mime :param \"boundary\" \"Content-Type\" \"outer\""
    ));
    assert!(!mime(
        "header :mime :contenttype \"Content-Type\" \"text/html\""
    ));
    assert!(mime(
        "header :mime :anychild :contenttype \"Content-Type\" \"text/html\""
    ));
    assert!(mime(
        "header :mime :anychild :param \"name\" :matches \"Content-Type\" \"*.com\""
    ));
    assert!(mime(
        "header :mime :anychild :param \"FILENAME\" \"Content-Disposition\" \"rün.com\""
    ));
    assert!(mime(
        "header :mime :anychild :type \"Content-Disposition\" \"attachment\""
    ));
    assert!(mime(
        "header :mime :anychild :subtype \"Content-Disposition\" \"\""
    ));
    assert!(mime("header :mime :type \"Subject\" \"\""));
    assert!(mime(
        "header :mime :anychild :type :count \"eq\" \"Content-Type\" \"7\""
    ));
    assert!(mime(
        "header :mime :anychild :param \"name\" :count \"eq\" \"Content-Type\" \"1\""
    ));
    assert!(mime("header :mime :anychild \"Subject\" \"inner\""));
    assert!(!mime("header :mime \"Subject\" \"inner\""));
}

#[test]
fn sections_4_2_and_4_3_addresses_and_existence() {
    assert!(mime(
        "address :mime :anychild :all \"content-from\" \"tim@example.com\""
    ));
    assert!(!mime(
        "address :mime :all \"content-from\" \"tim@example.com\""
    ));
    assert!(mime("exists :mime :anychild \"content-from\""));
    assert!(!mime("exists \"content-from\"") && !mime("exists :mime \"content-from\""));
}

#[test]
fn tags_without_mime_are_refused() {
    let error = |test: &str| refused(&format!("require \"mime\"; if {test} {{ keep; }}"));
    assert!(error("header :anychild \"a\" \"b\"").contains("`:anychild` goes with `:mime`"));
    assert!(error("header :type \"a\" \"b\"").contains("`:type` goes with `:mime`"));
    assert!(error("header :mime :type :subtype \"a\" \"b\"").contains("together"));
    assert!(error("exists :mime :type \"a\"").contains(":type"));
    assert!(refused("if header :mime \"a\" \"b\" { keep; }").contains("require \"mime\""));
}

/// What loops add to a variable; `;` stands between the additions.
fn walked(block: &str) -> String {
    let script = format!("{ALL}set \"w\" \"\"; {block} fileinto \"=${{w}}\";");
    let line = World::new().run(&script, MESSAGE).remove(0);
    line.strip_prefix("fileinto =").unwrap_or(&line).to_owned()
}

const ADD: &str =
    "if header :mime :contenttype :matches \"Content-Type\" \"*/*\" { set \"w\" \"${w}${2} \"; }";

#[test]
fn section_3_parts_come_in_the_messages_order() {
    assert_eq!(
        walked(&format!("foreverypart {{ {ADD} }}")),
        "mixed alternative plain html exe rfc822 plain "
    );
    let single = World::new().run(
        &format!(
            "{ALL}set \"n\" \"\"; foreverypart {{ set \"n\" \"${{n}}x\"; }} fileinto \"${{n}}\";"
        ),
        "Subject: a\n\nbody\n",
    );
    assert_eq!(single, ["fileinto x"]);
}

#[test]
fn section_3_an_inner_loop_is_over_the_parts_within() {
    let walk = format!(
        "foreverypart {{ if header :mime :subtype \"Content-Type\" [\"alternative\", \"exe\", \"rfc822\"] \
         {{ set \"w\" \"${{w}}[\"; foreverypart {{ {ADD} }} set \"w\" \"${{w}}]\"; }} }}"
    );
    assert_eq!(walked(&walk), "[plain html ][][plain ]");
}

#[test]
fn section_3_break_leaves_the_loop_it_names() {
    let html = "if header :mime :subtype \"Content-Type\" \"html\"";
    assert_eq!(
        walked(&format!("foreverypart {{ {ADD} {html} {{ break; }} }}")),
        "mixed alternative plain html "
    );
    let named = format!(
        "foreverypart :name \"a\" {{ foreverypart :name \"b\" {{ {ADD} {html} {{ break :name \"a\"; }} }} }}"
    );
    assert_eq!(walked(&named), "alternative plain html ");
    let inner = format!("foreverypart {{ foreverypart {{ {ADD} break; }} }}");
    assert_eq!(walked(&inner), "alternative plain plain ");
}

#[test]
fn loops_that_can_not_be_are_refused() {
    let error = |script: &str| refused(&format!("{ALL}{script}"));
    assert!(error("break;").contains("foreverypart"));
    assert!(error("foreverypart :name \"a\" { break :name \"b\"; }").contains("\"b\""));
    assert!(error("foreverypart;").contains("block"));
    assert!(error("foreverypart true { keep; }").contains("no test"));
    let deep = format!("{}keep;{}", "foreverypart {".repeat(5), "}".repeat(5));
    assert!(error(&deep).contains("loops within loops"));
    assert!(refused("foreverypart { keep; }").contains("require \"foreverypart\""));
}

#[test]
fn section_7_text_is_extracted() {
    let text = |arguments: &str| {
        walked(&format!(
            "foreverypart {{ if header :mime :subtype \"Content-Type\" \"plain\" \
             {{ extracttext {arguments} \"w\"; break; }} }}"
        ))
    };
    assert_eq!(text(""), "Grüße to all");
    assert_eq!(text(":first 4"), "Grüß");
    assert_eq!(text(":upper :first 2"), "GR");
    assert_eq!(text(":first 0"), "");
    let none =
        "foreverypart { if header :mime :subtype \"Content-Type\" \"exe\" { extracttext \"w\"; } }";
    assert_eq!(walked(none), "");
    assert!(refused("require \"extracttext\"; extracttext \"a\";").contains("variables"));
}

#[test]
fn section_9_3_subject_and_text_of_the_boss() {
    let script = format!(
        "{ALL}if header :contains \"from\" \"boss@example.org\" {{
            if header :matches \"Subject\" \"*\" {{ set \"subject\" \"${{1}}\"; }}
            foreverypart {{
                if header :mime :type :is \"Content-Type\" \"text\" {{ extracttext :first 100 \"msg\"; break; }}
            }}
            fileinto \"${{subject}}/${{msg}}\";
        }}"
    );
    check(&script, MESSAGE, &["fileinto report/Grüße to all"]);
}

#[test]
fn section_9_1_executables_are_replaced() {
    let script = format!(
        "{ALL}foreverypart {{
            if anyof (header :mime :contenttype :is \"Content-Type\" \"application/exe\",
                      header :mime :param \"filename\" :matches [\"Content-Type\", \"Content-Disposition\"] \"*.com\")
            {{ replace \"Executable attachment removed by user filter\"; }}
        }}"
    );
    let message = &World::new().messages(&script, MESSAGE)[0];
    let old = MESSAGE.find("Content-Type: application/exe").unwrap();
    let after = MESSAGE.find("MZ").unwrap() + 2;
    let expected = format!(
        "{}Content-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7bit\n\n\
         Executable attachment removed by user filter{}",
        &MESSAGE[..old],
        &MESSAGE[after..]
    );
    assert_eq!(*message, expected);
}

#[test]
fn section_5_a_replaced_multipart_has_no_parts_left() {
    let walk = format!(
        "foreverypart {{ {ADD} if header :mime :subtype \"Content-Type\" \"alternative\" {{ replace \"gone\"; }} }} \
         set \"w\" \"${{w}}| \"; foreverypart {{ {ADD} }}"
    );
    let seen = walked(&walk);
    let seen = seen.split(" written").next().unwrap();
    assert_eq!(
        seen,
        "mixed alternative exe rfc822 plain | mixed plain exe rfc822 plain "
    );
}

#[test]
fn section_5_a_whole_message_keeps_its_other_fields() {
    let script =
        format!("{ALL}replace :subject \"Grüße\" :from \"me@example.com\" \"short\\nétude\";");
    let message = &World::new().messages(&script, MESSAGE)[0];
    assert_eq!(
        *message,
        "Original-From: boss@example.org\nTo: user@example.com\nOriginal-Subject: report\n\
         From: me@example.com\nSubject: =?utf-8?B?R3LDvMOfZQ==?=\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n\
         shortn=C3=A9tude"
    );
    let kept = format!("{ALL}replace :subject \"x\" \"y\"; deleteheader \"Original-Subject\";");
    assert!(World::new().messages(&kept, MESSAGE)[0].contains("Original-Subject: report\n"));
}

#[test]
fn section_5_an_entity_replaces_with_its_header() {
    let script = format!(
        "{ALL}replace :mime text:\nContent-Type: text/html\nX-Other: no\n\n<b>x</b>\n.\n;\n\
         if header :mime :subtype \"Content-Type\" \"html\" {{ keep; }} else {{ discard; }}"
    );
    let message = &World::new().messages(&script, MESSAGE)[0];
    assert!(
        message
            .ends_with("Subject: report\nMIME-Version: 1.0\nContent-Type: text/html\n\n<b>x</b>\n"),
        "{message}"
    );
    assert!(refused(&format!("{ALL}replace :mime :subject \"a\" \"b\";")).contains(":subject"));
    assert!(refused(&format!("{ALL}replace :from \"nobody\" \"b\";")).contains("address"));
}

#[test]
fn no_replacement_divides_the_parts_around_it() {
    let replace = |what: &str| {
        format!(
            "{ALL}foreverypart {{ if header :mime :subtype \"Content-Type\" \"html\" {{ replace {what}; }} }}"
        )
    };
    let message = &World::new().messages(&replace("text:\n--outer\nx\n.\n"), MESSAGE)[0];
    assert!(message.contains("\n=2D-outer\nx\n"), "{message}");
    let error = World::new().run(&replace(":mime text:\n\n--outer--\n.\n"), MESSAGE);
    assert!(error[0].contains("divides the parts"), "{error:?}");
}

#[test]
fn section_6_the_message_is_enclosed() {
    let script =
        format!("{ALL}enclose :subject \"Warning\" :headers [\"To\"] text:\nWARNING!\n.\n;");
    let message = &World::new().messages(&script, MESSAGE)[0];
    let expected = format!(
        "To: user@example.com\nFrom: user@example.com\nDate: Sun, 22 Nov 2026 12:00:00 +0000\n\
         Subject: Warning\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_sieve_0\"\n\
         Content-Transfer-Encoding: 7bit\n\n--=_sieve_0\n\
         Content-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7bit\n\nWARNING!\n\n\
         --=_sieve_0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\
         Content-Disposition: attachment\n\n{MESSAGE}\n--=_sieve_0--\n"
    );
    assert_eq!(*message, expected);
}

#[test]
fn section_6_later_tests_see_the_new_message_and_redirect_sends_the_old_one() {
    let script = format!(
        "{ALL}addheader \"X-A\" \"1\"; enclose \"see\"; enclose \"see again\"; addheader \"X-B\" \"2\";
         if allof (header \"subject\" \"report\", exists \"x-b\", not exists \"x-a\",
                   header :mime :anychild :subtype :count \"eq\" \"content-type\" \"13\")
         {{ redirect :copy \"a@example.net\"; fileinto \"b\"; }}"
    );
    let messages = World::new().messages(&script, MESSAGE);
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0], format!("X-A: 1\n{MESSAGE}"));
    assert!(
        messages[1].starts_with("X-B: 2\nSubject: report\nFrom: user@example.com\n"),
        "{}",
        messages[1]
    );
    assert!(
        messages[1].contains("boundary=\"=_sieve_1\"")
            && messages[1].contains("boundary=\"=_sieve_0\"")
    );
}

#[test]
fn section_9_2_a_loop_goes_on_in_the_enclosed_message() {
    let walk = format!(
        "foreverypart {{ {ADD} if header :mime :subtype \"Content-Type\" \"plain\" {{ enclose \"x\"; }} }}"
    );
    let seen = walked(&walk);
    let seen = seen.split(" written").next().unwrap();
    assert_eq!(seen, "mixed alternative plain html exe rfc822 plain ");
}

#[test]
fn what_is_held_is_limited() {
    let mut world = World::new();
    world.limits.memory = 2_000;
    let script = format!("{ALL}enclose \"x\"; enclose \"y\";");
    assert!(world.run(&script, MESSAGE)[0].contains("2000 octets"));
    world.limits.steps = 2_000;
    world.limits.memory = 1 << 20;
    let many = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        "--b\n\n".repeat(10_000)
    );
    let script = format!("{ALL}foreverypart {{ foreverypart {{ if true {{}} }} }}");
    assert!(world.run(&script, &many)[0].contains("more steps than are allowed"));
}
