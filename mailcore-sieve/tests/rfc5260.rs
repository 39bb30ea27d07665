//! The date and index extensions (RFC 5260).

mod support;

use support::{World, check, holds, refused};

const MESSAGE: &str = "\
Received: from mx by inner; Sun, 22 Nov 2026 11:59:30 +0000
Received: from sender by mx;
\tSat, 21 Nov 2026 23:30:00 -0800 (PST)
From: boss@example.com
Subject: one
Subject: two
Date: Fri, 20 Nov 2026 09:10:11 +0200

body
";

fn date(arguments: &str) -> bool {
    let required = ["date", "index", "relational", "comparator-i;ascii-numeric"];
    holds(&required, arguments, MESSAGE)
}

#[test]
fn section_4_the_parts_of_a_date() {
    for (part, value) in [
        ("year", "2026"),
        ("month", "11"),
        ("day", "20"),
        ("date", "2026-11-20"),
        ("julian", "61364"),
        ("hour", "09"),
        ("minute", "10"),
        ("second", "11"),
        ("time", "09:10:11"),
        ("iso8601", "2026-11-20T09:10:11+02:00"),
        ("std11", "Fri, 20 Nov 2026 09:10:11 +0200"),
        ("zone", "+0200"),
        ("weekday", "5"),
    ] {
        let test = format!("date :originalzone \"date\" \"{part}\" \"{value}\"");
        assert!(date(&test), "{test}");
    }
    assert!(date("date \"date\" \"iso8601\" \"2026-11-20T07:10:11Z\""));
    assert!(date(
        "date :zone \"-0530\" \"date\" \"iso8601\" \"2026-11-20T01:40:11-05:30\""
    ));
    assert!(date("date \"date\" \"Weekday\" \"5\""));
}

#[test]
fn section_4_a_field_without_a_date_never_matches() {
    assert!(!date("date :matches \"subject\" \"date\" \"*\""));
    assert!(!date("date :matches \"x-none\" \"date\" \"*\""));
    assert!(date("date :count \"eq\" \"x-none\" \"date\" \"0\""));
    assert!(date("date :count \"eq\" \"date\" \"date\" \"1\""));
}

#[test]
fn section_4_4_office_hours_of_the_boss() {
    let script = "require [\"date\", \"relational\", \"fileinto\"];
        if allof(header :is \"from\" \"boss@example.com\",
                 date :value \"ge\" :originalzone \"date\" \"hour\" \"09\",
                 date :value \"lt\" :originalzone \"date\" \"hour\" \"17\")
        { fileinto \"urgent\"; }";
    check(script, MESSAGE, &["fileinto urgent"]);
}

#[test]
fn section_5_all_is_tested_at_one_time() {
    let script = "require [\"date\", \"variables\", \"fileinto\", \"editheader\"];
        if currentdate :matches \"month\" \"*\" { set \"month\" \"${1}\"; }
        if currentdate :matches \"year\"  \"*\" { set \"year\"  \"${1}\"; }
        fileinto \"${month}-${year}\";";
    check(script, MESSAGE, &["fileinto 11-2026"]);
    let script = "require [\"variables\", \"date\", \"editheader\"];
        if currentdate :matches \"std11\" \"*\" {addheader \"Processing-date\" \"${0}\";}";
    let message = &World::new().messages(script, MESSAGE)[0];
    assert!(message.starts_with("Processing-date: Sun, 22 Nov 2026 12:00:00 +0000\nReceived:"));
}

#[test]
fn local_time_is_the_sites() {
    let mut world = World::new();
    world.environment.utc_offset = 90;
    let script =
        "require \"date\"; if currentdate \"iso8601\" \"2026-11-22T13:30:00+01:30\" { discard; }";
    assert_eq!(world.run(script, MESSAGE), ["discard"]);
}

#[test]
fn section_6_fields_are_counted_over_all_names() {
    assert!(date("date :index 1 \"received\" \"day\" \"22\""));
    assert!(date(
        "date :index 1 :last \"received\" \"date\" \"2026-11-22\""
    ));
    assert!(date("header :index 2 \"subject\" \"two\""));
    assert!(!date("header :index 2 \"subject\" \"one\""));
    assert!(date("header :index 2 :last \"subject\" \"one\""));
    assert!(date("header :index 2 [\"from\", \"subject\"] \"one\""));
    assert!(!date("header :index 4 :matches \"subject\" \"*\""));
    assert!(date("address :index 1 \"from\" \"boss@example.com\""));
}

#[test]
fn mistakes_are_named() {
    let error = |test: &str| {
        refused(&format!(
            "require [\"date\", \"index\"]; if {test} {{ keep; }}"
        ))
    };
    assert!(error("date :last \"date\" \"day\" \"1\"").contains(":index"));
    assert!(error("date :index 0 \"date\" \"day\" \"1\"").contains("from 1"));
    assert!(error("date \"date\" \"dya\" \"1\"").contains("\"weekday\""));
    assert!(error("date :zone \"+100\" \"date\" \"day\" \"1\"").contains("+0100"));
    assert!(
        error("date :zone \"+0100\" :originalzone \"date\" \"day\" \"1\"").contains("together")
    );
    assert!(error("exists :index 1 \"date\"").contains(":index"));
    assert!(refused("if header :index 1 \"a\" \"b\" { keep; }").contains("require \"index\""));
}
