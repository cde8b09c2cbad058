"""The workers of the service: started, kept alive, each given the tiles of its own regions."""

from __future__ import annotations

import functools
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from queue import Empty
from typing import Any

from ...errors import Unavailable
from ..alone import environment
from ..cancel import check
from ..engine.limits import Limits
from .frames import Line
from .member import Asked, Died, Member
from .order import Order
from .routing import choose
from .worker import restored

log = logging.getLogger("bdap.processing")
LOOK = 0.1
START = 30.0
"""Seconds to wait for a worker while none is ready."""
STUCK = 30.0
"""Seconds after which a worker is replaced that neither ends what nobody wants any more nor answers."""
AGAIN = 60.0
"""Seconds for which an order that ended two workers is not tried again."""
Stored = Callable[[], tuple[str, str]]


class Team:
    """So many workers. `slow` is told that the thread that waits for an order waits for the store."""

    def __init__(self, count: int, limits: Limits, slow: Callable[[], None] = lambda: None) -> None:
        self.count, self._slow = count, slow
        sections = {"store": limits.store, "processing": limits.processing}
        self._settings = json.dumps({name: part.model_dump(mode="json") for name, part in sections.items()}).encode()
        self.members: dict[int, Member] = {}
        self._change, self._quiet = threading.Condition(), threading.Lock()
        self._deadly: dict[Order, float] = {}
        self._mother: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._closed = False
        self._keeper = threading.Thread(target=self._keep, name="workers", daemon=True)

    def start(self) -> None:
        """Start the workers; who asks earlier waits for the first."""
        self._keeper.start()

    def close(self) -> None:
        """End all of them."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        if self._keeper.ident is not None:
            self._keeper.join()

    def image(self, order: Order, region: str, stored: Stored) -> bytes:
        """The image of a tile. `stored` gives the plan's graph and content to a worker that does not know it.

        Where its worker ends meanwhile it is drawn once more, alone in a worker; Unavailable where that ends too.
        """
        if self._deadly.get(order, 0.0) > time.monotonic():
            raise _deadly()
        try:
            return self._asked(self._chosen(region), order, stored)
        except Died:
            return self._asked_alone(order, stored)

    def _asked(self, member: Member, order: Order, stored: Stored) -> bytes:
        number, asked = member.take()
        head = {**order.head(), "do": "draw", "id": number, "beside": self._beside(member)}
        try:
            member.tell(head)
            return self._answer(member, asked, head, stored)
        except BaseException:
            member.drop(number)  # unless it has said its last of it
            raise

    def _answer(self, member: Member, asked: Asked, head: dict[str, Any], stored: Stored) -> bytes:
        while True:
            try:
                said = asked.said.get(timeout=LOOK)
            except Empty:
                check()
                continue
            if said is None:
                raise Died
            answer, image = said
            if answer["is"] == "drawn":
                return image
            if answer["is"] == "failed":
                raise restored(answer)
            if answer["is"] == "slow":
                self._slow()
            else:
                graph, content = stored()
                member.tell({**head, "graph": graph, "content": content})

    def _asked_alone(self, order: Order, stored: Stored) -> bytes:
        """One such order at a time, so that the next worker's end is nobody else's fault."""
        while not self._quiet.acquire(timeout=LOOK):
            check()
        try:
            member = self._idle()
            try:
                return self._asked(member, order, stored)
            except Died:
                now = time.monotonic()
                self._deadly = {each: until for each, until in self._deadly.items() if until > now}
                self._deadly[order] = now + AGAIN
                raise _deadly() from None
            finally:
                member.alone = False
        finally:
            self._quiet.release()

    def _chosen(self, region: str) -> Member:
        """The worker for a region, once there is one."""

        def found() -> Member | None:
            loads = {member.slot: member.load for member in self._present()}
            return self.members[choose(region, loads)] if loads else None

        return self._waited_for(found)

    def _idle(self) -> Member:
        """A worker that has nothing else to do, and gets nothing else from now on."""

        def least() -> Member | None:
            return min(self._present(), key=lambda member: member.load, default=None)

        while True:
            member = self._waited_for(least)
            member.alone = True
            try:
                self._waited_for(functools.partial(_at_rest, member))
            except BaseException:
                member.alone = False
                raise
            if not member.gone:
                return member

    def _waited_for(self, found: Callable[[], Member | None]) -> Member:
        until = time.monotonic() + START
        with self._change:
            while (member := found()) is None:
                if self._closed or time.monotonic() > until:
                    raise Unavailable("no process is there that draws tiles", "try again in a minute")
                self._change.wait(LOOK)
                check()
            return member

    def _present(self) -> list[Member]:
        return [each for each in self.members.values() if each.ready and not each.gone and not each.alone]

    def _beside(self, member: Member) -> int:
        """How many orders the others have under way."""
        return sum(each.load for each in list(self.members.values()) if each is not member)

    def _changed(self) -> None:
        with self._change:
            self._change.notify_all()

    def _keep(self) -> None:
        """Start what is missing, end what is stuck. The kernel ends the workers with this thread."""
        while True:
            with self._change:
                self._change.wait(1.0 if self.members else 0.0)
                if self._closed:
                    break
            for slot in range(self.count):
                self._see_to(slot)
        self._end()

    def _see_to(self, slot: int) -> None:
        member = self.members.get(slot)
        try:
            if member is None:
                self.members[slot] = self._started(slot)
            elif member.gone and time.monotonic() - member.born > 1:  # else it ended at once, and so may the next
                log.warning("worker %d ended and is replaced", slot)
                self.members[slot] = self._started(slot)
            elif not member.gone and member.stuck(STUCK):
                log.warning("worker %d is stuck and is ended", slot)
                member.end()
        except OSError as error:
            log.error("no worker could be started: %s", error.strerror)

    def _started(self, slot: int) -> Member:
        ours, theirs = socket.socketpair()
        with theirs:
            for attempt in (1, 2):
                control = self._mothers()
                try:
                    socket.send_fds(control, [self._settings], [theirs.fileno()])
                    break
                except OSError:
                    self._end_mother()
                    if attempt == 2:
                        ours.close()
                        raise
        return Member(slot, Line(ours), self._changed)

    def _mothers(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._mother = subprocess.Popen(
                    [sys.executable, "-m", "bdap_hub.processing.workers.mother"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=environment(),
                    start_new_session=True,
                )
        return self._control

    def _end_mother(self) -> None:
        if self._control is not None and self._mother is not None:
            self._control.close()
            self._control = None
            self._mother.kill()
            self._mother.wait()

    def _end(self) -> None:
        for member in self.members.values():
            member.leave()
        until = time.monotonic() + 2
        while time.monotonic() < until and not all(member.gone for member in self.members.values()):
            time.sleep(0.01)
        for member in self.members.values():
            member.end()
        self._end_mother()


def _at_rest(member: Member) -> Member | None:
    return member if member.gone or not member.load else None


def _deadly() -> Unavailable:
    return Unavailable(
        "the evaluation of this tile ended its process twice",
        "choose fewer dates or bands, or tell the platform's operators",
    )
