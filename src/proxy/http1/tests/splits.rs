//! The verdict and what passes do not depend on how a stream was split into reads.

use proptest::prelude::*;

use super::verdicts::{BAD, read, whole};
use super::*;

/// Cuts `stream` at `cuts` (taken modulo its length).
pub(super) fn split(stream: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % stream.len().max(1)).chain([0, stream.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| stream[pair[0]..pair[1]].to_vec()).collect()
}

/// A good request and, where it is known, what its body says.
pub(super) fn any_good() -> impl Strategy<Value = (String, Option<String>)> {
    let fixed = prop::sample::select(GOOD).prop_map(|good| (good.to_owned(), None));
    let length = "[ -~\r\n]{0,200}".prop_map(|body| {
        let head = format!("PUT /l HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        (head + &body, Some(body))
    });
    let chunked = prop::collection::vec("[ -~\r\n]{1,40}", 0..5).prop_map(|chunks| {
        let said: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
        let head = "PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        (format!("{head}{said}0\r\n\r\n"), Some(chunks.concat()))
    });
    prop_oneof![fixed, length, chunked]
}

proptest! {
    #[test]
    fn good_requests_are_the_same_in_every_split(
        requests in prop::collection::vec(any_good(), 1..5),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let stream: String = requests.iter().map(|(request, _)| request.as_str()).collect();
        let seen = read(split(stream.as_bytes(), &cuts), LIMITS);
        prop_assert_eq!(&seen, &whole(stream.as_bytes()));
        prop_assert_eq!((seen.heads.len(), seen.refused, seen.broken), (requests.len(), None, None));
        for (body, (_, wanted)) in seen.bodies.iter().zip(&requests) {
            prop_assert_eq!(body, wanted.as_ref().unwrap_or(body));
        }
    }

    #[test]
    fn the_verdict_does_not_depend_on_the_split(
        good in any_good(),
        bad in prop::sample::select(BAD),
        at in any::<usize>(),
        octet in prop::sample::select(&b"\r\n \t\0:#,5a\xe9"[..]),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut stream = format!("{}{}{}", good.0, bad.0, good.0).into_bytes();
        let at = at % stream.len();
        stream[at] = octet;
        // Ends every line and head that may have been left open.
        stream.extend_from_slice(&[b"\r\n\r\n".as_slice(), &[b'y'; 1100], b"\r\n\r\n"].concat());
        prop_assert_eq!(whole(&stream), read(split(&stream, &cuts), LIMITS));
    }
}
