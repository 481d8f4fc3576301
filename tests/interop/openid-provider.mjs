// An OpenID provider with its own keys, discovery and login pages. Whoever logs in is taken at their word.

import { randomUUID, webcrypto } from 'node:crypto';
import { createServer } from 'node:https';
import { commands, quiet, readInput, say } from './common.mjs';

quiet();
const { Provider } = await import('oidc-provider');

const REDIRECT = 'http://127.0.0.1/callback';

/** Everything that the provider remembers, so that it can be started anew with other keys. */
class Memory {
  static models = new Map();

  constructor(model) {
    if (!Memory.models.has(model)) Memory.models.set(model, new Map());
    this.rows = Memory.models.get(model);
  }

  async upsert(id, row) {
    this.rows.set(id, row);
  }

  async find(id) {
    return this.rows.get(id);
  }

  async findByUid(uid) {
    return [...this.rows.values()].find((row) => row.uid === uid);
  }

  async findByUserCode(code) {
    return [...this.rows.values()].find((row) => row.userCode === code);
  }

  async consume(id) {
    this.rows.get(id).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.rows.delete(id);
  }

  async revokeByGrantId(grant) {
    for (const [id, row] of this.rows) if (row.grantId === grant) this.rows.delete(id);
  }
}

/** A key pair that nobody has seen, with a name of its own. */
async function newKey() {
  const made = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
  const { privateKey } = await webcrypto.subtle.generateKey(made, true, ['sign', 'verify']);
  const { kty, n, e, d, p, q, dp, dq, qi } = await webcrypto.subtle.exportKey('jwk', privateKey);
  return { kty, n, e, d, p, q, dp, dq, qi, kid: randomUUID(), use: 'sig', alg: 'RS256' };
}

/** A client for each API: its tokens are for that API alone, and live so many seconds. */
const APIS = {
  'contoso-notes': { audience: 'https://notes.contoso.com', life: 3600 },
  'contoso-notes-brief': { audience: 'https://notes.contoso.com', life: 5 },
  'contoso-reports': { audience: 'https://reports.contoso.com', life: 3600 },
};

function provider(issuer, keys) {
  const made = new Provider(issuer, {
    adapter: Memory,
    clients: Object.keys(APIS).map((client_id) => ({
      client_id,
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: [REDIRECT],
    })),
    claims: { openid: ['sub'], profile: ['name'] },
    cookies: { keys: [randomUUID()] },
    jwks: { keys },
    ttl: { AuthorizationCode: 60, Grant: 3600, IdToken: 3600, Interaction: 600, RefreshToken: 3600, Session: 600 },
    features: {
      resourceIndicators: {
        enabled: true,
        defaultResource: (_, client) => APIS[client.clientId].audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource, client) => ({
          scope: 'notes.read notes.write',
          audience: resource,
          accessTokenTTL: APIS[client.clientId].life,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  return made.callback();
}

const { certificate, key } = await readInput();
let answer;
const server = createServer({ cert: certificate, key }, (request, response) => {
  // The provider is mounted below a path, as a tenant is.
  request.originalUrl = request.url;
  request.url = request.url.replace(/^\/contoso/, '') || '/';
  answer(request, response);
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `https://127.0.0.1:${server.address().port}/contoso`;
answer = provider(issuer, [await newKey()]);
say({ issuer });

// Each further line: a new key in place of all others.
for await (const _ of commands) {
  const key = await newKey();
  answer = provider(issuer, [key]);
  say({ rotated: key.kid });
}
