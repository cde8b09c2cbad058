"""Who gets which GPU: from the devices, what is held and who waits, to places. `access` has decided who may ask.

PURE: no I/O, no framework. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ...access import GpuGrant

LABEL = "bdap.gpus"  # of a container: the ids of its GPUs, with commas between


@dataclass(frozen=True)
class Device:
    """A GPU or a MIG instance of a node, which `slots` servers share. `id` as the driver names it, `memory` in bytes.

    `index` is its place in the node: `0` for a GPU, `0:1` for a MIG instance; '' where nobody said.
    """

    node: str
    id: str
    model: str = ""
    memory: int = 0
    slots: int = 1
    index: str = ""


@dataclass(frozen=True)
class Place:
    """One slot of a device: what a server holds, and nobody else at the same time."""

    node: str
    device: str
    slot: int = 0


@dataclass(frozen=True)
class Wish:
    """Who asks since when: `count` different devices of one node whose model contains `model`, in any case.

    `holder` is the name of the container that they are for. `grants` are those of its project from which they can
    come: also how many it may hold at once.
    """

    holder: str
    project: str
    since: float
    count: int = 1
    model: str = ""
    grants: tuple[GpuGrant, ...] = (GpuGrant(),)


@dataclass(frozen=True)
class Held:
    """A place that is taken, until when at the latest (None: no end is set)."""

    place: Place
    holder: str
    project: str
    until: float | None = None


@dataclass(frozen=True)
class Running:
    """A container as the engine shows it: the ids of its GPUs, when it was made, and where ('': on the one node)."""

    holder: str
    person: str
    project: str
    image: str
    devices: tuple[str, ...]
    since: float
    node: str = ""


def suits(wish: Wish, device: Device) -> bool:
    """Whether this device is of the kind that is wished for."""
    return _is(wish.model, device.model) and any(_is(grant.model, device.model) for grant in wish.grants)


def within(wish: Wish, devices: Iterable[Device], taken: Iterable[tuple[str, Place]]) -> list[Device]:
    """The suitable devices from grants that leave room for this wish, by what (project, place) is taken."""
    devices = list(devices)
    models = {(device.node, device.id): device.model for device in devices}
    mine = [models.get((place.node, place.device), "") for project, place in taken if project == wish.project]
    open_ones = [
        grant
        for grant in wish.grants
        if grant.count is None or sum(_is(grant.model, model) for model in mine) + wish.count <= grant.count
    ]
    left = [device for device in devices if any(_is(grant.model, device.model) for grant in open_ones)]
    return [device for device in left if suits(wish, device)]


def _is(model: str, found: str) -> bool:
    return model.lower() in found.lower()


def possible(wish: Wish, devices: Iterable[Device]) -> bool:
    """Whether some node could serve it if nothing were held."""
    per_node = Counter(device.node for device in devices if suits(wish, device))
    return wish.count <= max(per_node.values(), default=0)


def line(waiting: Iterable[Wish], held: Iterable[Held]) -> tuple[Wish, ...]:
    """The order in which they are served: by arrival, but first whose project has least, counting who is ahead."""
    has = Counter(one.project for one in held)
    left, found = sorted(waiting, key=lambda wish: (wish.since, wish.holder)), []
    while left:
        first = min(left, key=lambda wish: has[wish.project])
        left.remove(first)
        has[first.project] += first.count
        found.append(first)
    return tuple(found)


def place(devices: Collection[Device], held: Collection[Held], waiting: Iterable[Wish]) -> dict[str, tuple[Place, ...]]:
    """The places that can be given now, by holder. Who must wait keeps all that suits them from those behind.

    Not so who waits for nothing but their own project: others are served before them.
    """
    taken = {one.place: one.project for one in held}
    kept: set[tuple[str, str]] = set()
    found: dict[str, tuple[Place, ...]] = {}
    for wish in line(waiting, held):
        if not possible(wish, devices):
            continue
        suitable = within(wish, devices, ((project, place) for place, project in taken.items()))
        given = _one(wish, [device for device in suitable if (device.node, device.id) not in kept], taken)
        if given:
            found[wish.holder] = given
            taken.update(dict.fromkeys(given, wish.project))
        else:
            kept.update((device.node, device.id) for device in suitable)
    return found


def _one(wish: Wish, devices: Iterable[Device], taken: Collection[Place]) -> tuple[Place, ...]:
    """On the node with least to spare: the devices with most free slots first, then those with least memory."""
    free: dict[str, list[tuple[int, int, Place]]] = {}
    for device in devices:
        slots = [p for slot in range(device.slots) if (p := Place(device.node, device.id, slot)) not in taken]
        if slots:
            free.setdefault(device.node, []).append((len(slots) - device.slots, device.memory, slots[0]))
    enough = [found for found in free.values() if len(found) >= wish.count]
    if not enough:
        return ()
    tightest = min(enough, key=lambda found: len(found))
    best = sorted(tightest, key=lambda one: (-one[0], one[1]))
    return tuple(one[2] for one in best[: wish.count])


def position(wish: Wish, devices: Collection[Device], held: Iterable[Held], waiting: Iterable[Wish]) -> int:
    """1 for who is served next, among those who want the same devices."""
    order = line(waiting, held)
    mine = {device for device in devices if suits(wish, device)}
    ahead = order[: order.index(wish)]
    return 1 + sum(any(suits(other, device) for device in mine) for other in ahead)


def due_back(wish: Wish, devices: Iterable[Device], held: Iterable[Held], now: float) -> float | None:
    """When enough suitable devices have a free slot at the latest, were nobody ahead; None where no end is set."""
    ends: dict[tuple[str, str], dict[int, float]] = {}
    for one in held:
        end = float("inf") if one.until is None else one.until
        ends.setdefault((one.place.node, one.place.device), {})[one.place.slot] = end
    per_node: dict[str, list[float]] = {}
    for device in devices:
        if suits(wish, device):
            slots = ends.get((device.node, device.id), {})
            per_node.setdefault(device.node, []).append(min(slots.get(slot, now) for slot in range(device.slots)))
    times = [sorted(found)[wish.count - 1] for found in per_node.values() if len(found) >= wish.count]
    soonest = min(times, default=float("inf"))
    return None if soonest == float("inf") else soonest


def gone(held: Iterable[Held], running: Iterable[Running], starting: Collection[str]) -> tuple[Held, ...]:
    """What is free again: its container does not run with that device, and nobody is about to start it."""
    real = {(one.holder, device) for one in running for device in one.devices}
    return tuple(one for one in held if one.holder not in starting and (one.holder, one.place.device) not in real)


def unknown(
    devices: Iterable[Device], held: Iterable[Held], running: Iterable[Running], node: str
) -> tuple[tuple[Running, Place], ...]:
    """Places of `node` that containers have and nobody wrote down; a slot above the device's own if all are taken."""
    taken, slots = {one.place for one in held}, {device.id: device.slots for device in devices}
    known = {(one.holder, one.place.device) for one in held}
    found = []
    for one in running:
        for device in one.devices:
            if (one.holder, device) in known:
                continue
            most = slots.get(device, 1) + len(taken)
            free = next(p for slot in range(most + 1) if (p := Place(one.node or node, device, slot)) not in taken)
            taken.add(free)
            found.append((one, free))
    return tuple(found)


def free(devices: Iterable[Device], held: Iterable[Held]) -> Mapping[Device, int]:
    """How many slots of each device nobody holds."""
    used = Counter((one.place.node, one.place.device) for one in held)
    return {device: max(0, device.slots - used[device.node, device.id]) for device in devices}
