//! Text that is kept for as long as the process lives, each once. Whoever clones a header's name or value of
//! such text counts no owner; of other text all cores would want the line of that count, for each request.

use std::collections::BTreeSet;

use parking_lot::Mutex;

/// The same text, for good. Only for what configurations name, which are few whatever is reloaded how often.
pub(crate) fn for_good(text: &str) -> &'static str {
    static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut kept = KEPT.lock();
    if let Some(known) = kept.get(text) {
        return known;
    }
    let new: &'static str = Box::leak(text.into());
    kept.insert(new);
    new
}

#[cfg(test)]
mod tests {
    use super::for_good;

    #[test]
    fn a_text_is_kept_once() {
        let [one, same] = [String::from("x-a"), String::from("x-a")].map(|text| for_good(&text));
        assert!(std::ptr::eq(one, same));
        assert_eq!((one, for_good("x-b")), ("x-a", "x-b"));
    }
}
