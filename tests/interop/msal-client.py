"""An app with Microsoft's own library for logins. One command a line in, one answer a line out, all JSON."""

import html
import json
import re
import sys

import msal
import requests

REDIRECT = "http://127.0.0.1/callback"
SCOPES = ["notes.read"]


def session(ca_file):
    """What the environment says of proxies and certificates must not count."""
    made = requests.Session()
    made.trust_env = False
    made.verify = ca_file
    return made


def log_in(browser, url, user):
    """What a person does in a browser: says who they are, agrees to what the app asks for, and is sent back to the app."""
    page = browser.get(url, timeout=20)
    while True:
        page.raise_for_status()
        action = html.unescape(re.search(r'<form[^>]* action="([^"]+)"', page.text)[1])
        fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        fields = {name: html.unescape(value) for name, value in fields.items()}
        if action == REDIRECT:
            return fields
        page = browser.post(action, data={**fields, "login": user, "password": "any"}, timeout=20)


class App:
    def __init__(self, settings):
        self.ca_file = settings["ca_file"]
        self.gateway = settings["gateway"]
        self.authority = settings["authority"]
        self.apps = {}

    def app(self, client):
        if client not in self.apps:
            self.apps[client] = msal.PublicClientApplication(
                client, oidc_authority=self.authority, http_client=session(self.ca_file)
            )
        return self.apps[client]

    def log_in(self, client, user):
        app = self.app(client)
        flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=REDIRECT, prompt="consent", response_mode="form_post")
        answer = log_in(session(self.ca_file), flow["auth_uri"], user)
        return app.acquire_token_by_auth_code_flow(flow, answer)

    def silent(self, client, force=False):
        app = self.app(client)
        (account,) = app.get_accounts()
        return app.acquire_token_silent_with_error(SCOPES, account=account, force_refresh=force)

    def call(self, token):
        headers = {"Authorization": f"Bearer {token}"}
        answer = session(True).get(f"{self.gateway}/echo", headers=headers, timeout=20)
        return {"status": answer.status_code, "challenge": answer.headers.get("www-authenticate")}


app = None
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    if app is None:
        app = App(command)
        continue
    name = command.pop("do")
    print(json.dumps({name: getattr(app, name)(**command)}), flush=True)
