"""Who asks: access tokens (JWT, Ed25519) and what is read from them."""

from __future__ import annotations

import time
from collections import OrderedDict
from datetime import timedelta
from threading import Lock

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from mediation.errors import Unauthenticated
from mediation.keys import read_or_make
from mediation.schemas import ID_RULE, is_id
from mediation.settings import Settings
from workflows.acts import Actor
from workflows.states import PARTIES, TOKEN_ROLES, Role

ISSUER = "mediation"
ALGORITHM = "Ed25519"  # RFC 9864
_REMEMBERED = 4096


def token_key(settings: Settings) -> OKPKey:
    """The key that signs tokens, made in the home on first use. Raises OSError if it cannot be read or made."""
    pem = read_or_make(settings.token_key_path, lambda: OKPKey.generate_key("Ed25519").as_pem(private=True))
    return OKPKey.import_key(pem)


def issue_token(
    settings: Settings,
    *,
    subject: str,
    role: str,
    acts_for: str | None = None,
    marketplace: str | None = None,
    lifetime: timedelta = timedelta(hours=12),
) -> str:
    """A signed access token. `acts_for` is the party (default: the subject), `marketplace` the one of the settings.

    Raises ValueError if the role is not one that tokens carry or an id is empty or too long.
    """
    if role not in TOKEN_ROLES:
        raise ValueError(f"role: must be one of {', '.join(TOKEN_ROLES)}")
    claims = {"sub": subject, "acts_for": acts_for or subject, "marketplace": marketplace or settings.marketplace}
    for name, value in claims.items():
        if not is_id(value):
            raise ValueError(f"{name}: {ID_RULE[0].lower()}{ID_RULE[1:]}")
    key = token_key(settings)
    now = int(time.time())
    body = {**claims, "iss": ISSUER, "role": role, "iat": now, "exp": now + int(lifetime.total_seconds())}
    return jwt.encode({"alg": ALGORITHM, "kid": key.thumbprint()}, body, key, algorithms=[ALGORITHM])


class Authenticator:
    """Reads tokens, remembering the ones it has checked until they expire: a signature is slow, a look-up is not."""

    def __init__(self, settings: Settings) -> None:
        self._key = token_key(settings)
        self._registry = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": ISSUER},
            exp={"essential": True},
            sub={"essential": True},
            role={"essential": True, "values": [str(role) for role in TOKEN_ROLES]},
            marketplace={"essential": True},
        )
        self._seen: OrderedDict[str, tuple[Actor, int]] = OrderedDict()
        self._lock = Lock()

    def actor(self, authorization: str | None) -> Actor:
        """The actor of an Authorization header. Raises Unauthenticated saying what is wrong with it."""
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated()
        known = self._seen.get(token)
        if known is not None and known[1] > time.time():
            return known[0]
        actor, expires = self._read(token)
        with self._lock:
            self._seen[token] = (actor, expires)
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        return actor

    def _read(self, token: str) -> tuple[Actor, int]:
        try:
            claims = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
            self._registry.validate(claims)
            ids = [claims["sub"], claims.get("acts_for", claims["sub"]), claims["marketplace"]]
            if not all(isinstance(value, str) and is_id(value) for value in ids):
                raise Unauthenticated(f"The token's sub, acts_for and marketplace: {ID_RULE}")
            role = Role(claims["role"])
            # Only a party is acted for: staff speak for themselves, so that their acts carry their own name.
            acts_for = ids[1] if role in PARTIES else ids[0]
            return Actor(role, ids[0], acts_for, ids[2]), int(claims["exp"])
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise Unauthenticated(f"The access token is not accepted: {_why(error)}.") from error


def _why(error: Exception) -> str:
    return getattr(error, "error", None) or "it is not a token of this service"
