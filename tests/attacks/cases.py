"""What a case is, and how it is tried: refused, with its reason and nothing left behind; without its flaw, let in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx

from tests.attacks.hostile_provider import Bend
from tests.attacks.platform import Browser, Change, Platform


@dataclass(frozen=True)
class Case:
    """One attack at a login. The name is `flaw: variant`; variants of one flaw share their reason.

    `bend` is what the provider does; `sent` and `back` are changed in the browser, on the way to the provider and back.
    Without a reason the fault is not the browser's or the person's, and no refusal is recorded.
    """

    name: str
    reason: str
    bend: Bend = field(default_factory=Bend)
    sent: Change = field(default_factory=dict)
    back: Change = field(default_factory=dict)
    status: int = 403

    @property
    def flaw(self) -> str:
        """What is wrong, however it is done."""
        return self.name.partition(":")[0]

    @property
    def person(self) -> str:
        """Somebody whom only this case knows."""
        return re.sub(r"[^a-z0-9]+", "-", f"x {self.name}".lower()).strip("-")[:60]


def refused_then_let_in(platform: Platform, browser: Browser, case: Case) -> None:
    """The attack leaves no session, no user, no account and no server; the same person's honest login succeeds."""
    before = platform.mark()
    with platform.provider.bent(case.person, case.bend):
        answer = browser.log_in(sent=case.sent, back=case.back)
    assert answer.status_code == case.status, said(answer)
    assert reasons(platform, before) == [case.reason] * bool(case.reason)
    assert browser.whoami() == "" and not platform.known(case.person)
    let_in(platform, browser, case.person)


def let_in(platform: Platform, browser: Browser, person: str) -> None:
    """The control: nothing bent."""
    before = platform.mark()
    answer = browser.log_in()
    assert answer.status_code == 302 and answer.headers["Location"].startswith("/hub/"), said(answer)
    assert browser.whoami() == person
    newest = platform.events(before, "login")[-1]
    assert (newest.person, newest.outcome, newest.address) == (person, "allowed", browser.address)


def said(answer: httpx.Response) -> str:
    """What a page says, without its mark-up."""
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", answer.text, flags=re.DOTALL)
    return f"{answer.status_code} {answer.headers.get('Location', '')} {' '.join(text.split())}"


def reasons(platform: Platform, after: int, action: str = "login") -> list[str]:
    """Why that action was refused since then."""
    return [event.reason for event in platform.events(after, action) if event.outcome == "refused"]


def each_flaw_has_its_own_reason(cases: Iterable[Case]) -> None:
    """One reason a flaw, one flaw a reason."""
    pairs = {(case.flaw, case.reason) for case in cases}
    flaws, found = {flaw for flaw, _ in pairs}, {reason for _, reason in pairs}
    assert len(flaws) == len(found) == len(pairs), sorted(pairs, key=lambda pair: pair[1])
