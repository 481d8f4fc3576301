// PouchDB Server behind a check of one pinned key, as CouchDB's own JWT handler does it.

import http from 'node:http';
import jwt from 'jsonwebtoken';
import PouchDB from 'pouchdb-core';
import memory from 'pouchdb-adapter-memory';
import mapreduce from 'pouchdb-mapreduce';
import find from 'pouchdb-find';
import replication from 'pouchdb-replication';
import expressPouchdb from 'express-pouchdb';
import { serve } from './common.mjs';

const Databases = PouchDB.plugin(memory).plugin(mapreduce).plugin(find).plugin(replication).defaults({ adapter: 'memory' });
const databases = expressPouchdb(Databases, { mode: 'minimumForPouchDB' });

function check(request, key) {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ');
  if (scheme !== 'Bearer') throw new Error('no token');
  const claims = jwt.verify(token, key, { algorithms: ['RS256'] });
  if (!claims.sub || !claims.exp) throw new Error('sub and exp are required');
}

await serve((port, key) => {
  const server = http.createServer((request, response) => {
    try {
      check(request, key);
    } catch (error) {
      response.writeHead(401, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ error: 'unauthorized', reason: error.message }));
      return;
    }
    databases(request, response);
  });
  return new Promise((listening) => server.listen(port, '127.0.0.1', listening));
});
