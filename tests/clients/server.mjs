// Node's HTTP server as an app for the cases: it answers what the target asks for, and else with what it has seen.

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz';
const pattern = (count) => Buffer.from(ALPHABET.repeat(Math.ceil(count / 26)).slice(0, count));
const pairs = (raw) => raw.flatMap((name, at) => (at % 2 ? [] : [[name, raw[at + 1]]]));
const told = new Map();

async function read(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function echo(request, response) {
  const body = await read(request);
  const seen = JSON.stringify({
    method: request.method,
    target: request.url,
    headers: pairs(request.rawHeaders),
    trailers: pairs(request.rawTrailers),
    octets: body.length,
    sha256: createHash('sha256').update(body).digest('hex'),
  });
  response.writeHead(200, ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(seen))]);
  response.end(request.method === 'HEAD' ? undefined : seen);
}

function fields(request, wanted) {
  const origin = `${request.headers['x-forwarded-proto'] ?? 'http'}://${request.headers.host}`;
  const value = (said) => (typeof said === 'string' ? said.replace('{origin}', origin) : 'x'.repeat(said.times));
  return wanted.map(([name, said]) => [name, value(said)]);
}

async function reply(request, response, wanted) {
  await read(request);
  for (const [status, hints] of wanted.informational ?? []) {
    const each = Object.fromEntries(hints);
    if (status === 103) response.writeEarlyHints(each);
    else response.writeProcessing();
  }
  const body = wanted.hex === undefined ? pattern(wanted.octets ?? 0) : Buffer.from(wanted.hex, 'hex');
  const head = fields(request, wanted.headers ?? []);
  if (wanted.framing === 'length') head.push(['content-length', String(body.length)]);
  if (wanted.framing === 'close') {
    response.useChunkedEncodingByDefault = false;
    response.shouldKeepAlive = false;
  }
  if (wanted.framing === 'chunked') head.push(['transfer-encoding', 'chunked']);
  if (wanted.trailers) head.push(['trailer', wanted.trailers.map(([name]) => name).join(', ')]);
  response.writeHead(wanted.status, head.flat());
  if (request.method === 'HEAD' || wanted.framing === 'none') return void response.end();
  if (wanted.cut) {
    response.write(body.subarray(0, body.length / 2), () => response.socket.destroy());
    return;
  }
  const size = Math.ceil(body.length / (wanted.pieces ?? 1)) || 1;
  for (let at = 0; at < body.length; at += size) response.write(body.subarray(at, at + size));
  if (wanted.trailers) response.addTrailers(wanted.trailers);
  response.end();
}

// One event, and the next when the client has told that it has this one.
async function events(name, response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  for (let count = 1; count <= 5; count += 1) {
    response.write(`id: ${count}\ndata: event ${count}\n\n`);
    await news(name).take();
  }
  response.end();
}

function news(name) {
  if (!told.has(name)) {
    let count = 0;
    let wake = null;
    told.set(name, {
      give() {
        count += 1;
        wake?.();
      },
      async take() {
        while (count === 0) await new Promise((resolve) => (wake = resolve));
        count -= 1;
      },
    });
  }
  return told.get(name);
}

async function handle(request, response) {
  const [, first, rest] = request.url.split('/', 3);
  switch (first) {
    case 'reply':
      return reply(request, response, JSON.parse(Buffer.from(rest, 'hex').toString()));
    case 'events':
      return events(rest, response);
    case 'next':
      news(rest).give();
      return void response.writeHead(204).end();
    case 'mirror':
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      response.flushHeaders();
      return void request.pipe(response);
    case 'early':
    case 'unwanted':
      response.writeHead(403, ['content-type', 'text/plain', 'content-length', '8']);
      response.end('too much');
      return void request.resume();
    default:
      return echo(request, response);
  }
}

const server = createServer({ maxHeaderSize: 128 * 1024, keepAliveTimeout: 60_000 }, handle);
server.on('checkContinue', (request, response) => {
  if (!request.url.startsWith('/unwanted')) response.writeContinue();
  return handle(request, response);
});
server.on('clientError', (error, socket) => socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'));
// Nobody waits for a refused answer.
process.on('unhandledRejection', () => {});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
