// A GraphQL backend with subscriptions over WebSocket: a clock that ticks. It takes the connections that have a token of the pinned key.

import { createServer } from 'node:http';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import jsonwebtoken from 'jsonwebtoken';
import { WebSocketServer } from 'ws';
import { say, serve } from './common.mjs';

const schema = buildSchema('type Query { user: String } type Subscription { tick: Int }');

async function* ticks() {
  for (let tick = 1; ; tick += 1) {
    yield { tick };
    await new Promise((next) => setTimeout(next, 50));
  }
}

await serve(async (port, key) => {
  const server = createServer();
  const sockets = new WebSocketServer({ server, path: '/graphql' });
  useServer(
    {
      schema,
      roots: { subscription: { tick: ticks } },
      onConnect: ({ extra }) => {
        const token = extra.request.headers.authorization?.replace(/^Bearer /, '');
        say({ connected: jsonwebtoken.verify(token, key, { algorithms: ['RS256'] }).sub ?? 'somebody' });
      },
    },
    sockets,
  );
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
});
