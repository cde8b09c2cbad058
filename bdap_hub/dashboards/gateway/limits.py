"""What one visitor may take: messages and bytes a second of a socket, kernels of a person and of an address. PURE.

Clocks are handed in. Each gateway process counts its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .crowd import network_of

BURST_SECONDS = 20.0  # a page that opens asks for all of its widgets at once
KEPT_SECONDS = 120.0  # a kernel whose page is gone ends after that
KEPT_COPY_SECONDS = 60.0  # a visitor's copy of a release's process


class Bucket:
    """So many a second, and a burst of twenty seconds' worth."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._room, self._at = rate, rate * BURST_SECONDS, now

    def take(self, amount: float, now: float) -> float:
        """Seconds that the sender has to wait after this."""
        self._room = min(self._rate * BURST_SECONDS, self._room + (now - self._at) * self._rate) - amount
        self._at = now
        return max(0.0, -self._room / self._rate)


@dataclass
class _Seat:
    """A kernel that a page was given. Open sockets hold it; without one it is free at `until`."""

    release: str
    address: str
    person: str
    kernel: str
    until: float
    sockets: int = 0


class Seats:
    """Kernels by who has them."""

    def __init__(self, per_address: int, per_person: int) -> None:
        self._per_address, self._per_person = per_address, per_person
        self._seats: list[_Seat] = []

    def refusal(self, address: str, person: str, now: float) -> str:
        """Why there is no kernel more for them now; '' where there is."""
        address = network_of(address)
        self._seats = [seat for seat in self._seats if seat.until > now]
        if sum(seat.address == address for seat in self._seats) >= self._per_address:
            return f"{self._per_address} kernels of the address {address} are running"
        if person and sum(seat.person == person for seat in self._seats) >= self._per_person:
            return f"{self._per_person} kernels of {person} are running"
        return ""

    def page(self, release: str, address: str, person: str, now: float) -> None:
        """A page that has a kernel was sent."""
        address = network_of(address)
        self._seats.append(_Seat(release, address, person, "", now + KEPT_SECONDS))

    def joined(self, release: str, address: str, person: str, kernel: str, now: float) -> str:
        """A socket wants the kernel: '' and it holds it until `left`, or why not."""
        address = network_of(address)
        here = [seat for seat in self._seats if seat.release == release and seat.until > now]
        mine = [seat for seat in here if seat.kernel == kernel]
        waiting = [seat for seat in here if (seat.address, seat.person, seat.kernel) == (address, person, "")]
        if mine and mine[0].person != person:
            return f"the kernel is {mine[0].person or 'somebody'}'s"
        if not (mine or waiting):
            if why := self.refusal(address, person, now):
                return why
            self.page(release, address, person, now)
            waiting = self._seats[-1:]
        seat = (mine or waiting)[0]
        seat.kernel, seat.until, seat.sockets = kernel, math.inf, seat.sockets + 1
        return ""

    def left(self, release: str, kernel: str, now: float, kept: float = KEPT_SECONDS) -> None:
        """The socket ended; the kernel, where there is one, waits so long for its page to come back."""
        for seat in self._seats:
            if (seat.release, seat.kernel) == (release, kernel):
                seat.sockets -= 1
                seat.until = math.inf if seat.sockets > 0 else now + kept
