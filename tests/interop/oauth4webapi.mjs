// A client of the token endpoint with oauth4webapi, which discovers it.

import * as oauth from 'oauth4webapi';
import { GRANT, exchangeEach } from './exchanging.mjs';

const METHODS = {
  none: oauth.None,
  client_secret_basic: oauth.ClientSecretBasic,
  client_secret_post: oauth.ClientSecretPost,
};

async function exchange({ gateway, client, secret, method, parameters }) {
  const options = { [oauth.allowInsecureRequests]: true };
  const issuer = new URL(gateway);
  const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options });
  const server = await oauth.processDiscoveryResponse(issuer, found);
  const known = { client_id: client };
  const answer = await oauth.genericTokenEndpointRequest(server, known, METHODS[method](secret), GRANT, parameters, options);
  return oauth.processGenericTokenEndpointResponse(server, known, answer);
}

await exchangeEach(exchange, async (error) => {
  if (error instanceof oauth.ResponseBodyError) return { status: error.status, error: error.error };
  if (!(error instanceof oauth.WWWAuthenticateChallengeError)) return null;
  // A challenge comes before the body in this library; the body is there to be read.
  return { status: error.status, challenge: error.cause[0].scheme, error: (await error.response.json()).error };
});
