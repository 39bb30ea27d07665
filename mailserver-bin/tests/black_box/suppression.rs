//! The suppression list by command, with and without a running server.

use crate::support::Home;

const MESSAGE: &str = "Subject: x\r\n\r\nx";

#[test]
fn nothing_is_sent_to_those_on_the_suppression_list() {
    let home = Home::new();
    let server = home.start();
    let list = || home.ok(&["suppress", "list"]);
    home.ok(&["domain", "add", "far.test", "--relay", "127.0.0.1:9"]);
    let mail = |to: &str| server.dial("smtp").mail("a@b.test", to, MESSAGE);
    let add = ["suppress", "add", "Bob@far.test", "--reason", "left in May"];
    home.ok(&add);
    let words = "550 5.7.1 bob@far.test is on the suppression list of this server: left in May";
    assert!(mail("bob@far.test").starts_with(words));
    assert!(mail("ann@far.test").starts_with("250"));
    assert!(list().contains("bob@far.test  since 20"), "{}", list());
    assert!(list().contains("left in May"), "{}", list());
    home.ok(&["suppress", "remove", "bob@FAR.test"]);
    assert_eq!(list(), "");
    assert!(mail("bob@far.test").starts_with("250"));
    let again = home.run(&["suppress", "remove", "bob@far.test"]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("not on the suppression list"));

    for (option, time) in [
        ("--until", "2001-01-01"),
        ("--until", "soon"),
        ("--for", "0s"),
    ] {
        let wrong = home.run(&["suppress", "add", "@far.test", option, time]);
        assert_eq!(wrong.code, 2, "{wrong:?}");
    }
    home.ok(&["suppress", "add", "@far.test", "--for", "1s"]);
    server.stop();
}

#[test]
fn a_list_goes_out_and_comes_in_as_a_file() {
    let home = Home::new();
    // At rest: the first start makes the data.
    home.start().stop();
    let many: String = (0..1_500)
        .map(|i| format!("user{i:04}@far.test\n"))
        .collect();
    home.write(
        "list.txt",
        &format!("{many}not an address\n@gone.test,bought\n"),
    );
    let done = home.run(&["suppress", "import", "list.txt"]);
    assert_eq!(done.code, 1);
    assert_eq!(done.stdout, "1501 put on the suppression list\n");
    assert!(
        done.stderr.contains("1 lines can't be read:\nline 1501: "),
        "{done:?}"
    );

    let server = home.start();
    let until = [
        "suppress",
        "add",
        "z@far.test",
        "--until",
        "2199-01-31 12:00",
    ];
    home.ok(&until);
    let exported = home.ok(&["suppress", "export"]);
    assert_eq!(exported.lines().count(), 1_502);
    assert!(exported.starts_with("@gone.test\tbought\n"), "{exported}");
    assert!(exported.ends_with("\nz@far.test\t\t2199-01-31 12:00:00\n"));
    let json = home.ok(&["suppress", "list", "--json"]);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["address"], "@gone.test");
    assert_eq!(first["reason"], "bought");
    server.stop();

    let other = Home::new();
    other.start().stop();
    let done = other.run_with(&["suppress", "import", "-"], &exported);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(other.ok(&["suppress", "export"]), exported);
}
