//! The body extension (RFC 5173).

mod support;

use support::{holds, refused};

/// The example of section 5.2.
const NESTED: &str = "\
From: Whomever
Subject: whatever
Content-Type: multipart/mixed; boundary=outer

& This is a multi-part message in MIME format.
&
--outer
Content-Type: multipart/alternative; boundary=inner

& This is a nested multi-part message in MIME format.
&
--inner
Content-Type: text/plain; charset=\"us-ascii\"

$ Hello
$
--inner
Content-Type: text/html; charset=\"us-ascii\"

% <html><body>Hello</body></html>
%
--inner--
&
& This is the end of the inner MIME multipart.
&
--outer
Content-Type: message/rfc822

! From: Someone Else
Subject: !hello request

$ Please say Hello
$
--outer--
&
& This is the end of the outer MIME multipart.
";

fn body(arguments: &str) -> bool {
    let required = ["body", "relational", "comparator-i;ascii-numeric"];
    holds(&required, &format!("body {arguments}"), NESTED)
}

#[test]
fn section_5_2_the_type_tells_what_is_searched() {
    let only = |types: &str, marks: &str| {
        for mark in ["&", "$", "%", "!"] {
            let found = body(&format!(":content {types} :contains \"{mark}\""));
            assert_eq!(found, marks.contains(mark), "{types} {mark}");
        }
    };
    only("\"multipart\"", "&");
    only("\"text/plain\"", "$");
    only("\"text/html\"", "%");
    only("\"text\"", "$%");
    only("\"message/rfc822\"", "!");
    only("\"\"", "&$%!");
    only("[\"text/html\", \"MESSAGE\"]", "%!");
    for none in ["text/", "/plain", "text/plain/x", "image", "/"] {
        only(&format!("\"{none}\""), "");
    }
    assert!(body(":content \"multipart\" :contains \"MIME\""));
    assert!(body(
        ":content \"multipart\" :contains \"end of the inner\""
    ));
    assert!(!body(":content \"multipart\" :contains \"--inner\""));
    // Parts are matched one by one.
    assert!(!body(":content \"text\" :matches \"*Hello*<html>*\""));
    assert!(body(":content \"image\" :count \"eq\" \"0\""));
    assert!(body(":content \"text\" :count \"eq\" \"3\""));
}

#[test]
fn section_5_1_raw_is_all_that_follows_the_header() {
    assert!(body(":raw :contains \"--outer\""));
    assert!(body(":raw :contains \"Content-Type: text/html\""));
    assert!(!body(":raw :contains \"Whomever\""));
}

#[test]
fn text_is_decoded() {
    let message = "Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe
";
    let test = |arguments: &str| holds(&["body"], &format!("body {arguments}"), message);
    assert!(test(":contains \"Grüße\""));
    assert!(test(":text :contains \"grüße\""));
    assert!(test(":raw :contains \"=FC\"") && !test(":text :contains \"=FC\""));
    let base64 =
        "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n4oKs!!!\n";
    assert!(holds(&["body"], "body :contains \"€\"", base64));
}

#[test]
fn section_5_3_text_is_what_people_read() {
    let html = "Content-Type: text/html\n\n<p>Make <b>mon</b>ey &amp; run</p>\n";
    assert!(holds(
        &["body"],
        "body :text :contains \"make money & run\"",
        html
    ));
    assert!(!holds(&["body"], "body :text :contains \"<b>\"", html));
    assert!(holds(
        &["body"],
        "body :content \"text\" :contains \"<b>mon</b>\"",
        html
    ));
}

#[test]
fn a_header_alone_has_no_body() {
    assert!(!holds(&["body"], "body :contains \"\"", "Subject: x\n"));
    assert!(holds(&["body"], "body :contains \"\"", "Subject: x\n\n"));
}

#[test]
fn section_6_match_variables_stay() {
    let required = ["body", "variables"];
    let test = "allof (header :matches \"subject\" \"w*\", body :matches \"*\", not body :matches \"x*\", \
                header \"subject\" \"w${1}\")";
    assert!(holds(&required, test, NESTED));
}

#[test]
fn one_transform_at_a_time() {
    let error = refused("require \"body\"; if body :raw :text \"x\" { keep; }");
    assert!(error.contains("together"), "{error}");
}
