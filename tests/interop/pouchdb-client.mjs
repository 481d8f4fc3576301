// Devices with PouchDB that replicate live with a remote database, each with its own token.

import PouchDB from 'pouchdb-core';
import memory from 'pouchdb-adapter-memory';
import httpAdapter from 'pouchdb-adapter-http';
import replication from 'pouchdb-replication';
import { run, until } from './common.mjs';

PouchDB.plugin(memory).plugin(httpAdapter).plugin(replication);

class Device {
  constructor(name, url, token) {
    this.token = token;
    this.refusals = [];
    this.brokenOff = [];
    this.local = new PouchDB(name, { adapter: 'memory' });
    this.remote = new PouchDB(`${url}/docs`, {
      fetch: async (target, options) => {
        options.headers.set('Authorization', `Bearer ${this.token}`);
        const answer = await PouchDB.fetch(target, options).catch((error) => this.breaksOff(error));
        if (answer.status === 401) this.refusals.push((await answer.clone().json()).error);
        const json = answer.json.bind(answer);
        answer.json = () => json().catch((error) => this.breaksOff(error));
        return answer;
      },
    });
    this.errors = [];
    this.sync = this.local
      .sync(this.remote, { live: true, retry: true, back_off_function: () => 200 })
      .on('error', (error) => this.errors.push(error.name ?? error.error ?? String(error)));
    this.sync.catch(() => {});
  }

  breaksOff(error) {
    this.brokenOff.push(error.message);
    throw error;
  }

  has(id) {
    return this.local.get(id).then(
      () => true,
      () => false,
    );
  }

  receives(id) {
    return until(`the document ${id}`, () => this.has(id));
  }
}

await run(async ({ gateway, good, another, short, forged, expiresAt }) => {
  const short_lived = new Device('short', gateway, short);
  const one = new Device('one', gateway, good);
  const two = new Device('two', gateway, good);

  await one.local.put({ _id: 'from-one', n: 1 });
  await two.receives('from-one');
  await two.local.put({ _id: 'from-two', n: 2 });
  await one.receives('from-two');
  await short_lived.receives('from-two');

  // A live change, on feeds that are open by now.
  const started = Date.now();
  await one.local.put({ _id: 'live', n: 3 });
  await two.receives('live');
  const live = Date.now() - started;

  // A fresh token, from the next request on.
  two.token = another;
  await two.local.put({ _id: 'with-another-token', n: 4 });
  await one.receives('with-another-token');

  // One token expires while its feed is open.
  await until('the token expires', () => Date.now() > expiresAt && short_lived.refusals.length > 1, 20000);
  await one.local.put({ _id: 'while-expired', n: 5 });
  const missed = !(await short_lived.has('while-expired'));
  short_lived.token = another;
  await short_lived.receives('while-expired');

  // A token that was never good ends a replication for good.
  const stranger = new Device('stranger', gateway, forged);
  await until('the replication of a stranger ends', () => stranger.errors.length > 0);

  return {
    live,
    missed,
    expired: [...new Set(short_lived.refusals)],
    errorsOfExpired: short_lived.errors,
    brokenOff: short_lived.brokenOff,
    stranger: stranger.errors,
    refusedStranger: [...new Set(stranger.refusals)],
    errors: [...one.errors, ...two.errors],
  };
});
