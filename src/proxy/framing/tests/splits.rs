//! The verdict and what passes do not depend on how a stream was split into reads.

use proptest::prelude::*;

use super::*;

/// Cuts `stream` at `cuts` (taken modulo its length).
pub(super) fn split(stream: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % stream.len().max(1)).chain([0, stream.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| stream[pair[0]..pair[1]].to_vec()).collect()
}

pub(super) fn any_good() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(GOOD).prop_map(str::to_owned);
    let length = "[ -~\r\n]{0,200}".prop_map(|body| format!("PUT /l HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let chunked = prop::collection::vec("[ -~\r\n]{1,40}", 0..5).prop_map(|chunks| {
        let chunks: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
        format!("PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    });
    prop_oneof![fixed, length, chunked]
}

proptest! {
    #[test]
    fn good_requests_pass_unchanged_in_every_split(
        requests in prop::collection::vec(any_good(), 1..5),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
        room in 1..600_usize,
    ) {
        let stream = requests.concat();
        let seen = pass(split(stream.as_bytes(), &cuts), room);
        prop_assert_eq!(seen, Seen { passed: stream.into_bytes(), refused: None, broken: None });
    }

    #[test]
    fn the_verdict_does_not_depend_on_the_split(
        good in any_good(),
        bad in prop::sample::select(BAD),
        at in any::<usize>(),
        octet in prop::sample::select(&b"\r\n \t\0:#,5a\xe9"[..]),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
        room in 1..600_usize,
    ) {
        let mut stream = format!("{good}{}{good}", bad.0).into_bytes();
        let at = at % stream.len();
        stream[at] = octet;
        // Ends every line and head that may have been left open.
        stream.extend_from_slice(&[b"\r\n\r\n".as_slice(), &[b'y'; 1100], b"\r\n\r\n"].concat());
        prop_assert_eq!(whole(&stream), pass(split(&stream, &cuts), room));
    }
}
