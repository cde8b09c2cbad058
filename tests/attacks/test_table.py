"""The table as a whole: one reason a flaw, over all areas of the login; and the documents name every one."""

from __future__ import annotations

import re

from tests.attacks import test_back_channel, test_flow, test_identity, test_mfa, test_refresh, test_step_up, test_token
from tests.attacks.cases import each_flaw_has_its_own_reason
from tests.conftest import ROOT

LOGIN = (*test_token.CASES, *test_mfa.CASES, *test_flow.CASES, *test_identity.CASES)
ALL = (*LOGIN, *test_step_up.LEVEL, *test_step_up.AGE, *test_refresh.CASES, *test_back_channel.CASES)


def test_each_flaw_of_a_login_has_its_own_reason() -> None:
    each_flaw_has_its_own_reason(case for case in LOGIN if case.reason)


def test_every_reason_is_documented() -> None:
    text = (ROOT / "docs/explanation/security.md").read_text()
    documented = set(re.findall(r"`([a-z_-]+)`", text))
    assert {case.reason for case in ALL if case.reason} - documented == set()


def test_the_number_of_addresses_that_the_documents_state() -> None:
    assert f"{len(test_flow.NEXT)} addresses in `next`" in (ROOT / "docs/explanation/security.md").read_text()
