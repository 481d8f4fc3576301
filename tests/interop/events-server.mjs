// Events for whoever has a token of the pinned key: numbered, each in two chunks, from the one after `Last-Event-ID`.

import http from 'node:http';
import jwt from 'jsonwebtoken';
import { say, serve } from './common.mjs';

const EVERY = 20;
const wait = (milliseconds) => new Promise((next) => setTimeout(next, milliseconds));

async function stream(request, response) {
  const last = request.headers['last-event-id'];
  say({ connected: last ?? null });
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  response.write('retry: 100\n\n');
  // From this time on an event stays half said.
  const until = Number(new URL(request.url, 'http://events').searchParams.get('half_at') ?? Infinity);
  for (let number = Number(last ?? 0) + 1; !response.closed; number += 1) {
    response.write(`id: ${number}\ndata: {"number":${number},`);
    if (last === undefined && Date.now() >= until) {
      say({ half: number });
      return;
    }
    await wait(EVERY);
    response.write('"whole":true}\n\n');
  }
}

await serve((port, key) => {
  const server = http.createServer((request, response) => {
    try {
      jwt.verify(request.headers.authorization.replace('Bearer ', ''), key, { algorithms: ['RS256'] });
    } catch (error) {
      say({ failed: `the gateway sent no good token: ${error.message}` });
    }
    stream(request, response);
  });
  return new Promise((listening) => server.listen(port, '127.0.0.1', listening));
});
