//! Guesses what a misspelt word was meant to be.

/// `, did you mean …?` where something known is close; else nothing.
pub fn did_you_mean<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> String {
    let best = closest(text, known);
    best.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

/// The known word that a slip of the finger could have turned into `text`.
pub fn closest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    let distance = |name: &'a str| (strsim::osa_distance(&text, &name.to_lowercase()), name);
    // One slip in a short word, more in a longer one.
    let close = known.map(distance).filter(|(slips, name)| *slips <= (name.len() / 3).max(1));
    close.min_by_key(|(slips, _)| *slips).map(|(_, name)| name)
}
