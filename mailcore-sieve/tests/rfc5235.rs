//! The spamtest, spamtestplus and virustest extensions (RFC 5235).

mod support;

use support::{World, refused};

const NUMERIC: &str = "\"fileinto\", \"relational\", \"comparator-i;ascii-numeric\"";

fn filed(script: &str, spam: Option<f32>, virus: Option<u8>) -> String {
    let mut world = World::new();
    world.environment.spam = spam;
    world.environment.virus = virus;
    world.run(script, "Subject: x\n\nbody\n").remove(0)
}

#[test]
fn section_3_2_1_from_0_to_10() {
    let script = format!(
        "require [\"spamtest\", {NUMERIC}];
        if spamtest :value \"eq\" :comparator \"i;ascii-numeric\" \"0\" {{ fileinto \"unclassified\"; }}
        elsif spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"3\" {{ fileinto \"spam-trap\"; }}"
    );
    assert_eq!(filed(&script, None, None), "fileinto unclassified");
    assert_eq!(filed(&script, Some(0.0), None), "keep");
    assert_eq!(filed(&script, Some(0.2), None), "fileinto spam-trap");
    let exactly = |score: f32| {
        let values = (0..=10).filter(|value| {
            let script = format!("require \"spamtest\"; if spamtest \"{value}\" {{ discard; }}");
            filed(&script, Some(score), None) == "discard"
        });
        values.collect::<Vec<_>>()
    };
    assert_eq!(exactly(0.0), [1]);
    assert_eq!(exactly(0.5), [6]);
    assert_eq!(exactly(1.0), [10]);
}

#[test]
fn section_3_2_2_in_percent() {
    let script = format!(
        "require [\"spamtestplus\", {NUMERIC}];
        if spamtest :percent :count \"eq\" :comparator \"i;ascii-numeric\" \"0\"
        {{ fileinto \"unclassified\"; }}
        elsif spamtest :percent :value \"eq\" :comparator \"i;ascii-numeric\" \"0\"
        {{ fileinto \"not-spam\"; }}
        elsif spamtest :percent :value \"lt\" :comparator \"i;ascii-numeric\" \"37\"
        {{ fileinto \"spam-trap\"; }}
        else {{ discard; }}"
    );
    assert_eq!(filed(&script, None, None), "fileinto unclassified");
    assert_eq!(filed(&script, Some(0.0), None), "fileinto not-spam");
    assert_eq!(filed(&script, Some(0.36), None), "fileinto spam-trap");
    assert_eq!(filed(&script, Some(0.37), None), "discard");
}

#[test]
fn section_3_3_viruses() {
    let script = format!(
        "require [\"virustest\", {NUMERIC}];
        if virustest :value \"eq\" :comparator \"i;ascii-numeric\" \"0\" {{ fileinto \"unclassified\"; }}
        elsif virustest :value \"eq\" :comparator \"i;ascii-numeric\" \"4\" {{ fileinto \"quarantine\"; }}
        elsif virustest :value \"eq\" :comparator \"i;ascii-numeric\" \"5\" {{ discard; }}"
    );
    assert_eq!(filed(&script, None, None), "fileinto unclassified");
    assert_eq!(filed(&script, None, Some(1)), "keep");
    assert_eq!(filed(&script, None, Some(4)), "fileinto quarantine");
    assert_eq!(filed(&script, None, Some(5)), "discard");
}

#[test]
fn percent_belongs_to_spamtestplus() {
    let error = refused("require \"spamtest\"; if spamtest :percent \"1\" { keep; }");
    assert!(error.contains("spamtestplus"), "{error}");
}
