// A backend that checks tokens with jose, twice: by a pinned key, and by the key set that the gateway publishes.

import { createServer } from 'node:http';
import { createRemoteJWKSet, importSPKI, jwtVerify } from 'jose';
import { readInput, say } from './common.mjs';

const { key, keys } = await readInput();
const pinned = await importSPKI(key, 'RS256');
const published = createRemoteJWKSet(new URL(keys));
const rules = { algorithms: ['RS256'], audience: 'notes', requiredClaims: ['sub', 'exp'] };

const server = createServer(async (request, response) => {
  const answer = (status, body) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  try {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    const byPin = await jwtVerify(token, pinned, rules);
    const bySet = await jwtVerify(token, published, rules);
    answer(200, { byPin: byPin.payload.sub, bySet: bySet.payload.sub, keyId: bySet.protectedHeader.kid });
  } catch (error) {
    answer(401, { error: error.code ?? String(error) });
  }
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
say({ port: server.address().port });
