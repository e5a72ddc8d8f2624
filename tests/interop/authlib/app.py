"""An app on Authlib, in Flask as its documents have it, without a server of its own: requests to it are made here.

It is told by lines of JSON what to be, says by lines of JSON where the browser has to go, hears where that ended, and
closes with what it found: `done`, or what it refused and why.
"""

import json
import secrets
import sys

from authlib.integrations.flask_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from flask import Flask, jsonify


def say(message):
    print(json.dumps(message), flush=True)


def hear():
    return sys.stdin.readline().strip()


def browse(url):
    say({"open": url})
    return hear()


def make(task, held):
    """The app: routes for sign-in, what it knows, and logout. `held` is its database."""
    app = Flask(__name__)
    app.secret_key = secrets.token_hex()
    app.testing = True  # Errors come through.

    def update_token(token, refresh_token=None, access_token=None):
        held["token"] = dict(token)

    settings = {"scope": task["scope"], **task.get("client_kwargs", {})}
    service = OAuth(app).register(
        "service",
        client_id=task["client_id"],
        client_secret=task.get("client_secret"),
        client_auth_methods=[PrivateKeyJWT()] if task.get("asserts") else None,
        server_metadata_url=task["issuer"] + "/.well-known/openid-configuration",
        client_kwargs=settings,
        update_token=update_token,
    )

    @app.get("/login")
    def login():
        return service.authorize_redirect(task["redirect_uri"])

    @app.get("/cb")
    def callback():
        held["token"] = service.authorize_access_token()
        return jsonify(held["token"]["userinfo"])

    @app.get("/me")
    def me():
        # Refreshes where the access token is over.
        return jsonify(service.userinfo(token=held["token"]))

    @app.get("/logout")
    def logout():
        return service.logout_redirect(
            post_logout_redirect_uri=task["bye"], id_token_hint=held["id_token"]
        )

    @app.get("/bye")
    def bye():
        return jsonify(service.validate_logout_response())

    def revoke(token):
        metadata = service.load_server_metadata()
        session = OAuth2Session(task["client_id"], task.get("client_secret"), **settings)
        if task.get("asserts"):
            session.register_client_auth_method(PrivateKeyJWT())
        answer = session.revoke_token(
            metadata["revocation_endpoint"], token=token, token_type_hint="refresh_token"
        )
        answer.raise_for_status()

    return app, revoke


def run(task):
    held = {}
    app, revoke = make(task, held)
    origin = task["redirect_uri"].removesuffix("/cb")
    browser = app.test_client()

    def get(path):
        return browser.get(path, base_url=origin)

    sent = get("/login").location
    claims = get(browse(sent).removeprefix(origin)).json
    first = dict(held["token"])
    held["id_token"] = first["id_token"]
    about = get("/me").json

    held["token"]["expires_at"] = 1
    again = get("/me").json
    second = dict(held["token"])

    bye = browse(get("/logout").location)
    logged_out = get(bye.removeprefix(origin)).json

    revoke(second["refresh_token"])
    held["token"]["expires_at"] = 1
    try:
        get("/me")
        after = "a token"
    except Exception as error:
        after = getattr(error, "error", None) or repr(error)

    return {
        "sub": claims["sub"],
        "email": about["email"],
        "email_again": again["email"],
        "rotated": first["refresh_token"] != second["refresh_token"]
        and first["access_token"] != second["access_token"],
        "id_token": first["id_token"],
        "request": sent.partition("?")[2],
        "bye": bye.partition("?")[0],
        "bye_state": logged_out["post_logout_redirect_uri"] == task["bye"],
        "after": after,
    }


try:
    say({"done": run(json.loads(hear()))})
except Exception as error:
    said = getattr(error, "error", None)
    say({"refused": {"name": type(error).__name__, "error": said, "message": str(error)}})
