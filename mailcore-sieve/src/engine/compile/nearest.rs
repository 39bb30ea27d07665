//! The valid word nearest to one that is not.

/// The word of `words` that `wrong` was likely meant to be.
pub(crate) fn nearest<'a>(
    wrong: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // What is longer is no slip of the finger, and would cost time.
    if wrong.len() > 64 {
        return None;
    }
    let most = (wrong.len() / 3).max(1);
    words
        .into_iter()
        .map(|word| (distance(wrong, word), word))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `; did you mean ...?`, or nothing.
pub(crate) fn hint<'a>(
    wrong: &str,
    words: impl IntoIterator<Item = &'a str>,
    mark: &str,
) -> String {
    nearest(wrong, words).map_or_else(String::new, |word| {
        format!("; did you mean `{mark}{word}`?")
    })
}

/// Insertions, removals and changes of a character between two words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut corner = i;
        let mut before = i + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, right) in row.iter_mut().skip(1).zip(b.bytes()) {
            let change = corner + usize::from(left != right);
            corner = *cell;
            before = change.min(before + 1).min(*cell + 1);
            *cell = before;
        }
    }
    row.last().copied().unwrap_or_default()
}
