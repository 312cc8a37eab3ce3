// Node's HTTP/2 server in clear, as an app: each path one thing that an app may do.

import { constants, createServer } from 'node:http2';

const server = createServer({ settings: { enableConnectProtocol: true } });

async function echo(stream, headers) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  const body = Buffer.concat(pieces).toString();
  stream.respond({ ':status': 200 });
  stream.end(JSON.stringify({ method: headers[':method'], path: headers[':path'], authority: headers[':authority'], body }));
}

function trailers(stream) {
  stream.respond({ ':status': 200 }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-after': 'all' }));
  stream.end('body');
}

function resets(stream) {
  stream.respond({ ':status': 200 });
  // `close` with a code would end the stream properly first.
  stream.write('half', () => setTimeout(() => stream.destroy(new Error('resets')), 30));
}

server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  if (headers[':method'] === 'CONNECT' && headers[':protocol'] === 'websocket') {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
    return;
  }
  switch (headers[':path'].split('?')[0]) {
    case '/large':
      stream.respond({ ':status': 200, 'content-length': '3000000' }, { endStream: headers[':method'] === 'HEAD' });
      if (headers[':method'] !== 'HEAD') stream.end(Buffer.alloc(3000000, 'a'));
      break;
    case '/nothing':
      stream.respond({ ':status': 204 }, { endStream: true });
      break;
    case '/refuses':
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      break;
    case '/goaway':
      stream.respond({ ':status': 200 });
      stream.end('last');
      stream.session.goaway(constants.NGHTTP2_NO_ERROR);
      break;
    case '/trailers':
      trailers(stream);
      break;
    case '/resets':
      resets(stream);
      break;
    default:
      echo(stream, headers).catch(() => {});
  }
});

server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
