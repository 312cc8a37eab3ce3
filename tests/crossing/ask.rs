//! Asks a row on its connection, with nothing between the octets of the row and the gateway that would put them right.

use std::sync::Arc;

use serde_json::Value;

use super::row::{Row, Sent, Way};
use super::world::World;
use crate::sni::Nameless;
use crate::support::wire::Wire;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// What came of one request.
#[derive(Debug, Clone)]
pub enum Got {
    Answer { status: u16, body: String },
    Ended,
    NotConnected,
}

/// Asks all of a row, in order.
pub async fn ask(world: &World, row: &Row) -> Vec<Got> {
    let Some(wire) = connect(world, row).await else { return vec![Got::NotConnected; row.asks.len()] };
    // What was asked to get a session is no part of the row.
    world.heard();
    if row.is_http2() { over_http2(wire, row).await } else { over_http1(world, wire, row).await }
}

async fn connect(world: &World, row: &Row) -> Option<Wire> {
    let protocol = if row.is_http2() { "h2" } else { "http/1.1" };
    let gateway = &world.tls;
    match &row.way {
        Way::Clear => Some(world.clear.plain().await),
        Way::Trusting => Some(world.trusting.plain().await),
        Way::Tls(name) => gateway.tls_with(Arc::clone(&world.trust[usize::from(row.is_http2())]), name).await.ok(),
        Way::Nameless => {
            let mut config = gateway.tls_config(&[protocol]);
            config.enable_sni = false;
            gateway.tls_with(config, "acme.example.localhost").await.ok()
        }
        Way::Resumed(version, first, second) => {
            let mut config = gateway.tls_config(&[protocol]);
            if *version == 2 {
                config = only_tls12(world, protocol);
            }
            config.resumption = rustls::client::Resumption::store(Arc::new(Nameless::default()));
            let config = Arc::new(config);
            let mut one = gateway.tls_with(Arc::clone(&config), first).await.ok()?;
            // An answer, so that the tickets that came before it are read.
            if row.is_http2() {
                over(&mut one, &[super::row::get(first).http2()], false).await;
            } else {
                one.ask(format!("GET / HTTP/1.1\r\nHost: {first}\r\n\r\n")).await;
            }
            gateway.tls_with(config, second).await.ok()
        }
    }
}

fn only_tls12(world: &World, protocol: &str) -> rustls::ClientConfig {
    let roots = crate::sni::roots(&world.tls);
    let builder = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS12]);
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    config
}

async fn over_http1(world: &World, mut wire: Wire, row: &Row) -> Vec<Got> {
    let octets = |sent: &Sent| match sent {
        Sent::Http1(octets) => octets.clone(),
        _ => panic!("{}: nothing for this connection", row.name),
    };
    if row.at_once {
        wire.send(row.asks.iter().flat_map(|(sent, _)| octets(sent)).collect::<Vec<u8>>()).await;
    }
    let mut got = Vec::new();
    for (sent, _) in &row.asks {
        if let Sent::Admin(method, path, body) = sent {
            let answer = world.clear.admin(method.clone(), path, body.clone()).await;
            got.push(Got::Answer { status: answer.status, body: answer.text() });
            continue;
        }
        if !row.at_once {
            wire.send(octets(sent)).await;
        }
        got.push(match wire.answer_or_end().await {
            Some(answer) => Got::Answer { status: answer.status, body: answer.text() },
            None => Got::Ended,
        });
    }
    got
}

async fn over_http2(mut wire: Wire, row: &Row) -> Vec<Got> {
    let asks: Vec<Sent> = row.asks.iter().map(|(sent, _)| sent.clone()).collect();
    over(&mut wire, &asks, row.at_once).await
}

/// Each request on a stream of its own.
async fn over(wire: &mut Wire, asks: &[Sent], at_once: bool) -> Vec<Got> {
    wire.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &*frame(SETTINGS, 0, 0, b"")].concat()).await;
    let requests: Vec<Vec<u8>> = asks.iter().zip((1..).step_by(2)).map(|(sent, stream)| frames(sent, stream)).collect();
    let mut got: Vec<Option<Got>> = vec![None; asks.len()];
    if at_once {
        wire.send(requests.concat()).await;
        read(wire, &mut got, asks.len()).await;
    } else {
        for (at, request) in requests.into_iter().enumerate() {
            wire.send(request).await;
            read(wire, &mut got, at + 1).await;
        }
    }
    got.into_iter().map(|got| got.unwrap_or(Got::Ended)).collect()
}

/// Reads until the first `wanted` streams have ended, or the connection.
async fn read(wire: &mut Wire, got: &mut [Option<Got>], wanted: usize) {
    let mut heads = vec![(0, Vec::new()); got.len()];
    while got[..wanted].iter().any(Option::is_none) {
        let Some(head) = wire.octets(9).await else { return };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some(payload) = wire.octets(length).await else { return };
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) as usize;
        match kind {
            SETTINGS if flags & ACK == 0 => wire.send(frame(SETTINGS, ACK, 0, b"")).await,
            // What went before it may still be answered; the end of the connection tells.
            GOAWAY => continue,
            _ => {}
        }
        let Some(place) = (stream > 0).then_some(stream / 2).filter(|place| *place < got.len()) else { continue };
        match kind {
            HEADERS => heads[place].0 = payload.first().copied().unwrap_or(0),
            DATA => heads[place].1.extend_from_slice(&payload),
            RST_STREAM => got[place] = got[place].take().or(Some(Got::Ended)),
            _ => continue,
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            got[place] = Some(answer(heads[place].0, &heads[place].1));
        }
    }
}

/// The status: 200 has an index of its own, and refusals say theirs in their document.
fn answer(first: u8, body: &[u8]) -> Got {
    const STATUS_200: u8 = 0x88;
    let body = String::from_utf8_lossy(body).into_owned();
    let told = serde_json::from_str::<Value>(&body).ok().and_then(|document| document["status"].as_u64());
    let status = if first == STATUS_200 { Some(200) } else { told.and_then(|status| u16::try_from(status).ok()) };
    Got::Answer { status: status.unwrap_or(0), body }
}

fn frames(sent: &Sent, stream: u32) -> Vec<u8> {
    let Sent::Http2 { head, body, trailers } = sent else { panic!("two protocols on one connection") };
    let ends = |is_last: bool| if is_last { END_STREAM } else { 0 };
    let mut all = frame(HEADERS, END_HEADERS | ends(body.is_empty() && trailers.is_empty()), stream, &block(head));
    if !body.is_empty() {
        all.extend(frame(DATA, ends(trailers.is_empty()), stream, body));
    }
    if !trailers.is_empty() {
        all.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(trailers)));
    }
    all
}

/// Fields as literals that are not indexed, without Huffman coding (RFC 7541, sections 5.1 and 6.2.2).
fn block(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let text = |octets: &[u8]| {
        let mut all = Vec::new();
        if octets.len() < 127 {
            all.push(octets.len() as u8);
        } else {
            let mut rest = octets.len() - 127;
            all.push(127);
            while rest >= 128 {
                all.push((rest % 128 + 128) as u8);
                rest /= 128;
            }
            all.push(rest as u8);
        }
        all.extend_from_slice(octets);
        all
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
