"""What was started last is remembered, the latest first, each person's own; on both databases."""

from __future__ import annotations

from bdap_hub.database import connect
from bdap_hub.spawning.page.choosing import Use
from bdap_hub.spawning.page.uses import latest, remember


def test_the_latest_first_and_one_row_each(database_url: str) -> None:
    store = connect(database_url)
    for at, project, size in ((1.0, "forest", "small"), (2.0, "agriculture", ""), (3.0, "forest", "large")):
        remember(store, "ana", Use(project, "lab", size, at))
    remember(store, "ben", Use("forest", "gpu", "", 9.0))
    assert latest(store, "ana") == (Use("forest", "lab", "large", 3.0), Use("agriculture", "lab", "", 2.0))
    assert latest(store, "ben") == (Use("forest", "gpu", "", 9.0),) and latest(store, "pia") == ()
    remember(store, "pia", Use("forest", "lab"))
    assert latest(store, "pia")[0].at > 1_700_000_000
