use super::*;
use proptest::prelude::*;

fn text(html: &str) -> String {
    HtmlReader::read(html, 100).text
}

#[test]
fn text_is_what_people_see() {
    for (html, want) in [
        ("<p>One <b>bo</b>ld\n  word</p><p>Two", "One bold word\nTwo"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<td>1</td><td>2</td>", "1\n2\n"),
        ("V<!-- x -->IA<b></b>G<font size=1></font>RA", "VIAGRA"),
        ("<style>p{}</style><script>if (a</b) x</script>y", "y"),
        ("1 < 2 && 3 &gt; 2 &#x41;", "1 < 2 && 3 > 2 A"),
        ("<!DOCTYPE html><?xml?>x<!-->y", "xy"),
        ("x<!-- never ends <p>y", "x"),
        ("x <a href=never-ends", "x"),
        ("a<title>T &amp; U</title>b", "a\nb"),
        ("<a title=\"x>y\">z</a>", "z"),
    ] {
        assert_eq!(text(html), want, "{html}");
    }
    assert_eq!(
        HtmlReader::read("<title> T &amp; U</title>", 1).title,
        "T & U"
    );
}

#[test]
fn text_that_is_not_shown_is_kept_apart() {
    for (html, seen, hidden) in [
        ("a<div style='display:none'>b<p>c</div>d", "a\nd", "bc"),
        ("a<font color=#ffffff>b</font>c", "ac", "b"),
        (
            "<td bgcolor=black><font color=white>b</font></td>",
            "b\n",
            "",
        ),
        ("<body bgcolor='#ffffff' text='#fffffe'>b", "", "b"),
        ("<span style='font-size:0'>b</span>c", "c", "b"),
        ("<p hidden>b</p>c", "c", "b"),
        ("<p hidden><img></p>c", "c", ""),
    ] {
        let html_read = HtmlReader::read(html, 100);
        assert_eq!(
            (html_read.text.as_str(), html_read.hidden.as_str()),
            (seen, hidden),
            "{html}"
        );
    }
}

#[test]
fn whatever_leads_elsewhere_is_a_link() {
    let html = HtmlReader::read(
        "<base href='http://base.test/'><a HREF=\"http://a.test/?x&amp;y\">Click <b>here</b></a> no\
         <img src=//i.test/1.gif><body background=http://bg.test>\
         <form action='http://f.test/post'><input type=password>\
         <meta http-equiv=refresh content='0; URL=http://r.test/'>\
         <div style=\"background:url('http://s.test/x.png')\"><iframe src=http://fr.test></iframe>\
         <style>@import url(http://css.test/a.css);</style><img src=data:image/png;base64,AA>\
         <a href=#top>up</a><link rel=stylesheet href=http://l.test>",
        100,
    );
    let links: Vec<_> = html
        .links
        .iter()
        .map(|it| (it.kind, it.target.as_str()))
        .collect();
    assert_eq!(
        links,
        [
            (LinkKind::Anchor, "http://a.test/?x&y"),
            (LinkKind::Image, "//i.test/1.gif"),
            (LinkKind::Image, "http://bg.test"),
            (LinkKind::Form, "http://f.test/post"),
            (LinkKind::Refresh, "http://r.test/"),
            (LinkKind::Image, "http://s.test/x.png"),
            (LinkKind::Frame, "http://fr.test"),
            (LinkKind::Image, "http://css.test/a.css"),
            (LinkKind::Resource, "http://l.test"),
        ]
    );
    assert_eq!(html.links[0].label, "Click here");
    assert_eq!(html.base.as_deref(), Some("http://base.test/"));
    let counts = html.counts;
    assert_eq!((counts.forms, counts.passwords, counts.frames), (1, 1, 1));
}

#[test]
fn links_are_kept_up_to_the_limit() {
    let html = HtmlReader::read(&"<a href=http://a.test>x</a>".repeat(50), 10);
    assert_eq!((html.links.len(), html.links_left), (10, 40));
}

/// What would take quadratic time, were anything looked at twice.
#[test]
fn a_million_octets_of_anything_end() {
    for piece in [
        "<a ",
        "<",
        "</",
        "<!--",
        "<a b=\"",
        "<a b='x>",
        "&#",
        "<script>",
        "</a>",
        "<a>",
        "<b><i>",
        "<style>(url(",
        "<a href=x>y",
        "&amp",
        "</script ",
        "<textarea></",
        "<p style=\"a:(\">",
    ] {
        let html = piece.repeat((1 << 20) / piece.len());
        let read = HtmlReader::read(&html, 100);
        assert!(read.text.len() + read.hidden.len() <= html.len(), "{piece}");
    }
}

proptest! {
    #[test]
    fn turns_of_any_length_read_the_same(
        pieces in proptest::collection::vec(prop_oneof![
            proptest::sample::select(vec![
                "<p>", "</p>", "<a href='http://x.test'>", "</a>", "<!--", "-->", "&amp;", "<td",
                " style='display:none'", ">", "<style>", "</style>", "\u{e9}", "word ", "\n", "\"",
            ]).prop_map(str::to_owned),
            "[ -~]{0,8}",
        ], 0..40),
        turn in 1usize..20,
    ) {
        let html = pieces.concat();
        let whole = HtmlReader::read(&html, 100);
        let mut reader = HtmlReader::new(&html, 100);
        while reader.turn(turn) == Turn::More {}
        prop_assert_eq!(reader.finish(), whole.clone());
        prop_assert!(whole.text.len() + whole.hidden.len() <= html.len() + 1);
    }
}
