"""The same scene through XRootD's FUSE client: random tiles, nothing decoded before."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bench.common import Row
from tests import xrootd

from .chains import Chain
from .places import Place
from .servers import titiler


def rows(place: Place, stage: Callable[..., Any], chain: Chain, compare: Callable[..., list[Row]]) -> list[Row]:
    """Ours and TiTiler on the first scene, both below the mount; none, with a word, where there is no FUSE."""
    try:
        store = xrootd.new()
    except (pytest.skip.Exception, pytest.fail.Exception) as reason:
        print(f"not through FUSE: {reason}")
        return []
    try:
        item = place.items[0]
        for asset in item["assets"].values():
            path = asset["href"].removeprefix("/eos/data/")
            (store.served / "data" / path).parent.mkdir(parents=True, exist_ok=True)
            os.link(place.data / path, store.served / "data" / path)
        store.open_to_all()
        mounted = replace(place, data=store.mount / "data", items=[item])
        with stage(mounted, cache_mb=24, peers=(titiler,)) as on:
            case = f"{chain.name} of {place.name} through FUSE, native, random tiles"
            return compare(case, on, on.urls(chain), mounted.anywhere("native", 2000))
    finally:
        store.stop()
