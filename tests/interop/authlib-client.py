"""A client of the token endpoint with Authlib. One exchange for each line in, and a call with what it gave; all JSON."""

import json
import os
import sys

# The gateway of the tests is reached without TLS.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import get_well_known_url

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"


def exchange(gateway, client, secret, method, parameters, backend):
    session = OAuth2Session(client, secret, token_endpoint_auth_method=method, default_timeout=20)
    # What the environment says of proxies must not count.
    session.trust_env = False
    metadata = session.get(get_well_known_url(gateway, external=True), withhold_token=True).json()
    assert metadata["issuer"] == gateway and method in metadata["token_endpoint_auth_methods_supported"], metadata
    try:
        granted = session.fetch_token(metadata["token_endpoint"], grant_type=GRANT, **parameters)
    except OAuthError as error:
        return {"refused": {"error": error.error}}
    answer = session.get(backend)
    return {"granted": granted, "backend": {"status": answer.status_code, **answer.json()}}


print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    print(json.dumps({"answer": exchange(**json.loads(line))}), flush=True)
