// Devices with Triplit's client, each with its own token.

import { WebSocket } from 'undici';
import { quiet, run, until } from './common.mjs';

globalThis.WebSocket ??= WebSocket;
quiet();
const { TriplitClient } = await import('@triplit/client');

class Device {
  constructor(gateway, token) {
    this.sessionErrors = [];
    this.statuses = [];
    this.client = new TriplitClient({
      serverUrl: gateway,
      token,
      storage: 'memory',
      autoConnect: false,
      logLevel: 'error',
      onSessionError: (type) => this.sessionErrors.push(type),
    });
    this.client.onConnectionStatusChange((status) => this.statuses.push(status), true);
    this.ids = new Set();
    this.client.subscribe(this.client.query('notes'), (rows) => (this.ids = new Set([...rows].map((row) => row.id))));
    this.client.connect();
  }

  write(id) {
    return this.client.insert('notes', { id, text: id });
  }

  receives(id) {
    return until(`the note ${id}`, () => this.ids.has(id));
  }
}

await run(async ({ gateway, good, another, short, forged, expiresAt }) => {
  const short_lived = new Device(gateway, short);
  const one = new Device(gateway, good);
  const two = new Device(gateway, good);

  await one.write('from-one');
  await two.receives('from-one');
  await two.write('from-two');
  await one.receives('from-two');
  await short_lived.receives('from-two');

  const started = Date.now();
  await one.write('live');
  await two.receives('live');
  const live = Date.now() - started;

  // A fresh token for an open session: over HTTP, in a header.
  await two.client.updateSessionToken(another);
  await two.write('with-another-token');
  await one.receives('with-another-token');

  // One token expires while its socket is open. The client comes back with it and is told in the socket what is wrong.
  await until('the client is told that its session is over', () => short_lived.sessionErrors.length > 0, 30000);
  const toldAfterExpiry = Date.now() >= expiresAt - 1000;
  await one.write('while-expired');
  const missed = !short_lived.ids.has('while-expired');
  await short_lived.client.endSession();
  await short_lived.client.startSession(another);
  await short_lived.receives('while-expired');

  const stranger = new Device(gateway, forged);
  await until('a stranger is told so', () => stranger.sessionErrors.length > 0);

  return {
    live,
    missed,
    toldAfterExpiry,
    expired: [...new Set(short_lived.sessionErrors)],
    stranger: [...new Set(stranger.sessionErrors)],
    errors: [...one.sessionErrors, ...two.sessionErrors],
  };
});
