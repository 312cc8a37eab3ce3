//! Memory of heads that are over, for those to come on the same thread.

use std::cell::RefCell;

use super::fields::Entry;

/// Room at the beginning: for the head of a browser with what the gateway adds.
const LINES: usize = 2048;
const ENTRIES: usize = 40;
/// What is larger is not kept, nor is more than so many.
const MAX_LINES: usize = 16 * 1024;
const MAX_SPARE: usize = 64;

type Parts = (Vec<u8>, Vec<Entry>);

thread_local! {
    static SPARE: RefCell<Vec<Parts>> = const { RefCell::new(Vec::new()) };
}

/// Empty, with room.
pub(super) fn take() -> Parts {
    let spare = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
    spare.unwrap_or_else(|| (Vec::with_capacity(LINES), Vec::with_capacity(ENTRIES)))
}

/// Of a head that is over. At the end of the thread it is freed.
pub(super) fn give(mut lines: Vec<u8>, mut entries: Vec<Entry>) {
    if !(LINES..=MAX_LINES).contains(&lines.capacity()) || entries.capacity() < ENTRIES {
        return;
    }
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MAX_SPARE {
            lines.clear();
            entries.clear();
            spare.push((lines, entries));
        }
    });
}
