// A device with PouchDB that replicates live with a remote database, with a token of its own.

import PouchDB from 'pouchdb-core';
import memory from 'pouchdb-adapter-memory';
import httpAdapter from 'pouchdb-adapter-http';
import replication from 'pouchdb-replication';
import { until } from './common.mjs';

PouchDB.plugin(memory).plugin(httpAdapter).plugin(replication);

export class Device {
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
