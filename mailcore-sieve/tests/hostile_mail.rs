//! Messages that are meant to hurt: whatever they hold, a run ends within its limits.

mod support;

use proptest::prelude::*;
use support::World;

/// Looks at everything there is.
const ALL: &str = "require [\"body\", \"mime\", \"foreverypart\", \"extracttext\", \"variables\", \"date\",
    \"index\", \"editheader\", \"fileinto\", \"replace\", \"enclose\", \"relational\", \"copy\"];
if header :matches [\"subject\", \"x\", \"\"] \"*?*a*\" { set \"a\" \"${1}\"; }
if address :all :contains [\"from\", \"to\", \"x\"] \"@\" { set \"b\" \"1\"; }
if date :index 2 :last :originalzone \"received\" \"year\" \"2026\" { set \"c\" \"1\"; }
if body :raw :matches \"*a*b*\" { set \"d\" \"1\"; }
if body :text :contains \"secret\" { set \"e\" \"1\"; }
if body :content [\"\", \"multipart\", \"message\"] :contains \"--\" { set \"f\" \"1\"; }
if header :mime :anychild :param [\"name\", \"charset\"] :matches [\"content-type\", \"x\"] \"*?\" { set \"g\" \"1\"; }
if exists :mime :anychild [\"content-id\", \"x\"] { set \"h\" \"1\"; }
deleteheader :contains \"x\" \"z\";
addheader :last \"X-New\" \"${a}\";
foreverypart {
    if header :mime :type \"content-type\" \"text\" { extracttext :first 10 \"t\"; }
    if header :mime :subtype \"content-type\" \"png\" { replace \"${t}\"; }
}
fileinto :copy \"x\";
enclose :headers \"X\" \"there\";
";

/// Runs it: it ends, or fails for a limit and nothing else.
#[track_caller]
fn survives(message: &str) {
    let lines = World::new().run(ALL, message);
    let limited = |line: &String| {
        ["steps", "octets", "times", "too large"]
            .iter()
            .any(|word| line.contains(word))
    };
    let sound = match lines.as_slice() {
        [_, _] => true,
        [one] => limited(one),
        _ => false,
    };
    let shown: Vec<String> = lines
        .iter()
        .map(|line| line.chars().take(200).collect())
        .collect();
    assert!(sound, "{shown:?}");
}

#[test]
fn a_hundred_thousand_fields() {
    survives(&format!(
        "{}\nbody",
        "X: a z, \"b\" <c@d>\n".repeat(100_000)
    ));
    survives(&format!("{}\nbody", "a\n".repeat(300_000)));
    survives(&format!("{}\nbody", "X:\n".repeat(300_000)));
}

#[test]
fn ten_thousand_parts() {
    let part = "--b\nContent-Type: image/png; name=x\n\nabc\n";
    survives(&format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        part.repeat(10_500)
    ));
}

#[test]
fn a_megabyte_of_one_line() {
    let long = "=?utf-8?q?a@b,".repeat(80_000);
    survives(&format!(
        "Subject: {long}\nTo: {long}\nReceived: {long}\n\n{long}"
    ));
    survives(&format!(
        "Content-Type: text/plain; {}\n\nx",
        "name*1*=a;(".repeat(100_000)
    ));
    survives(&format!(
        "To: {}\nReceived: {}\n\n",
        "(".repeat(500_000),
        "<".repeat(500_000)
    ));
    survives(&"a".repeat(1 << 20));
}

#[test]
fn messages_within_messages() {
    survives(&"Content-Type: message/rfc822\n\n".repeat(20_000));
    let levels = (0..5_000)
        .map(|level| format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n"));
    survives(&levels.collect::<String>());
    survives(&"Content-Type: multipart/mixed; boundary=b\n\n--b\n".repeat(20_000));
}

#[test]
fn broken_encodings() {
    for encoding in ["base64", "quoted-printable"] {
        for body in [
            "====",
            "=3",
            "!!!!\0\0",
            "YQ=YQ=YQ",
            "=\n=\n=",
            "\u{ff}\u{fe}",
        ] {
            let body = body.repeat(50_000);
            survives(&format!(
                "Content-Type: text/html; charset=x\nContent-Transfer-Encoding: {encoding}\n\n{body}"
            ));
        }
    }
}

proptest! {
    #[test]
    fn any_message_is_survived(lines in proptest::collection::vec(prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=b".to_owned()),
        Just("Content-Type: message/rfc822".to_owned()),
        Just("Content-Type: image/png".to_owned()),
        Just("X: z".to_owned()),
        Just("--b".to_owned()),
        Just("--b--".to_owned()),
        Just(String::new()),
        Just(String::new()),
        r"\PC{0,30}",
    ], 0..24)) {
        survives(&lines.join("\n"));
    }
}
