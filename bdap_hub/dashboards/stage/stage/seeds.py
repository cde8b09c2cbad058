"""Random numbers after the fork: a notebook that seeded a generator itself draws alike for all visitors, as everywhere.

Every other generator gets a seed of its own in each copy.
"""

from __future__ import annotations

import contextlib
import functools
import random
import sys
import weakref
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

CHOSEN_BITS = 100  # numpy's own entropy has 128: one with less was chosen
CHOSEN_TORCH = 2**32  # torch's own has 53 bits
_chosen: weakref.WeakSet[random.Random] = weakref.WeakSet()
_free: set[int] = set()  # numpy's shared generator, once it was seeded without a word of what with


def watch() -> None:
    """From now on it is known which of `random`'s generators, and whether numpy's shared one, were given a seed."""
    seed, setstate = random.Random.seed, random.Random.setstate

    def seeded(self: random.Random, a: Any = None, version: int = 2) -> None:
        seed(self, a, version)
        (_chosen.discard if a is None else _chosen.add)(self)

    def restored(self: random.Random, state: Any) -> None:
        setstate(self, state)
        _chosen.add(self)

    for name, function in (("seed", seeded), ("setstate", restored)):
        setattr(random.Random, name, function)
        setattr(random, name, getattr(random._inst, name))  # type: ignore[attr-defined]
    if "numpy.random" in sys.modules:
        _watch_numpy(sys.modules["numpy.random"])
    else:
        sys.meta_path.insert(0, _Numpy())


def kinds() -> list[type]:
    """The classes of generators."""
    numpy = getattr(sys.modules.get("numpy"), "random", None)
    return [random.Random, *(getattr(numpy, name) for name in ("Generator", "RandomState") if hasattr(numpy, name))]


def chosen(found: Any) -> bool:
    """Whether the notebook, or a library, gave it its seed."""
    if isinstance(found, random.Random):
        return found in _chosen
    if id(found) in _free:
        return False
    bits = getattr(found, "bit_generator", None) or getattr(found, "_bit_generator", None)
    entropy = getattr(getattr(bits, "_seed_seq", None), "entropy", None)
    return not (isinstance(entropy, int) and entropy.bit_length() > CHOSEN_BITS)


class _Numpy:
    """Waits until the notebook imports it: many never do."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Called by Python's import."""
        spec = PathFinder.find_spec(name, path, target) if name == "numpy.random" else None
        if spec is not None and spec.loader is not None:
            sys.meta_path.remove(self)
            execute = spec.loader.exec_module

            def executed(module: ModuleType) -> None:
                execute(module)
                _watch_numpy(module)

            spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


def _watch_numpy(module: Any) -> None:
    """Its shared generator looks the same after `seed()` and after `seed(7)`."""
    seed, set_state, shared = module.seed, module.set_state, id(module.mtrand._rand)

    @functools.wraps(seed)
    def seeded(*given: Any, **named: Any) -> None:
        seed(*given, **named)
        values = (*given, *named.values())
        (_free.add if all(value is None for value in values) else _free.discard)(shared)

    @functools.wraps(set_state)
    def restored(state: Any) -> None:
        set_state(state)
        _free.discard(shared)

    module.seed, module.set_state = seeded, restored


class Seeds:
    """Made before the fork, used after it."""

    def __init__(self, alive: Iterable[Any]) -> None:
        self._drawing = [found for found in alive if not chosen(found)]
        main = random._inst  # type: ignore[attr-defined]
        self._state = main.getstate() if chosen(main) else None  # Python itself seeds that one anew after a fork

    def renew(self) -> None:
        """What was not chosen draws differently from now on."""
        if self._state is not None:
            random.setstate(self._state)
        numpy = getattr(sys.modules.get("numpy"), "random", None)
        if numpy is not None and not chosen(numpy.mtrand._rand):
            numpy.seed()
        torch = sys.modules.get("torch")
        if torch is not None and not (hasattr(torch, "initial_seed") and torch.initial_seed() < CHOSEN_TORCH):
            torch.seed()
        for each in self._drawing:
            with contextlib.suppress(Exception):  # some generators of others take no seed
                _seed(each)


def _seed(found: Any) -> None:
    if hasattr(found, "bit_generator"):
        found.bit_generator.state = type(found.bit_generator)().state
    else:
        found.seed()
