//! How much two texts have in common, so that a failure can show first what
//! nearly was it.

use std::collections::BTreeMap;

/// 0 for nothing in common, 1 for the same: twice the pairs of neighbouring
/// characters that both have, by all that they have (Dice's coefficient).
pub(super) fn likeness(one: &str, other: &str) -> f64 {
    let (one, other) = (pairs(one), pairs(other));
    let count = |all: &BTreeMap<_, usize>| all.values().sum::<usize>();
    let all = count(&one) + count(&other);
    let shared: usize = one
        .iter()
        .filter_map(|(pair, count)| other.get(pair).map(|it| it.min(count)))
        .sum();
    match all {
        0 => 0.0,
        _ => 2.0 * shared as f64 / all as f64,
    }
}

fn pairs(text: &str) -> BTreeMap<(char, char), usize> {
    let text: Vec<char> = text.to_lowercase().chars().take(512).collect();
    let mut pairs = BTreeMap::new();
    for pair in text.windows(2) {
        if let [one, other] = pair {
            *pairs.entry((*one, *other)).or_default() += 1;
        }
    }
    pairs
}
