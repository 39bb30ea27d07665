//! Masked addresses: made up ones that an account gives away in place of its
//! own, a different one for each purpose, so that it can end any of them.

use crate::seams::Entropy;

const ADJECTIVES: [&str; 32] = [
    "amber", "ample", "bold", "brave", "brisk", "calm", "clear", "cool", "crisp", "early", "fair",
    "fast", "fine", "fresh", "glad", "grand", "happy", "keen", "kind", "light", "lucky", "mild",
    "neat", "noble", "plain", "proud", "quick", "quiet", "rapid", "sunny", "warm", "wise",
];
const NOUNS: [&str; 32] = [
    "acorn", "anchor", "apple", "badger", "beacon", "birch", "bridge", "cedar", "cloud", "comet",
    "coral", "eagle", "falcon", "fern", "field", "forest", "garden", "harbor", "heron", "island",
    "lake", "maple", "meadow", "otter", "pebble", "pine", "river", "robin", "stone", "valley",
    "willow", "winter",
];

/// A new local part, `quiet.harbor4711`: easy to say and to tell apart. It is
/// no secret; a directory refuses one that is taken, and another is drawn.
pub fn masked_local_part(entropy: &dyn Entropy) -> String {
    let number = entropy.random_u64();
    let pick = |words: [&'static str; 32], shift: u32| {
        let at = usize::try_from((number >> shift) % 32).unwrap_or_default();
        words.get(at).copied().unwrap_or("plain")
    };
    let digits = (number >> 16) % 10_000;
    format!("{}.{}{digits:04}", pick(ADJECTIVES, 0), pick(NOUNS, 8))
}
