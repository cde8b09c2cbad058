"""Settings that libraries read from the environment when they are imported, before it is known whose server this is.

While importing, the variables hold markers; where one was kept, in a module or as a trait's default, `replace` puts
the person's value.
"""

import sys
from collections.abc import Mapping

from traitlets import HasTraits

NAMES = (
    "HOME",
    "JUPYTERHUB_API_URL",
    "JUPYTERHUB_SERVICE_PREFIX",
    "JUPYTERHUB_SSL_KEYFILE",
    "JUPYTERHUB_SSL_CERTFILE",
    "JUPYTERHUB_SSL_CLIENT_CA",
)
VALUES = {name: f"/@{name}@" for name in NAMES}

Place = tuple[dict, str]


def find() -> list[Place]:
    """Every dictionary and key whose text holds a marker."""
    kept = [vars(module) for module in list(sys.modules.values()) if hasattr(module, "__dict__")]
    for cls in _subclasses(HasTraits):
        kept.append(vars(cls).get("_static_immutable_initial_values", {}))
        kept += [vars(trait) for trait in vars(cls).get("_traits", {}).values()]
    return [(one, key) for one in kept for key, value in list(one.items()) if isinstance(value, str) and _marked(value)]


def replace(places: list[Place], environment: Mapping[str, str]) -> None:
    """Put the environment's values in the markers' place; of a variable that is not set, nothing."""
    for kept, key in places:
        for name, marker in VALUES.items():
            kept[key] = kept[key].replace(marker, environment.get(name, ""))


def _marked(text: str) -> bool:
    return "/@" in text and any(marker in text for marker in VALUES.values())


def _subclasses(cls: type) -> set[type]:
    found = {cls}
    for one in cls.__subclasses__():
        found |= _subclasses(one)
    return found
