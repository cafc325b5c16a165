// server.ts: the preload module of the HTTP server: node:http on a connection that somebody else has
// accepted. What a request does to its process (a crash, a leak, an endless loop), it does to that
// one connection.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Backend, PreloadServer } from 'bgworker';

const unavailable = (why: string) =>
  `HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: ${why.length + 1}\r\n\r\n${why}\n`;

export function init(server: PreloadServer): void {
  server.registerBackend(serve, {
    // As node's own HTTP server: a client may end its side after the request.
    allowHalfOpen: true,
    refusals: {
      startingUp: unavailable('starting up'),
      inRecovery: unavailable('in recovery'),
      shuttingDown: unavailable('shutting down'),
      tooMany: unavailable('too many clients'),
      cannotFork: unavailable('no process to spare'),
    },
  });
}

/** Handlers, and no promise: it is over when the connection is closed. */
function serve(connection: Socket, backend: Backend): void {
  const http = createServer((request, response) => {
    // In a shutdown the request that is under way is the last one.
    if (backend.signal.aborted) response.setHeader('Connection', 'close');
    respond(request, response, backend);
  });
  let isBusy = false;
  http.on('request', (_request, response: ServerResponse) => {
    isBusy = true;
    response.once('close', () => {
      isBusy = false;
      if (backend.signal.aborted) connection.end();
    });
  });
  backend.signal.addEventListener('abort', () => {
    if (!isBusy) connection.end();
  });
  http.emit('connection', connection);
}

function respond(request: IncomingMessage, response: ServerResponse, backend: Backend): void {
  switch (request.url) {
    case '/':
      response.end(`served by process ${backend.pid}\n`);
      return;
    case '/slow':
      setTimeout(() => response.end('at last\n'), 500);
      return;
    case '/spin':
      for (;;); // Nobody else notices; a fast shutdown ends it, after its patience.
    case '/crash':
      return process.abort();
    case '/throw':
      throw new Error('a request that fails');
    default:
      response.writeHead(404).end('no such page\n');
  }
}
