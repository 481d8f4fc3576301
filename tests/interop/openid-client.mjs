// A client of the token endpoint with openid-client, which discovers it.

import * as oauth from 'openid-client';
import { GRANT, exchangeEach } from './exchanging.mjs';

const METHODS = {
  none: oauth.None,
  client_secret_basic: oauth.ClientSecretBasic,
  client_secret_post: oauth.ClientSecretPost,
};

async function exchange({ gateway, client, secret, method, parameters }) {
  const options = { algorithm: 'oauth2', execute: [oauth.allowInsecureRequests] };
  const config = await oauth.discovery(new URL(gateway), client, {}, METHODS[method](secret), options);
  return oauth.genericGrantRequest(config, GRANT, parameters);
}

await exchangeEach(exchange, async (error) => {
  if (error instanceof oauth.ResponseBodyError) return { status: error.status, error: error.error };
  if (!(error instanceof oauth.WWWAuthenticateChallengeError)) return null;
  // A challenge comes before the body in this library; the body is there to be read.
  return { status: error.status, challenge: error.cause[0].scheme, error: (await error.response.json()).error };
});
