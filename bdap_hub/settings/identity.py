"""The OpenID provider, what each kind of it needs, and what a login must prove."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ..access import two_factors
from .projects import RequirementSettings
from .section import Section


class LevelSettings(Section):
    """An assurance level: proven by any of `acr`, by all methods of any combination in `amr`, or by `two_kinds`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    acr: tuple[str, ...] = Field((), description="Values of the claim acr, each of which proves the level.")
    amr: tuple[tuple[str, ...], ...] = Field((), description="Combinations of methods in the claim amr (RFC 8176).")
    two_kinds: bool = Field(False, description="Methods of two kinds (knowledge, possession, inherence) prove it too.")

    @model_validator(mode="after")
    def _provable(self) -> Self:
        if not (self.acr or self.amr or self.two_kinds) or () in self.amr or "" in self.acr:
            raise ValueError(f"level {self.name}: nothing proves it; name acr values or amr combinations")
        for value in self.acr:
            if value.lower() in SINGLE_FACTOR or value.lower().endswith(("/loa/basic", "/loa/low")):
                raise ValueError(f"level {self.name}: acr {value!r} says that one factor was enough")
        for methods in self.amr:
            if not two_factors(methods):
                raise ValueError(
                    f"level {self.name}: amr {list(methods)} is one factor; name methods of two kinds, or add 'mfa'"
                )
        return self


# Values of acr that promise no second factor: REFEDS, SAML's names for passwords, and Keycloak's first two levels.
SINGLE_FACTOR = frozenset(
    {
        "0",
        "1",
        "https://refeds.org/profile/sfa",
        "urn:oasis:names:tc:saml:2.0:ac:classes:unspecified",
        "urn:oasis:names:tc:saml:2.0:ac:classes:password",
        "urn:oasis:names:tc:saml:2.0:ac:classes:passwordprotectedtransport",
    }
)
# `none` and HS* are no signatures that only the provider can make.
ALGORITHMS = tuple(f"{family}{bits}" for family in ("PS", "RS", "ES") for bits in (512, 384, 256))
REFEDS_MFA = "https://refeds.org/profile/mfa"
EU_LOGIN = "https://ecas.ec.europa.eu"
# What differs between providers; what is given in bdap.yaml goes before. See docs/how-to/eu-login.md for the sources.
PRESETS: dict[str, dict[str, Any]] = {
    "generic": {},
    "keycloak": {
        "scope": ["openid", "profile", "email"],
        "username_claim": "preferred_username",
        "levels": [{"name": "mfa", "acr": ["mfa"], "amr": [["mfa"]], "two_kinds": True}],
    },
    "eulogin": {
        "issuer": f"{EU_LOGIN}/cas/oauth2",
        "client_authentication": "client_secret_jwt",
        "assertion_audience": "token_endpoint",
        "scope": ["openid", "email", "hr"],
        "algorithms": ["PS512"],
        "claims_from": "id_token",
        "groups_claim": f"{EU_LOGIN}/claims/groups",
        "levels": [
            {"name": "mfa", "acr": [f"{EU_LOGIN}/loa/medium", f"{EU_LOGIN}/loa/high"]},
            {"name": "high", "acr": [f"{EU_LOGIN}/loa/high"]},
        ],
        "ask": "acr_values",
    },
}
Action = Literal["administer", "publish-public", "gpu"]


class IdentitySettings(Section):
    """The OpenID provider, what we demand of it, and how long a login counts."""

    preset: Literal["generic", "eulogin", "keycloak"] = Field(
        "generic", description="Defaults for a provider; whatever else is given here goes before."
    )
    issuer: str = "http://localhost:8010"
    client_id: str = "bdap-hub"
    public_client_id: str = Field(
        "",
        description="The provider's client without a secret with which programs on people's own machines log in, by "
        "device flow with PKCE; empty: they use hub tokens.",
    )
    client_authentication: Literal[
        "auto", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"
    ] = Field("auto", description="How we prove who we are; auto: by secret, as the provider's discovery offers.")
    assertion_audience: Literal["issuer", "token_endpoint"] = Field(
        "issuer", description="Whom the assertions of client_secret_jwt and private_key_jwt name."
    )
    assertion_algorithm: str = Field(
        "", description="How they are signed, if the provider wants one; empty: the strongest that both sides offer."
    )
    scope: tuple[str, ...] = ("openid", "profile", "email", "groups")
    algorithms: tuple[str, ...] = Field(
        ("PS512", "PS256", "RS256", "ES256"), description=f"Accepted signatures of tokens, of {', '.join(ALGORITHMS)}."
    )
    claims_from: Literal["id_token", "userinfo", "both"] = Field(
        "both", description="Where names and groups come from; both: UserInfo where it states them, else the id_token."
    )
    username_claim: str = Field("sub", description="Names the account at the first login; `sub` keys it ever after.")
    display_name_claim: str = "name"
    email_claim: str = "email"
    groups_claim: str = "groups"
    admin_group: str = "bdap-admins"
    levels: tuple[LevelSettings, ...] = Field(
        (LevelSettings(name="mfa", acr=(REFEDS_MFA,), amr=(("mfa",),), two_kinds=True),),
        description="Assurance levels, lowest first; the first is what every login must prove.",
    )
    ask: Literal["claims", "acr_values", "nothing"] = Field(
        "claims", description="How a level's acr is asked for: as an essential claim, as acr_values, or not at all."
    )
    step_up: dict[Action, RequirementSettings] = Field(
        {}, description="What an action demands of the login: administer, publish-public, gpu."
    )
    session_hours: float = Field(12, gt=0, description="A login lasts this long at most.")
    revocation_seconds: float = Field(
        300, ge=4, description="Somebody whom the provider no longer lets in has lost everything after this long."
    )
    provider_grace: float = Field(
        3600, ge=0, description="Seconds for which logins, servers and tokens outlive a provider that does not answer."
    )
    unproven_hours: float = Field(
        24, gt=0, description="Servers and tokens end when the provider has not confirmed their owner for this long."
    )
    logged_out_hours: float = Field(
        1,
        gt=0,
        description="Servers and tokens of somebody who has logged out everywhere end when the provider has not "
        "confirmed them for this long since.",
    )

    @property
    def recheck_seconds(self) -> float:
        """A yes of the provider serves this long. With the sweeper's pace and the caches it stays within the bound."""
        return self.revocation_seconds / 2

    @property
    def sweep_seconds(self) -> float:
        """The pace at which everybody who is logged in, or has a server or a token, is looked at."""
        return self.revocation_seconds / 4

    @property
    def cache_seconds(self) -> float:
        """Services remember the hub's answers this long."""
        return min(30.0, self.revocation_seconds / 10)

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("preset", "generic") not in PRESETS:
            return given
        return {**PRESETS[given.get("preset", "generic")], **given}

    @model_validator(mode="after")
    def _strong(self) -> Self:
        for name in self.algorithms:
            if name.lower() == "none" or name.upper().startswith("HS"):
                raise ValueError(f"algorithms may not contain {name!r}: it does not prove who signed")
            if name not in ALGORITHMS:
                raise ValueError(f"algorithms contains {name!r}; known: {', '.join(ALGORITHMS)}")
        if not self.algorithms:
            raise ValueError("algorithms is empty: no id_token could be trusted")
        if not self.levels:
            raise ValueError("levels is empty: MFA would not be proven")
        if self.preset == "eulogin" and self.client_authentication in ("client_secret_basic", "client_secret_post"):
            raise ValueError(
                f"client_authentication is {self.client_authentication!r}, which EU Login refuses; "
                "use client_secret_jwt or private_key_jwt"
            )
        if self.public_client_id and self.public_client_id == self.client_id:
            raise ValueError("public_client_id is the platform's own client, which has a secret: register another")
        if "openid" not in self.scope:
            raise ValueError("scope lacks 'openid': the provider would not say who somebody is")
        names = [level.name for level in self.levels]
        if len(set(names)) < len(names):
            raise ValueError(f"levels names one level twice: {names}")
        for action, demand in self.step_up.items():
            if demand.level and demand.level not in names:
                raise ValueError(f"step_up.{action} demands the level {demand.level!r}; known: {names}")
        return self
