"""Follows the revocations of an issuer, for a resource server in Python: docs/resource-servers.md.

    revocations = Revocations("https://id.example.com", "https://api.example.com/", secret)
    threading.Thread(target=revocations.follow, daemon=True).start()
    ...
    if revocations.cover(claims, kid) or revocations.staleness() > 60: refuse

A record of a key also means that the key set which tokens are verified with has to be fetched again, with
Cache-Control: no-cache, and that this key must not come back with it. The key set is yours, so give a function that does
it: Revocations(..., withdrawn=keys.renew) calls it with the kid, in the thread that follows. Until it is done tokens by
the new key are refused; those by the old one are at once, by cover().

Needs requests and joserfc. The names that have ended are kept in a dictionary with their time.
"""

import base64
import hashlib
import json
import random
import time
from urllib.parse import quote_plus, urlsplit

import requests
from joserfc import jws
from joserfc.jwk import KeySet

SILENCE = 15  # seconds: three beats


class Stale(Exception):
    """The feed is another one: its whole is needed again."""


class Revocations:
    def __init__(self, issuer, identifier, secret, withdrawn=lambda kid: None):
        self.issuer, self.heard, self.withdrawn = issuer, None, withdrawn
        self.feed, self.sequence, self.needs_whole = None, 0, True
        self.ended = {}  # ("approval" | "token" | "key", id): until, ("client", id): (generation, until)
        self.http = requests.Session()
        # The identifier holds a colon, so both are form-encoded (RFC 6749 section 2.3.1).
        self.auth = (quote_plus(identifier), quote_plus(secret))

    def cover(self, claims, kid):
        """Whether a token that is good otherwise has been revoked."""
        if not kid:
            return True  # the issuer always names its key; without the name a withdrawn one could not be told
        now = time.time()
        for name in ("approval", claims["approval"]), ("token", claims["jti"]), ("key", kid):
            if self.ended.get(name, 0) >= now:
                return True
        below, until = self.ended.get(("client", claims["client_id"]), (0, 0))
        return until >= now and claims["client_generation"] < below

    def staleness(self):
        """Seconds since the issuer said that nothing is missing."""
        return float("inf") if self.heard is None else time.monotonic() - self.heard

    def follow(self):
        failures = 0
        while True:
            began = time.monotonic()
            try:
                if self.needs_whole:
                    self.snapshot()
                self.stream()
            except (Stale, ValueError, KeyError) as problem:
                self.needs_whole = True  # what is known stays in use until the next snapshot has been checked
                print("revocations:", repr(problem))
            except Exception as problem:  # the network, mostly: resume where it broke
                print("revocations:", repr(problem))
            failures = 0 if time.monotonic() - began > 30 else failures + 1
            time.sleep(random.uniform(0.25, 1) * min(15, 0.2 * 2 ** min(failures, 7)))

    def ask(self, **how):
        metadata = self.http.get(well_known(self.issuer), timeout=5).json()
        endpoint = metadata["revocation_feed_endpoint"]
        if metadata["issuer"] != self.issuer or origin(endpoint) != origin(self.issuer):
            raise ValueError("not the issuer's own endpoint")
        self.jwks = metadata["jwks_uri"]
        answer = self.http.get(
            endpoint, auth=self.auth, stream=True, timeout=SILENCE, allow_redirects=False, **how
        )
        if answer.status_code == 410:
            raise Stale()
        answer.raise_for_status()
        return answer

    def snapshot(self):
        """Takes the whole, and believes it when its last line has sealed all others."""
        digest, before, head, records, ended = hashlib.sha256(), None, None, 0, {}
        began = time.monotonic()  # it says what was so then, however long it takes
        with self.ask() as answer:
            for line in answer.iter_lines(chunk_size=65536):
                if before is not None:
                    digest.update(before + b"\n")
                    if head is None:
                        head = json.loads(before)
                    else:
                        enter(json.loads(before), ended)
                        records += 1
                before = line
        answer = self.http.get(self.jwks, headers={"Cache-Control": "no-cache"}, timeout=5)
        jwks = KeySet.import_key_set(answer.json())
        sealed = jws.deserialize_compact(json.loads(before)["jws"], jwks, algorithms=["ES256"])
        seal = json.loads(sealed.payload)
        digest = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
        expected = {
            "iss": self.issuer, "feed": head["feed"], "after": 0, "sequence": head["sequence"],
            "records": records, "digest": digest,
        }
        if sealed.headers().get("typ") != "revocations+jwt":
            raise ValueError("no seal of revocations")
        if any(seal.get(name) != value for name, value in expected.items()) or head["issuer"] != self.issuer:
            raise ValueError("the seal is of another answer")
        if not -60 <= time.time() - seal["iat"] <= 300:
            raise ValueError("sealed at another time")
        key = ("key", sealed.headers()["kid"])
        if key in ended or key in self.ended:
            raise ValueError("sealed by a key that was withdrawn")
        if seal["feed"] == self.feed and seal["sequence"] < self.sequence:
            raise ValueError("older than what is known")
        known = self.ended
        if seal["feed"] != self.feed:
            # After a restore the issuer may have forgotten what it ended. Generations are counted anew.
            for name, until in known.items():
                if name[0] != "client":
                    ended[name] = max(until, ended.get(name, 0))
        self.ended, self.feed, self.sequence = ended, seal["feed"], seal["sequence"]
        self.heard, self.needs_whole = began, False
        for kind, kid in ended.keys() - known.keys():
            if kind == "key":
                self.withdrawn(kid)

    def stream(self):
        """Goes on from the last number; a connection that says nothing for 15 seconds is given up."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": f"{self.feed}.{self.sequence}"}
        event, beat_at = {}, time.monotonic()
        with self.ask(headers=headers) as answer:
            for line in answer.iter_lines(chunk_size=1, decode_unicode=False):
                if time.monotonic() - beat_at > SILENCE:
                    raise TimeoutError("no beat")
                if line:
                    name, _, value = line.decode().partition(":")
                    event[name] = value.removeprefix(" ")
                    continue
                kind, data = event.get("event"), json.loads(event.get("data", "{}"))
                if kind == "reset":
                    raise Stale()
                if kind in ("revocation", "beat") and event["id"].rpartition(".")[0] != self.feed:
                    raise Stale()
                if kind == "revocation":
                    enter(data, self.ended)
                    self.sequence = max(self.sequence, data["n"])
                    if "key" in data:
                        self.withdrawn(data["key"])
                elif kind == "beat":
                    if data["sequence"] < self.sequence:
                        raise Stale()
                    self.sequence = data["sequence"]
                    self.heard = beat_at = time.monotonic()
                    now = time.time()
                    for name in [name for name, entry in self.ended.items() if last(entry) < now]:
                        del self.ended[name]
                event = {}
        raise ConnectionError("the stream was cut")


def enter(record, ended):
    """A record that names nothing known is an error: one passed over would be a token that goes on to be accepted."""
    until = record["until"]
    if "client" in record:
        name = ("client", record["client"])
        below, then = ended.get(name, (0, 0))
        ended[name] = (max(below, record["generation"]), max(then, until))
        return
    (kind,) = {"approval", "token", "key"} & record.keys()
    ended[(kind, record[kind])] = max(until, ended.get((kind, record[kind]), 0))


def last(entry):
    return entry[1] if isinstance(entry, tuple) else entry


def origin(url):
    return urlsplit(url)[:2]


def well_known(issuer):
    """RFC 8414 section 3.1: between the host and the path."""
    parts = urlsplit(issuer)
    return parts._replace(path="/.well-known/oauth-authorization-server" + parts.path.rstrip("/")).geturl()
