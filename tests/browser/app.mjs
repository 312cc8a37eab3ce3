// The app behind the page: `node app.mjs` serves it over HTTP/1.1 in clear, `node app.mjs <certificate> <key>` over HTTP/2 and TLS.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import { setTimeout as after } from 'node:timers/promises';
import { brotliCompressSync, gzipSync } from 'node:zlib';

const [certificate, key] = process.argv.slice(2);
const page = readFileSync(new URL('page.html', import.meta.url));
const LARGE = Buffer.alloc(5_000_000, 'the large file. ');
const SOUND = sound(3);
// What has happened, by name: counters, and those who wait for them.
const counts = new Map();
const notes = new Map();
let waiting = [];

function happened(name) {
  counts.set(name, (counts.get(name) ?? 0) + 1);
  waiting = waiting.filter((check) => !check());
}

// Waits until something has happened so many times; whether it has, at most so many milliseconds later.
function once(name, times = 1, patience = 20_000) {
  const reached = () => (counts.get(name) ?? 0) >= times;
  if (reached()) return true;
  const happens = new Promise((resolve) => waiting.push(() => reached() && (resolve(true), true)));
  return Promise.race([happens, after(patience, false, { ref: false })]);
}

// A tone as a WAV file.
function sound(seconds) {
  const data = Buffer.alloc(8000 * seconds);
  for (let at = 0; at < data.length; at += 1) data[at] = 128 + Math.round(40 * Math.sin(at / 5));
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8000, 24);
  head.writeUInt32LE(8000, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write('data', 36);
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}

async function body(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces);
}

function json(response, value) {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(value));
}

function ranged(request, response, octets, type) {
  const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const fields = { 'content-type': type, 'accept-ranges': 'bytes', etag: '"1"' };
  if (!asked) {
    response.writeHead(200, { ...fields, 'content-length': octets.length });
    return response.end(octets);
  }
  happened(`range of ${type}`);
  const [first, last] = [Number(asked[1]), asked[2] ? Number(asked[2]) : octets.length - 1];
  const part = octets.subarray(first, last + 1);
  response.writeHead(206, { ...fields, 'content-length': part.length, 'content-range': `bytes ${first}-${last}/${octets.length}` });
  return response.end(part);
}

const routes = {
  '/go': (_, response) => {
    const cookies = ['plain=1; Path=/', 'strict=2; SameSite=Strict; Secure; Path=/', 'none=3; SameSite=None; Secure; Path=/',
      'hidden=4; HttpOnly; SameSite=Lax; Path=/', '__Host-own=5; Secure; Path=/', 'elsewhere=6; Path=/other', 'old=7; Max-Age=0; Path=/'];
    response.writeHead(302, { location: '/hop?a=1', 'set-cookie': cookies });
    response.end();
  },
  '/hop': (_, response) => response.writeHead(307, { location: './page?from=hop&%20x#part' }).end(),
  '/page': async (request, response) => {
    if (request.search.has('hints')) {
      // The page waits for the style that is hinted at, another one at each attempt.
      const style = `/hinted.css?attempt=${request.search.get('hints')}`;
      response.writeEarlyHints({ link: `<${style}>; rel=preload; as=style` });
      notes.set('hinted', await once(style, 1, 5000));
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      return response.end(page.toString().replace('/hinted.css', style));
    }
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    return response.end(page);
  },
  '/hinted.css': (request, response) => {
    happened(`/hinted.css?attempt=${request.search.get('attempt')}`);
    response.writeHead(200, { 'content-type': 'text/css', 'cache-control': 'max-age=600' });
    response.end('body { color: green }');
  },
  '/notes': (_, response) => json(response, { notes: Object.fromEntries(notes), counts: Object.fromEntries(counts) }),
  '/seen': (request, response) => json(response, seen(request)),
  '/happened': (request, response) => {
    happened(request.search.get('what'));
    json(response, null);
  },
  '/wait': async (request, response) => json(response, await once(request.search.get('for'), Number(request.search.get('times') ?? 1))),
  '/stream': async (_, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    for (let piece = 1; piece <= 4; piece += 1) {
      response.write(`piece ${piece}`);
      await once('piece read', piece);
    }
    response.end();
  },
  '/endless': (request, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    response.write('first');
    response.on('close', () => happened('endless left'));
    request.resume();
  },
  '/up': async (request, response) => {
    const octets = await body(request);
    const type = (request.headers['content-type'] ?? '').split(';')[0];
    const name = /filename="([^"]*)"/.exec(octets.subarray(0, 300).toString())?.[1];
    const content = type === 'multipart/form-data' ? '' : createHash('sha256').update(octets).digest('hex');
    json(response, { octets: octets.length, type, name, content });
  },
  '/sound.wav': (request, response) => ranged(request, response, SOUND, 'audio/wav'),
  '/large': (request, response) => ranged(request, response, LARGE, 'application/octet-stream'),
  '/download': (_, response) => {
    const name = "attachment; filename=\"fallback.bin\"; filename*=UTF-8''the%20%E2%82%AC%20report.bin";
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-disposition': name, 'content-length': LARGE.length });
    response.end(LARGE);
  },
  '/events': async (request, response) => {
    const from = Number(request.headers['last-event-id'] ?? 0);
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write('retry: 50\n\n');
    for (let event = from + 1; event <= from + 3; event += 1) {
      response.write(`event: count\nid: ${event}\ndata: ${event}, after ${from}\n\n`);
      await once('event read', event);
    }
    response.end();
  },
  '/cached': (request, response) => {
    if (request.headers['if-none-match'] === '"v1"') {
      happened('not modified');
      return response.writeHead(304, { etag: '"v1"' }).end();
    }
    response.writeHead(200, { etag: '"v1"', 'cache-control': 'no-cache', 'content-type': 'text/plain' });
    return response.end('from the app');
  },
  '/packed': (request, response) => {
    const coding = request.search.get('with');
    const text = 'packed '.repeat(1000);
    response.writeHead(200, { 'content-encoding': coding, 'content-type': 'text/plain', vary: 'accept-encoding' });
    response.end(coding === 'br' ? brotliCompressSync(text) : gzipSync(text));
  },
  '/form': async (request, response) => {
    notes.set('form', (await body(request)).toString());
    response.writeHead(303, { location: '/notes' });
    response.end();
  },
  '/beacon': async (request, response) => {
    notes.set('beacon', (await body(request)).toString());
    happened('beacon');
    response.writeHead(204).end();
  },
  '/shared': (request, response) => {
    const fields = { 'access-control-allow-origin': request.headers.origin ?? '*', 'access-control-allow-headers': 'x-own' };
    if (request.method === 'OPTIONS') return response.writeHead(204, { ...fields, 'access-control-allow-methods': 'PUT' }).end();
    response.writeHead(200, { ...fields, 'content-type': 'text/plain', 'access-control-expose-headers': 'x-answer', 'x-answer': 'yes' });
    return response.end(`${request.method} ${request.headers['x-own']}`);
  },
  '/busy': (_, response) => response.writeHead(503, { 'content-type': 'text/plain', 'retry-after': '1' }).end('of the app'),
};

// Fields as HTTP/1.1 has them.
function seen(request) {
  const raw = request.rawHeaders;
  const pairs = raw.flatMap((name, at) => (at % 2 ? [] : [[name === ':authority' ? 'host' : name, raw[at + 1]]]));
  return { method: request.method, target: request.url, headers: pairs.filter(([name]) => !name.startsWith(':')) };
}

async function handle(request, response) {
  const url = new URL(request.url, 'http://app');
  request.search = url.searchParams;
  const route = routes[url.pathname];
  if (route) return route(request, response);
  return response.writeHead(404, { 'content-type': 'text/plain' }).end('not here');
}

// A WebSocket that says everything again, after how it was asked for: RFC 6455, frames that are not split.
function serve(socket, hello) {
  let unread = Buffer.alloc(0);
  const say = (opcode, data) => {
    const size = data.length < 126 ? Buffer.from([data.length]) : Buffer.from([127, 0, 0, 0, 0, 0, 0, 0, 0]);
    if (data.length >= 126) size.writeUInt32BE(data.length, 5);
    socket.write(Buffer.concat([Buffer.from([0x80 | opcode]), size, data]));
  };
  say(1, Buffer.from(hello));
  socket.on('error', () => {});
  socket.on('data', (piece) => {
    unread = Buffer.concat([unread, piece]);
    for (;;) {
      if (unread.length < 14 && unread.length < 6 + (unread[1] & 127)) return;
      const short = unread[1] & 127;
      const [start, size] =
        short < 126 ? [2, short] : short === 126 ? [4, unread.readUInt16BE(2)] : [10, Number(unread.readBigUInt64BE(2))];
      if (unread.length < start + 4 + size) return;
      const mask = unread.subarray(start, start + 4);
      const data = Buffer.from(unread.subarray(start + 4, start + 4 + size)).map((octet, at) => octet ^ mask[at % 4]);
      const opcode = unread[0] & 15;
      unread = unread.subarray(start + 4 + size);
      say(opcode, data);
      if (opcode === 8) return void socket.end();
    }
  });
}

const server = certificate
  ? createSecureServer({ cert: readFileSync(certificate), key: readFileSync(key), allowHTTP1: true, settings: { enableConnectProtocol: true } })
  : createServer({ keepAliveTimeout: 60_000 });
server.on('request', (request, response) => {
  handle(request, response).catch?.(() => response.destroy());
});
// RFC 8441.
server.on('connect', ({ headers, stream }) => {
  const protocol = (headers['sec-websocket-protocol'] ?? '').split(',')[0];
  stream.respond({ ':status': 200, 'sec-websocket-protocol': protocol });
  serve(stream, 'over HTTP/2');
});
server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const protocol = (request.headers['sec-websocket-protocol'] ?? '').split(',')[0];
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n`
    + `sec-websocket-protocol: ${protocol}\r\n\r\n`);
  serve(socket, (request.headers.via ?? '').startsWith('2.0') ? 'over HTTP/2' : 'over HTTP/1.1');
});
// Nobody waits for what fails.
process.on('unhandledRejection', () => {});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
