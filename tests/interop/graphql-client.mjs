// Subscriptions of graphql-ws, with the token in the URL, which go on over the end of a token and of a socket's age.

import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { run, until } from './common.mjs';

class Subscription {
  constructor(gateway, path, tokens) {
    this.tokens = tokens;
    this.closes = [];
    this.errors = [];
    this.ticks = 0;
    this.connections = 0;
    this.client = createClient({
      webSocketImpl: WebSocket,
      // The last one is good for all later connections.
      url: () => `${gateway.replace(/^http/, 'ws')}${path}?access_token=${this.tokens.length > 1 ? this.tokens.shift() : this.tokens[0]}`,
      retryAttempts: 20,
      retryWait: () => new Promise((next) => setTimeout(next, 50)),
      on: {
        connected: () => (this.connections += 1),
        closed: (event) => this.closes.push({ code: event.code, reason: String(event.reason ?? '') }),
      },
    });
    this.client.subscribe(
      { query: 'subscription { tick }' },
      { next: () => (this.ticks += 1), error: (error) => this.errors.push(error?.reason ?? String(error)), complete: () => {} },
    );
  }

  /** Ticks on a later connection. */
  async goesOn(connections) {
    await until(`connection ${connections}`, () => this.connections >= connections || this.errors.length > 0, 30000);
    const before = this.ticks;
    await until('another tick', () => this.ticks > before || this.errors.length > 0);
  }

  get result() {
    return { closes: this.closes, errors: this.errors, connections: this.connections };
  }
}

await run(async ({ gateway, good, short }) => {
  const ending = new Subscription(gateway, '/graphql', [short, good]);
  await ending.goesOn(2);
  return ending.result;
});
