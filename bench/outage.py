"""What an outage of the login provider does: two hubs with their provider killed, one patient and one not.

Real hubs, servers, kernels' websockets and the demo's provider. `python -m bench.outage [SECONDS]`, 600 by default;
exits with 1 where somebody was thrown out before the policy says, or stayed on after it, or got in during the outage.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.identity.conftest import Browser, Platform, launch
from tests.identity.test_revocation import OPTIONS, Working, working

BOUND = 60.0


def newcomer(browser: Browser, answer: str) -> str:
    """What somebody is told who had proven everything just before: all but the provider's word for the code."""
    refused = browser.client.get(answer)
    return f"{refused.status_code}{', logged in' if browser.whoami() else ''}"


def watch(people: dict[float, Working], seconds: float) -> list[str]:
    """Look every few seconds; what went against the policy."""
    wrong, gone, begun = [], set(), time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        for grace, person in people.items():
            held = person.holds()
            if grace not in gone and not any(held.values()):
                gone.add(grace)
                print(f"{passed:6.1f} s  grace {grace:.0f} s: everything has ended", flush=True)
            # the last yes is at most half the bound older than the outage
            if passed < grace - BOUND / 2 and not all(held.values()):
                wrong.append(f"grace {grace:.0f} s: thrown out after {passed:.1f} s: {held}")
            if passed > grace + BOUND and any(held.values()):
                wrong.append(f"grace {grace:.0f} s: still on after {passed:.1f} s: {held}")
        if wrong:
            break
        time.sleep(2)
    return wrong


def main(seconds: float) -> int:
    """Both hubs, one person at work on each, and the outage."""
    graces = (3600.0, seconds / 2)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="outage-")))
        platforms: dict[float, Platform] = {}
        people: dict[float, Working] = {}
        waiting: dict[float, tuple[Browser, str]] = {}
        for grace in graces:
            place = folder / f"grace-{grace:.0f}"
            place.mkdir()
            platforms[grace] = launch("demo", place, stack, revocation_seconds=BOUND, provider_grace=grace)
            people[grace] = stack.enter_context(working(platforms[grace], platforms[grace].guest(), OPTIONS))
            browser = Browser(platforms[grace])
            answer = browser.log_in(platforms[grace].guest(), until="/hub/oauth_callback")
            waiting[grace] = browser, str(answer.next_request.url)
        print(f"bound {BOUND:.0f} s; killing both providers for {seconds:.0f} s", flush=True)
        for platform in platforms.values():
            platform.provider.process.stop()
        newcomers = {grace: newcomer(*waiting[grace]) for grace in graces}
        wrong = watch(people, seconds)
        for grace, person in people.items():
            print(f"at the end  grace {grace:.0f} s: {person.holds()}; newcomer: {newcomers[grace]}", flush=True)
        wrong += [f"grace {g:.0f} s: newcomer: {told}" for g, told in newcomers.items() if told != "503"]
        for platform in platforms.values():
            platform.provider.process.start()
        time.sleep(BOUND / 2 + 5)
        held = people[graces[0]].holds()
        print(f"{BOUND / 2 + 5:.0f} s after the provider came back: grace {graces[0]:.0f} s: {held}", flush=True)
        if not all(held.values()):
            wrong.append(f"thrown out when the provider came back: {held}")
    print("\n".join(wrong) or "as the policy says")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 600.0))
