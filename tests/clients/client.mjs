// Node's HTTP clients on the cases: `node client.mjs <job.json>` prints one verdict a line.
// `http` (HTTP/1.1), `http2`, and `fetch`, which is undici.

import { createHash, randomUUID } from 'node:crypto';
import dns from 'node:dns';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';

const job = JSON.parse(readFileSync(process.argv[2]));
const ca = readFileSync(job.ca);
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz';
const pattern = (count) => Buffer.from(ALPHABET.repeat(Math.ceil(count / 26)).slice(0, count));
const pairs = (raw) => raw.flatMap((name, at) => (at % 2 ? [] : [[name, raw[at + 1]]]));

// Every name leads to this machine.
dns.lookup = (host, options, done) => {
  const found = { address: '127.0.0.1', family: 4 };
  if (typeof options === 'function') return process.nextTick(options, null, found.address, 4);
  return process.nextTick(() => (options.all ? done(null, [found]) : done(null, found.address, 4)));
};

function shown(octets) {
  const body = Buffer.concat(octets);
  const small = body.length <= 65536;
  return small ? body.toString('latin1') : `${body.length} octets, ${createHash('sha256').update(body).digest('hex')}`;
}

// One request over HTTP/1.1: `send` writes the body; the outcome is the whole answer.
function begin(place, item, agent) {
  const url = new URL(place.url);
  const library = url.protocol === 'https:' ? https : http;
  const headers = [['host', url.host], ...item.headers];
  const body = item.body;
  if (body && body.chunked) headers.push(['transfer-encoding', 'chunked']);
  else if (body) headers.push(['content-length', String(body.octets)]);
  if (body?.trailers.length) headers.push(['trailer', body.trailers.map(([name]) => name).join(', ')]);
  const isLast = item.headers.some(([name, value]) => name === 'connection' && value === 'close');
  const request = library.request({
    host: url.hostname, port: url.port, method: item.method, path: item.target, headers: headers.flat(), ca, agent: !isLast && agent,
    servername: url.hostname, insecureHTTPParser: false,
  });
  const informational = [];
  request.on('information', (info) => informational.push([info.statusCode, pairs(info.rawHeaders)]));
  const head = new Promise((resolve, reject) => request.on('response', resolve).on('error', reject));
  head.catch(() => {});
  const outcome = async () => {
    const response = await head;
    const octets = [];
    for await (const piece of response) octets.push(piece);
    return {
      status: response.statusCode, headers: pairs(response.rawHeaders), body: shown(octets), trailers: pairs(response.rawTrailers),
      informational,
    };
  };
  return { request, head, outcome, write: (piece) => request.write(piece), end: (piece) => request.end(piece), informational };
}

// The same over HTTP/2.
function beginTwo(session, item) {
  const headers = { ':method': item.method, ':path': item.target };
  for (const [name, value] of item.headers) {
    const key = name.toLowerCase();
    // A client may split a cookie into its crumbs.
    const values = key === 'cookie' ? value.split('; ') : [value];
    headers[key] = [headers[key] ?? [], values].flat();
  }
  for (const [name, values] of Object.entries(headers)) if (Array.isArray(values) && values.length === 1) [headers[name]] = values;
  const body = item.body;
  if (body && !body.chunked) headers['content-length'] = String(body.octets);
  if (body?.trailers.length) headers.trailer = body.trailers.map(([name]) => name).join(', ');
  const stream = session.request(headers, { endStream: !body, waitForTrailers: Boolean(body?.trailers.length) });
  if (body?.trailers.length) stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(body.trailers)));
  const informational = [];
  const trailers = [];
  const list = (raw) => pairs(raw).filter(([name]) => !name.startsWith(':'));
  stream.on('headers', (fields, _, raw) => informational.push([fields[':status'], list(raw)]));
  stream.on('trailers', (_, __, raw) => trailers.push(...list(raw)));
  const head = new Promise((resolve, reject) => {
    stream.on('response', (fields, flags, raw) => {
      const status = fields[':status'];
      const ends = flags & http2.constants.NGHTTP2_FLAG_END_STREAM;
      if (!ends && (item.method === 'HEAD' || status === 204 || status === 304)) reject(new Error('DATA where there is no body'));
      resolve({ status, headers: list(raw) });
    }).on('error', reject);
    session.on('error', reject);
    stream.on('close', () => reject(new Error('closed before an answer')));
  });
  head.catch(() => {});
  const outcome = async () => {
    const { status, headers: fields } = await head;
    const octets = [];
    for await (const piece of stream) octets.push(piece);
    if (stream.rstCode) throw new Error(`reset with ${stream.rstCode}`);
    return { status, headers: fields, body: shown(octets), trailers, informational };
  };
  return { head, outcome, write: (piece) => stream.write(piece), end: (piece) => stream.end(piece), stream, informational };
}

function send(exchange, item) {
  const body = item.body;
  if (!body) return exchange.end();
  const octets = pattern(body.octets);
  const half = Math.floor(octets.length / 2);
  exchange.write(octets.subarray(0, half));
  if (item.body.trailers.length) exchange.request?.addTrailers(item.body.trailers);
  return exchange.end(octets.subarray(half));
}

// What a case does with requests, whatever carries them: `start` begins one.
const kinds = {
  async exchange(start, item) {
    const exchange = start(item);
    send(exchange, item);
    return exchange.outcome();
  },
  async expect(start, item) {
    const exchange = start(item);
    const refused = exchange.head.then(() => true);
    const source = exchange.request ?? exchange.stream;
    const asked = new Promise((resolve) => source.on('continue', () => resolve(false)));
    exchange.request?.flushHeaders();
    if (await Promise.race([refused, asked])) {
      const outcome = await exchange.outcome();
      // What was announced will not come.
      source.destroy();
      return { ...outcome, note: 'the body was not sent' };
    }
    exchange.end(pattern(item.body.octets));
    return { ...(await exchange.outcome()), note: 'the body was sent after the 100' };
  },
  // The answer is there while half of the upload is not.
  async early(start, item) {
    const exchange = start(item);
    exchange.write(pattern(1000));
    const { status, statusCode } = await exchange.head;
    exchange.end();
    return { note: `answered ${status ?? statusCode} while the upload ran` };
  },
  // Each piece comes back before the next is sent.
  async mirror(start, item) {
    const exchange = start(item);
    exchange.write('piece 0');
    const response = (await exchange.head).rawHeaders ? await exchange.head : exchange.stream;
    const pieces = [];
    for await (const piece of response) {
      pieces.push(piece.toString());
      if (pieces.length === 6) break;
      if (pieces.length === 5) exchange.end('piece 5');
      else exchange.write(`piece ${pieces.length}`);
    }
    return { note: pieces };
  },
  async many(start, item) {
    const statuses = new Set();
    let fresh = 0;
    for (let count = 0; count < 200; count += 1) {
      const exchange = start({ ...item, target: `${item.target}?${count}` });
      exchange.end();
      const { status, body } = await exchange.outcome();
      statuses.add(`${status} ${JSON.parse(body).target === `${item.target}?${count}`}`);
      fresh += exchange.request?.reusedSocket === false ? 1 : 0;
    }
    return { note: [...statuses, fresh > 1 ? `${fresh} connections` : 'one connection'] };
  },
  async events(start, item) {
    const name = randomUUID();
    const exchange = start({ ...item, target: `/events/${name}` });
    exchange.end();
    const response = (await exchange.head).rawHeaders ? await exchange.head : exchange.stream;
    const events = [];
    for await (const piece of response) {
      events.push(piece.toString());
      const next = start({ ...item, target: `/next/${name}` });
      next.end();
      await next.outcome();
    }
    return { note: events };
  },
};

// One client a place, which uses its connections again.
function overHttp(place) {
  const library = place.url.startsWith('https') ? https : http;
  const agent = new library.Agent({ keepAlive: true });
  return (item) => kinds[item.kind]((asked) => begin(place, asked, agent), item);
}

function overHttp2(place) {
  let session;
  return (item) => {
    if (!session || session.closed || session.destroyed) {
      session = http2.connect(place.url, { ca, settings: { maxHeaderListSize: 262144 } });
      session.on('error', () => {});
      session.setMaxListeners(0);
    }
    return kinds[item.kind]((asked) => beginTwo(session, asked), item);
  };
}

const overFetch = (place) => async (item) => {
  // Without this it asks for other codings over TLS than in clear.
  const headers = new Headers({ 'accept-encoding': 'gzip' });
  for (const [name, value] of item.headers) {
    if (name === 'accept-encoding') headers.set(name, value);
    else headers.append(name, value);
  }
  const given = { method: item.method, headers, redirect: item.kind === 'follow' ? 'follow' : 'manual' };
  // Text: an array is taken from its owner when a redirect sends it again.
  if (item.body) given.body = pattern(item.body.octets).toString();
  if (item.body?.chunked) Object.assign(given, { body: new Blob([given.body]).stream(), duplex: 'half' });
  if (item.kind === 'events') return fetchEvents(place);
  const response = await fetch(place.url + item.target, given);
  const body = shown([Buffer.from(await response.arrayBuffer())]);
  const fields = [...response.headers];
  return { status: response.status, headers: fields, body, trailers: [], informational: [], note: response.redirected ? response.url : null };
};

async function fetchEvents(place) {
  const name = randomUUID();
  const response = await fetch(`${place.url}/events/${name}`);
  const events = [];
  for await (const piece of response.body) {
    events.push(Buffer.from(piece).toString());
    await (await fetch(`${place.url}/next/${name}`)).arrayBuffer();
  }
  return { note: events };
}

const clients = [
  { name: 'http', at: overHttp, kinds: Object.keys(kinds), ways: ['direct', 'clear', 'tls'] },
  { name: 'http2', at: overHttp2, kinds: Object.keys(kinds), ways: ['h2'] },
  { name: 'fetch', at: overFetch, kinds: ['exchange', 'follow', 'events'], ways: ['direct', 'tls'] },
];

function limited(promise) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error('no end of it within a minute')), 60_000)));
  promise.catch(() => {});
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function all(place) {
  for (const client of clients.filter(({ ways }) => ways.includes(place.way))) {
    const run = client.at(place);
    for (const item of job.cases.filter((item) => client.kinds.includes(item.kind) && !place.without.includes(item.name))) {
      let outcome;
      try {
        outcome = await limited(run(item));
      } catch (error) {
        outcome = { failed: `${error.name}: ${error.message} ${error.cause ?? ''}` };
      }
      console.log(JSON.stringify({ client: client.name, server: place.server, way: place.way, case: item.name, outcome }));
    }
  }
}

process.on('uncaughtException', (error) => console.error(error));
await Promise.all(job.places.map(all));
process.exit(0);
