use super::*;
use crate::content::HtmlReader;
use proptest::prelude::*;

fn all(urls: &Urls) -> Vec<String> {
    urls.iter().map(ToString::to_string).collect()
}

fn html(text: &str) -> Urls {
    Urls::of_html(&HtmlReader::read(text, 1000))
}

#[test]
fn text_is_searched_as_mail_programs_do() {
    for (text, want) in [
        (
            "see http://a.example.com/x?y=1.",
            vec!["http://a.example.com/x?y=1"],
        ),
        ("<HTTP://A.example.com>", vec!["http://a.example.com/"]),
        (
            "(https://en.example.org/wiki/A_(b))",
            vec!["https://en.example.org/wiki/A_(b)"],
        ),
        (
            "go to www.example.com, now",
            vec!["http://www.example.com/"],
        ),
        (
            "example.com/x or example.net",
            vec!["http://example.com/x", "http://example.net/"],
        ),
        (
            "write to Bob.B@example.com.",
            vec!["mailto:Bob.B@example.com"],
        ),
        (
            "mailto:a@example.com?subject=x",
            vec!["mailto:a@example.com"],
        ),
        (
            "the end.It was, e.g. version 1.2.3, readme.md, main.rs, a.b",
            vec![],
        ),
        ("main.rs/path", vec!["http://main.rs/path"]),
        (
            "no://host.test foo:bar @ . .. x.invalidtld 10.0.0.1",
            vec![],
        ),
        ("http://10.0.0.1:8000/a", vec!["http://10.0.0.1:8000/a"]),
        ("xhttp://a.example.com", vec!["http://a.example.com/"]),
        (
            "пример.рф и example\u{3002}com",
            vec!["http://xn--e1afmkfd.xn--p1ai/", "http://example.com/"],
        ),
        ("«http://a.example.com»", vec!["http://a.example.com/"]),
        (
            "http://a.example.com http://a.example.com",
            vec!["http://a.example.com/"],
        ),
    ] {
        assert_eq!(all(&Urls::of_text(text)), want, "{text}");
    }
}

#[test]
fn redirectors_are_followed() {
    for (text, want) in [
        (
            "https://www.google.com/url?q=http://evil.example/x&sa=D",
            "http://evil.example/x",
        ),
        (
            "http://r.example.com/?to=https%3A%2F%2Fevil.example%2Fx",
            "https://evil.example/x",
        ),
        (
            "http://r.example.com/?to=https%253A%252F%252Fevil.example%252F",
            "https://evil.example/",
        ),
        (
            "https://www.google.com/amp/s/evil.example/x",
            "https://evil.example/x",
        ),
        (
            "https://urldefense.proofpoint.com/v2/url?u=http-3A__evil.example_x&d=D",
            "http://evil.example/x",
        ),
        (
            "https://urldefense.com/v3/__https://evil.example/x__;!!a$",
            "https://evil.example/x__",
        ),
        (
            "http://r.example.com/aHR0cDovL2V2aWwuZXhhbXBsZS94",
            "http://evil.example/x",
        ),
        (
            "http://web.example.org/web/2020/http:/evil.example/x",
            "http://evil.example/x",
        ),
    ] {
        let urls = Urls::of_text(text);
        assert_eq!(all(&urls).last().unwrap(), want, "{text}");
        assert!(urls.iter().next().unwrap().tricks.has(Trick::Carries));
    }
    let deep = "http://a.example.com/?".repeat(50) + "http://z.example.com";
    assert!(Urls::of_text(&deep).looked_at() < 200);
}

#[test]
fn links_are_where_a_browser_would_go() {
    for (target, want) in [
        (" ht\ntp://exa\tmple.com ", "http://example.com/"),
        ("//example.com/x", "http://example.com/x"),
        ("\\\\example.com\\x", "http://example.com\\x"),
        ("http:example.com", "http://example.com/"),
        ("https:////example.com/", "https://example.com/"),
        ("http://a:b@example.com:81/", "http://example.com:81/"),
        ("http://example.com?x", "http://example.com?x"),
    ] {
        assert_eq!(
            all(&html(&format!("<a href='{target}'>x</a>"))),
            [want],
            "{target}"
        );
    }
    for target in [
        "javascript:alert(1)",
        "cid:x@y.test",
        "path/only",
        "tel:+49",
        "http://",
        "",
    ] {
        assert_eq!(
            all(&html(&format!("<a href='{target}'>x</a>"))).len(),
            0,
            "{target}"
        );
    }
    let based = html("<base href='https://b.example.com/a/'><a href='x/y'>1</a><img src='/z'>");
    assert_eq!(
        all(&based),
        ["https://b.example.com/x/y", "https://b.example.com/z"]
    );
}

#[test]
fn links_whose_text_names_another_place_are_noticed() {
    for (label, target, want) in [
        ("www.bank.example.com", "http://evil.example.net/", true),
        (
            "https://bank.com/login",
            "http://bank.com.evil.example.net/",
            true,
        ),
        ("www.bank.com", "https://click.bank.com/?x", false),
        ("Click here", "http://evil.example.net/", false),
        ("192.0.2.1", "http://evil.example.net/", false),
        ("http://192.0.2.1/", "http://192.0.2.2/", true),
        ("a@bank.com", "http://evil.example.net/", false),
        (
            "as bank.com says, all is well",
            "http://evil.example.net/",
            false,
        ),
    ] {
        let urls = html(&format!("<a href='{target}'>{label}</a>"));
        let found = urls.iter().any(|it| it.tricks.has(Trick::Mismatch));
        assert_eq!(found, want, "{label} {target}");
    }
}

#[test]
fn hosts_that_people_go_to_come_first() {
    let urls =
        html("<img src=http://i.example.com><a href=http://a.example.org>x</a> www.b.example.net");
    let hosts: Vec<_> = urls.hosts().iter().map(ToString::to_string).collect();
    assert_eq!(
        hosts,
        ["a.example.org", "www.b.example.net", "i.example.com"]
    );
    assert_eq!(
        urls.organizations(),
        ["example.org", "example.net", "example.com"]
    );
}

#[test]
fn urls_by_the_thousand_are_bounded() {
    let text: String = (0..50_000)
        .map(|it| format!("http://h{it}.example.com/ "))
        .collect();
    let urls = Urls::of_text(&text);
    assert_eq!(
        (urls.len(), urls.looked_at(), urls.is_cut()),
        (1000, 10_000, true)
    );
}

/// What would take quadratic time, were anything looked at twice.
#[test]
fn a_million_octets_of_anything_end() {
    for piece in [
        "http://",
        "http:/http",
        "a.b.",
        ")",
        "http://a.com)",
        "@",
        "a@b.com@",
        ":",
        "%68ttp:",
        "www.",
        "xn--",
        "http://a.example/?u=http%3A%2F%2F",
        "\u{3002}",
        "aHR0c",
        "(((.com",
        "0x1.",
    ] {
        let text = piece.repeat((1 << 20) / piece.len());
        assert!(Urls::of_text(&text).len() <= 1000, "{piece}");
    }
}

proptest! {
    #[test]
    fn turns_of_any_length_find_the_same(
        words in proptest::collection::vec("(http://)?[a-z.]{1,12}(/[a-z%?=&:.]{0,8})?|[ -~é。]{0,9}", 0..30),
        turn in 1usize..50,
    ) {
        let text = words.join(" ");
        let mut urls = Urls::default();
        let mut reader = TextUrls::new(&text);
        while urls.take_text(&mut reader, turn) == Turn::More {}
        prop_assert_eq!(all(&urls), all(&Urls::of_text(&text)));
    }

    #[test]
    fn what_is_shown_is_read_again_as_the_same(text in "(https?|HTTP):[/\\\\]{0,3}[a-zA-Z0-9@:.%\u{e9}-]{1,20}(/[ -~]{0,10})?") {
        if let Some(url) = Url::parse(&text) {
            let again = Url::parse(&url.to_string()).unwrap();
            prop_assert_eq!((again.host, again.port, again.path), (url.host, url.port, url.path));
        }
    }
}
