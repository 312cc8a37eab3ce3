//! Heads that are larger than what is judged line by line.

use super::verdicts::read;
use super::*;

const LARGE: FramingLimits = FramingLimits { max_head: 256 * 1024, max_headers: 100, max_target: 128 };

#[test]
fn a_large_head_passes_however_it_comes() {
    let fields: String = (0..40).map(|number| format!("x-{number}: {}\r\n", "y".repeat(1500))).collect();
    for (end, is_good) in [("\r\n", true), ("x y\r\n\r\n", false)] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}{end}");
        // Pieces of these sizes end everywhere around the empty line.
        for size in (1490..1530).chain(1..5).chain([head.len() - 1, head.len() - 2, head.len() - 3]) {
            let seen = read(head.as_bytes().chunks(size).map(<[u8]>::to_vec), LARGE);
            assert_eq!((seen.heads.len(), seen.refused.is_none()), (usize::from(is_good), is_good), "pieces of {size}");
        }
    }
}
