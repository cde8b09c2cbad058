"""Every attack of the list, tried against the running hub by a hostile provider and hostile browsers."""

import pytest

pytest.register_assert_rewrite("tests.attacks.cases", "tests.attacks.platform")
