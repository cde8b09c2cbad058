"""How a level of assurance, and a fresh login, are asked for at the provider. PURE: no I/O.

Asking proves nothing: a browser may take it out again. `id_token` decides on what came back.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from tornado.httputil import url_concat

from ..access import Requirement
from .assurance import Levels


def authorize_parameters(
    levels: Levels, ask: str, demand: Requirement, offered: Collection[str] = ()
) -> dict[str, str]:
    """Parameters of the authorisation request for `demand`, at the login's own level where it names none.

    `ask` is identity.ask: `claims` for an essential claim (OpenID Connect Core 5.5.1.1), `acr_values`, or `nothing`.
    `offered` are the acr values that the provider's discovery names: others, which it may refuse outright, are left
    out unless that leaves nothing. `max_age` makes the provider ask for the factors again (Core 3.1.2.1).
    """
    parameters = {} if demand.max_age is None else {"max_age": str(int(demand.max_age))}
    values = levels.acr_for(demand.level or levels.lowest)
    values = tuple(value for value in values if value in offered) or values
    if not values or ask == "nothing":
        return parameters
    if ask == "acr_values":
        return {**parameters, "acr_values": " ".join(values)}
    acr = {"essential": True, "values": list(values)}
    return {**parameters, "claims": json.dumps({"id_token": {"acr": acr}}, separators=(",", ":"))}


def anew(path: str, wanted: str = "") -> str:
    """The login at `path` of ours that makes the provider ask who somebody is, though it knows; on to `wanted` then."""
    return url_concat(path, {"prompt": "login", **({"next": wanted} if wanted else {})})
