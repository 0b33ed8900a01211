"""The hospital's OpenID provider: where a browser is sent, and what the provider says of who comes back.

Authlib and joserfc know the protocol (OpenID Connect Core 1.0 3.1, PKCE of RFC 7636); what they leave to their user is
said here: which issuer, which audience, which signatures, and how long ago the person may have signed in. They take
10 MiB, so this module is imported when somebody signs in by the provider, and in a thread.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.common.urls import add_params_to_uri
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from httpx2 import AsyncClient, HTTPError, InvalidURL
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from gateway.config.single_sign_on import OidcPlan
from gateway.web.vouching import Attempt, Clocks, ProviderUnavailable, Vouched, VouchingRefused

DISCOVERY = "/.well-known/openid-configuration"
TIMEOUT_S = 10.0
KNOWN_FOR_S = 3600.0
KEYS_AGAIN_S = 60.0  # after which a token with an unknown key is a reason to ask for the keys again
MOST_HINT = 4096  # characters of a token that still fit into an address
# Never a shared secret, never none: whatever the provider offers.
SIGNATURES = frozenset({f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)} | {"EdDSA"})


class _Metadata(msgspec.Struct, frozen=True):
    """What the provider says of itself (OpenID Connect Discovery 1.0, 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    authorization_response_iss_parameter_supported: bool = False


class _Known(msgspec.Struct, frozen=True):
    """The provider's metadata and keys as they were at `at_s`."""

    metadata: _Metadata
    keys: KeySet
    at_s: float


class Provider:
    """Asks one provider. Making it raises OSError if the secret cannot be read."""

    def __init__(self, plan: OidcPlan, clocks: Clocks) -> None:
        self._plan = plan
        self._clocks = clocks
        self._known: _Known | None = None
        self._one_at_a_time = asyncio.Lock()
        self._secret = plan.client_secret.read_text().strip()
        self._trust = ssl.create_default_context()

    async def sign_in_address(self, attempt: Attempt, back: str) -> str:
        """Where a browser goes to sign in; the provider sends it on to `back`. Raises ProviderUnavailable."""
        metadata = (await self._provider()).metadata
        age = {} if self._plan.max_age_s is None else {"max_age": str(self._plan.max_age_s)}
        async with self._client(metadata, back) as client:
            address, _ = client.create_authorization_url(
                metadata.authorization_endpoint,
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
                **age,
            )
        return str(address)

    async def vouched(self, attempt: Attempt, back: str, code: str, issuer: str | None) -> Vouched:
        """What the provider says of who came back with `code`. Raises ProviderUnavailable or VouchingRefused.

        `issuer` is what the browser brought of who sent it, against a mix-up of providers (RFC 9207).
        """
        known = await self._provider()
        if issuer is not None or known.metadata.authorization_response_iss_parameter_supported:
            _must(issuer == self._plan.issuer, "another issuer sent the browser back")
        try:
            async with asyncio.timeout(TIMEOUT_S), self._client(known.metadata, back) as client:
                answer = await client.fetch_token(
                    known.metadata.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=attempt.verifier,
                )
        except (HTTPError, InvalidURL, TimeoutError, OSError) as error:
            raise ProviderUnavailable(_said(error)) from error
        except (AuthlibBaseError, ValueError) as error:
            raise VouchingRefused(f"the provider took the code for nothing: {_said(error)}") from error
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise VouchingRefused("the provider gave no id token")
        return Vouched(await self._checked(known, token, attempt.nonce, answer.get("access_token")), token)

    async def sign_out_address(self, id_token: str, back: str) -> str | None:
        """Where a browser goes to end the sign-in at the provider as well; None: the provider has no such page."""
        try:
            metadata = (await self._provider()).metadata
        except ProviderUnavailable:
            return None
        if not metadata.end_session_endpoint:
            return None
        asked = {"client_id": self._plan.client_id, "post_logout_redirect_uri": back}
        if len(id_token) <= MOST_HINT:
            asked["id_token_hint"] = id_token
        return str(add_params_to_uri(metadata.end_session_endpoint, list(asked.items())))

    async def _checked(self, known: _Known, token: str, nonce: str, access_token: object) -> Mapping[str, object]:
        """The claims of a token that is signed by the provider, for us, for this sign-in and now."""
        try:
            decoded = await self._decoded(known, token)
            claims: Any = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": self._plan.issuer},
                    "aud": {"essential": True, "value": self._plan.client_id},
                },
                {"nonce": nonce, "client_id": self._plan.client_id, "access_token": access_token},
            )
            claims.validate(now=int(self._clocks.wall_s()), leeway=self._plan.leeway_s)
        except (JoseError, AuthlibBaseError, ValueError, TypeError) as error:
            raise VouchingRefused(f"the id token is not valid: {_said(error)}") from error
        if self._plan.max_age_s is not None:
            since_s = decoded.claims.get("auth_time")
            _must(isinstance(since_s, int), "the id token lacks auth_time, which max_age_s needs")
            age_s = self._clocks.wall_s() - cast("int", since_s)
            _must(age_s <= self._plan.max_age_s + self._plan.leeway_s, "signed in at the provider too long ago")
        return decoded.claims

    async def _decoded(self, known: _Known, token: str) -> jwt.Token:
        """The token, once its signature is the provider's; keys that it changed meanwhile are fetched."""
        allowed = SIGNATURES.intersection(known.metadata.id_token_signing_alg_values_supported)
        registry = JWSRegistry(algorithms=sorted(allowed), strict_check_header=False)
        try:
            return jwt.decode(token, known.keys, registry=registry)
        except InvalidKeyIdError:
            if self._clocks.steady_s() - known.at_s < KEYS_AGAIN_S:
                raise
            self._known = None
            return jwt.decode(token, (await self._provider()).keys, registry=registry)

    async def _provider(self) -> _Known:
        """The provider as it describes itself. Raises ProviderUnavailable."""
        async with self._one_at_a_time:
            if self._known is None or self._clocks.steady_s() - self._known.at_s > KNOWN_FOR_S:
                self._known = await self._asked()
            return self._known

    async def _asked(self) -> _Known:
        try:
            async with asyncio.timeout(TIMEOUT_S), AsyncClient(verify=self._trust, timeout=TIMEOUT_S) as client:
                answer = await client.get(self._plan.issuer.rstrip("/") + DISCOVERY)
                metadata = msgspec.json.decode(answer.raise_for_status().content, type=_Metadata)
                self._check(metadata)
                answer = await client.get(metadata.jwks_uri)
                keys = KeySet.import_key_set(answer.raise_for_status().json())
        except (HTTPError, InvalidURL, TimeoutError, OSError, ValueError, KeyError, TypeError, JoseError) as error:
            raise ProviderUnavailable(_said(error)) from error
        return _Known(metadata, keys, self._clocks.steady_s())

    def _check(self, metadata: _Metadata) -> None:
        """Nobody else's metadata, and no endpoint in clear. Raises ValueError."""
        if metadata.issuer != self._plan.issuer:
            raise ValueError(f"the provider calls itself {metadata.issuer!r}, not as configured")
        scheme = "https://" if self._plan.issuer.startswith("https://") else "http://"
        endpoints = (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri)
        if not all(each.startswith(scheme) for each in endpoints):
            raise ValueError(f"the provider has endpoints that do not begin with {scheme}")

    def _client(self, metadata: _Metadata, back: str) -> Any:  # noqa: ANN401 - Authlib has no types
        basic = "client_secret_basic" in metadata.token_endpoint_auth_methods_supported
        return AsyncOAuth2Client(
            client_id=self._plan.client_id,
            client_secret=self._secret,
            token_endpoint_auth_method="client_secret_basic" if basic else "client_secret_post",
            scope=" ".join(self._plan.scopes),
            redirect_uri=back,
            code_challenge_method="S256",
            verify=self._trust,
            timeout=TIMEOUT_S,
        )


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise VouchingRefused(otherwise)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
