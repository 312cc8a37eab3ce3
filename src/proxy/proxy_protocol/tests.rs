//! What a header says, however it is cut, and that nothing behind it is touched.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::header::{DECIDED, Malformed, Source, Verdict, verdict};
use super::read;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2: the command, the family, and what follows.
fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

fn client(address: &str) -> Source {
    Source::Client(address.parse().unwrap())
}

#[test]
fn lines_of_version_1_name_the_source_or_nobody() {
    let v6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest = format!("PROXY UNKNOWN {v6} {v6} 65535 65535\r\n");
    assert_eq!(longest.len(), DECIDED);
    for (line, source) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n", client("192.0.2.1")),
        ("PROXY TCP4 255.255.255.255 0.0.0.0 0 65535\r\n", client("255.255.255.255")),
        ("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", client("2001:db8::1")),
        ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", client("::ffff:192.0.2.1")),
        ("PROXY UNKNOWN\r\n", Source::Untold),
        ("PROXY UNKNOWN  \0 what ever\r\n", Source::Untold),
        (&longest, Source::Untold),
    ] {
        let known = Verdict::Known { len: line.len(), source };
        assert_eq!(verdict(line.as_bytes()), Ok(known), "{line:?}");
        assert_eq!(verdict(format!("{line}GET / HTTP/1.1\r\n").as_bytes()), Ok(known), "{line:?}");
        assert_eq!(verdict(&line.as_bytes()[..line.len() - 1]), Ok(Verdict::Partial), "{line:?}");
    }
}

#[test]
fn lines_that_are_not_to_the_letter_are_refused() {
    for line in [
        "PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 40000 443 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 40000 443 1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 40000\r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.7 40000 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 +40000 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 040000 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 40000 00\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 40000 65536\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 40000 \r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.7 40000 443\r\n",
        "PROXY TCP4 192.0.2 198.51.100.7 40000 443\r\n",
        "PROXY TCP4 192.0.2.1 ::1 40000 443\r\n",
        "PROXY TCP4 2001:db8::1 ::1 40000 443\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.7 40000 443\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 40000 443\r\n",
        "PROXY TCP6 [::1] ::1 40000 443\r\n",
        "PROXY TCP5 192.0.2.1 198.51.100.7 40000 443\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.7 40000 443\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.7 40000 443\r\n",
        "PROXY UNKNOWNED\r\n",
        "PROXY \r\n",
        "PROXY  UNKNOWN\r\n",
        "PROXY\tUNKNOWN\r\n",
        "proxy UNKNOWN\r\n",
        " PROXY UNKNOWN\r\n",
        "GET / HTTP/1.1\r\n",
        "PUT / HTTP/1.1\r\n",
    ] {
        let wanted = if line.starts_with("PROXY ") { Malformed::Line } else { Malformed::Missing };
        assert_eq!(verdict(line.as_bytes()), Err(wanted), "{line:?}");
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(DECIDED - 15));
    assert_eq!(verdict(long.as_bytes()), Err(Malformed::TooLong));
    assert_eq!(verdict(b"P\xffROXY"), Err(Malformed::Missing), "without waiting for more");
    assert_eq!(verdict(b"\x16"), Err(Malformed::Missing), "TLS");
}

#[test]
fn blocks_of_version_2_name_the_source_the_proxy_or_nobody() {
    let v4 = [192, 0, 2, 1, 198, 51, 100, 7, 0x9c, 0x40, 0x01, 0xbb];
    let v6: Vec<u8> = ["2001:db8::1", "::1"].iter().flat_map(|text| text.parse::<Ipv6Addr>().unwrap().octets()).chain([0; 4]).collect();
    let tlvs = [4, 0, 3, 0, 0, 0, 0xe0, 0, 0];
    for (command, family, rest, source) in [
        (0x21, 0x11, &v4[..], client("192.0.2.1")),
        (0x21, 0x12, &v4, client("192.0.2.1")),
        (0x21, 0x21, &v6, client("2001:db8::1")),
        (0x21, 0x22, &v6, client("2001:db8::1")),
        (0x21, 0x31, &[b'/'; 216], Source::Untold),
        (0x21, 0x00, &[], Source::Untold),
        (0x21, 0x00, &v4, Source::Untold),
        (0x21, 0x10, &[], Source::Untold),
        (0x20, 0x00, &[], Source::Proxy),
        (0x20, 0x11, &v4, Source::Proxy),
        (0x20, 0x11, &[], Source::Proxy),
        (0x20, 0xff, &[1, 2, 3], Source::Proxy),
    ] {
        for rest in [rest.to_vec(), [rest, &tlvs].concat(), [rest, &[0xaa; 60_000]].concat()] {
            let octets = version_2(command, family, &rest);
            assert_eq!(verdict(&octets), Ok(Verdict::Known { len: octets.len(), source }), "{command:#x} {family:#x} {}", rest.len());
        }
    }
}

#[test]
fn blocks_with_unknown_or_impossible_values_are_refused() {
    let v4 = [0; 12];
    for (command, family, rest, wanted) in [
        (0x11, 0x11, &v4[..], Malformed::Command(0x11)),
        (0x22, 0x11, &v4, Malformed::Command(0x22)),
        (0x31, 0x11, &v4, Malformed::Command(0x31)),
        (0x00, 0x11, &v4, Malformed::Command(0)),
        (0x21, 0x13, &v4, Malformed::Family(0x13)),
        (0x21, 0x41, &v4, Malformed::Family(0x41)),
        (0x21, 0x03, &v4, Malformed::Family(0x03)),
        (0x21, 0x11, &v4[..11], Malformed::Length(11)),
        (0x21, 0x21, &[0; 35], Malformed::Length(35)),
        (0x21, 0x31, &[0; 215], Malformed::Length(215)),
    ] {
        assert_eq!(verdict(&version_2(command, family, rest)), Err(wanted));
    }
    for at in 1..SIGNATURE.len() {
        let mut wrong = version_2(0x21, 0x11, &v4);
        wrong[at] ^= 1;
        assert_eq!(verdict(&wrong), Err(Malformed::Missing));
    }
}

fn header() -> impl Strategy<Value = (Vec<u8>, Source)> {
    let v4 = (any::<Ipv4Addr>(), any::<Ipv4Addr>(), any::<u16>(), any::<u16>());
    let v6 = (any::<Ipv6Addr>(), any::<Ipv6Addr>(), any::<u16>(), any::<u16>());
    let tlvs = || vec(any::<u8>(), 0..2000);
    let line = |family: &str, source: IpAddr, destination: IpAddr, from: u16, to: u16| {
        (format!("PROXY {family} {source} {destination} {from} {to}\r\n").into_bytes(), Source::Client(source))
    };
    prop_oneof![
        v4.clone().prop_map(move |(source, destination, from, to)| line("TCP4", source.into(), destination.into(), from, to)),
        v6.clone().prop_map(move |(source, destination, from, to)| line("TCP6", source.into(), destination.into(), from, to)),
        "[ -~]{0,91}".prop_map(|rest| (format!("PROXY UNKNOWN {rest}\r\n").into_bytes(), Source::Untold)),
        (v4, tlvs()).prop_map(|((source, destination, from, to), tlvs)| {
            let block = [&source.octets()[..], &destination.octets(), &from.to_be_bytes(), &to.to_be_bytes(), &tlvs].concat();
            (version_2(0x21, 0x11, &block), Source::Client(source.into()))
        }),
        (v6, tlvs()).prop_map(|((source, destination, from, to), tlvs)| {
            let block = [&source.octets()[..], &destination.octets(), &from.to_be_bytes(), &to.to_be_bytes(), &tlvs].concat();
            (version_2(0x21, 0x21, &block), Source::Client(source.into()))
        }),
        (any::<u8>(), tlvs()).prop_map(|(family, rest)| (version_2(0x20, family, &rest), Source::Proxy)),
    ]
}

/// Octets that get far in one of the versions before they go wrong, if they do.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let begun = prop_oneof![
        Just(&b""[..]),
        Just(&b"PROXY "[..]),
        Just(&b"PROXY TCP4 192.0.2.1 "[..]),
        Just(&b"PROXY TCP6 ::1 ::1 "[..]),
        Just(&b"PROXY UNKNOWN"[..]),
        Just(SIGNATURE),
        Just(&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"[..]),
        Just(&b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0"[..]),
        Just(&b"\r\n\r\n\0\r\nQUIT\n\x20"[..]),
    ];
    let rest = prop_oneof![
        vec(any::<u8>(), 0..200),
        "[0-9.: \r\n]{0,150}".prop_map(String::into_bytes),
        "[0-9.:]{1,9} [0-9]{1,5} [0-9]{1,5}\r\n".prop_map(String::into_bytes)
    ];
    let whole = (begun, rest).prop_map(|(begun, rest)| [begun, &rest].concat());
    prop_oneof![
        whole,
        (header(), 0..300_usize, any::<u8>()).prop_map(|((mut octets, _), at, changed)| {
            if let Some(octet) = octets.get_mut(at) {
                *octet = changed;
            }
            octets
        })
    ]
}

proptest! {
    #[test]
    fn a_verdict_stands_however_many_octets_follow(octets in anything()) {
        let last = verdict(&octets);
        for end in 0..=octets.len() {
            let verdict = verdict(&octets[..end]);
            prop_assert!(verdict == Ok(Verdict::Partial) || verdict == last, "{end}: {verdict:?}, then {last:?}");
            prop_assert!(end < DECIDED || verdict != Ok(Verdict::Partial));
            if let (Ok(Verdict::Partial), Ok(Verdict::Known { len, .. })) = (verdict, last) {
                prop_assert!(end < len, "the reader has taken {end} of {len} octets");
            }
        }
    }

    #[test]
    fn a_header_is_read_to_its_end_whatever_follows((octets, source) in header(), rest in vec(any::<u8>(), 0..50)) {
        let whole = [&octets[..], &rest].concat();
        prop_assert_eq!(verdict(&whole), Ok(Verdict::Known { len: octets.len(), source }));
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.set_nodelay(true).unwrap();
    (client, listener.accept().await.unwrap().0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_way_a_header_arrives_it_is_taken_off_to_the_octet(
        (octets, source) in header(),
        rest in vec(any::<u8>(), 0..300),
        pieces in vec(1..40_usize, 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (read, left) = runtime.block_on(async {
            let (mut client, mut server) = pair().await;
            let whole = [&octets[..], &rest].concat();
            let send = async {
                let mut left = &whole[..];
                for piece in pieces.iter().cycle() {
                    let (now, later) = left.split_at(left.len().min(*piece));
                    client.write_all(now).await.unwrap();
                    // Lets the reader see this piece by itself; where it does not, the outcome has to be the same.
                    tokio::task::yield_now().await;
                    left = later;
                    if left.is_empty() {
                        break;
                    }
                }
                client.shutdown().await.unwrap();
            };
            let receive = async {
                let source = read(&mut server).await;
                let mut left = Vec::new();
                server.read_to_end(&mut left).await.unwrap();
                (source.map_err(|fault| fault.to_string()), left)
            };
            tokio::join!(send, receive).1
        });
        prop_assert_eq!(read, Ok(source));
        prop_assert_eq!(left, rest);
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_its_header_does_is_told_apart_from_one_that_says_nothing() {
    let whole = version_2(0x21, 0x11, &[0; 500]);
    for (octets, wanted) in [
        (&b""[..], "it ends before its PROXY header"),
        (b"PROXY TCP4 192.0.2.1", "it ends within its PROXY header"),
        (&whole[..whole.len() - 1], "it ends within its PROXY header"),
        (b"\x16\x03\x01", "it does not begin with a PROXY header"),
    ] {
        let (mut client, mut server) = pair().await;
        client.write_all(octets).await.unwrap();
        drop(client);
        assert_eq!(read(&mut server).await.unwrap_err().to_string(), wanted);
    }
}
