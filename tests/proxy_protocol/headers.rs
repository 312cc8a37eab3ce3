//! PROXY headers by hand, and how they get to the gateway.

use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy_bidirectional, duplex};
use tokio::net::TcpStream;

/// 13th and 14th octet of version 2.
pub const LOCAL: [u8; 2] = [0x20, 0x00];
pub const TCP4: [u8; 2] = [0x21, 0x11];
pub const TCP6: [u8; 2] = [0x21, 0x21];
pub const UNSPEC: [u8; 2] = [0x21, 0x00];
pub const UNIX: [u8; 2] = [0x21, 0x31];

/// Where a header is cut on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It comes by itself.
    Nowhere,
    /// Octet by octet.
    Everywhere,
    /// With the first octets of what follows it.
    NotEvenAtItsEnd,
}

/// Version 1, from this address.
pub fn v1(source: &str) -> Vec<u8> {
    let (family, destination) = if source.contains(':') { ("TCP6", "2001:db8::80") } else { ("TCP4", "192.0.2.80") };
    format!("PROXY {family} {source} {destination} 40000 443\r\n").into_bytes()
}

/// Version 2, from this address, with what follows the addresses.
pub fn v2(source: &str, tlvs: &[u8]) -> Vec<u8> {
    match source.parse().unwrap() {
        IpAddr::V4(source) => v2_of(TCP4, &[&source.octets()[..], &[192, 0, 2, 80, 0x9c, 0x40, 0x01, 0xbb], tlvs].concat()),
        IpAddr::V6(source) => v2_of(TCP6, &[&source.octets()[..], &[1; 16], &[0x9c, 0x40, 0x01, 0xbb], tlvs].concat()),
    }
}

/// Version 2 with anything in it.
pub fn v2_of(kind: [u8; 2], rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &kind[..], &length, rest].concat()
}

/// A way to the gateway over `stream`, behind a header.
pub fn behind(mut stream: TcpStream, header: &[u8], cut: Cut) -> DuplexStream {
    let (client, mut here) = duplex(64 * 1024);
    let mut header = header.to_vec();
    tokio::spawn(async move {
        match cut {
            Cut::Nowhere => stream.write_all(&header).await?,
            Cut::Everywhere => {
                for octet in header {
                    stream.write_all(&[octet]).await?;
                    tokio::task::yield_now().await;
                }
            }
            Cut::NotEvenAtItsEnd => {
                here.read_buf(&mut header).await?;
                stream.write_all(&header).await?;
            }
        }
        copy_bidirectional(&mut here, &mut stream).await
    });
    client
}
