"""What one visitor may take: by a clock of the test's own."""

from __future__ import annotations

import pytest

from bdap_hub.dashboards.gateway.limits import BURST_SECONDS, KEPT_SECONDS, Bucket, Seats


def test_a_burst_passes_and_a_flood_waits():
    bucket = Bucket(10, now=0)
    assert [bucket.take(1, 0) for _ in range(int(10 * BURST_SECONDS))] == [0] * int(10 * BURST_SECONDS)
    assert bucket.take(1, 0) == pytest.approx(0.1)
    assert bucket.take(10, 0) == pytest.approx(1.1)
    assert bucket.take(1, 60) == 0  # who was quiet may speak again


@pytest.mark.parametrize(("person", "most"), [("ana", 2), ("", 3)])
def test_kernels_of_a_person_and_of_an_address(person: str, most: int):
    seats = Seats(per_address=3, per_person=2)
    for number in range(most):
        assert not seats.refusal("1.2.3.4", person, 0)
        assert not seats.joined("r", "1.2.3.4", person, f"k{number}", 0)
    assert seats.refusal("1.2.3.4", person, 0) and seats.joined("r", "1.2.3.4", person, "more", 0)
    assert not seats.refusal("5.6.7.8", "ben", 0)
    assert not seats.joined("r", "1.2.3.4", person, "k0", 0)  # the same kernel again is none more
    seats.left("r", "k0", 10)
    seats.left("r", "k0", 10)
    assert seats.refusal("1.2.3.4", person, 10 + KEPT_SECONDS - 1)
    assert not seats.refusal("1.2.3.4", person, 10 + KEPT_SECONDS + 1)


def test_a_page_and_its_socket_are_one_kernel():
    seats = Seats(per_address=1, per_person=1)
    seats.page("r", "a", "ana", 0)
    assert seats.refusal("a", "ana", 1)
    assert not seats.joined("r", "a", "ana", "k", 1)
    assert seats.joined("r", "a", "ana", "k2", 1)
    lost = Seats(1, 1)
    lost.page("r", "a", "", 0)  # whose browser never came back
    assert not lost.refusal("a", "", KEPT_SECONDS + 1)


def test_a_kernel_is_joined_by_whose_it_is():
    seats = Seats(10, 10)
    assert not seats.joined("r", "a", "ana", "k", 0)
    assert "ana" in seats.joined("r", "a", "ben", "k", 0)
    assert not seats.joined("r", "b", "ana", "k", 0)  # from another network
    assert not seats.joined("other", "a", "ben", "k", 0)  # another release's
