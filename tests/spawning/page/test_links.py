"""Where a link may lead: to the person's own servers and the hub's pages, however the address is written."""

from __future__ import annotations

import pytest

from bdap_hub.spawning.page.links import asked, is_server_name, own_path, spawn_link

HOME = "/user/ana/"
OWN = [
    "/user/ana/",
    "/user/ana/lab/tree/notebooks/first-map.ipynb",
    "/user/ana/train/lab/tree/a%20b.ipynb?reset=1#top",
    "/user/ana/lab/tree/100%25.ipynb",
    "/user/ana/lab?next=https://elsewhere.example/",  # the server's own business
    "/hub/user/ana/lab/tree/x.ipynb",  # where JupyterHub leads who asks for a server that does not run
    "/hub/home",
    "/hub/spawn?project=forest",
    "/hub/spawn/ana/train",
    "/hub/token",
]
REFUSED = [
    "",
    "lab/tree/x",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\evil",
    "https:evil.example",
    "https://evil.example/user/ana/",
    "HTTPS:/evil.example/user/ana/",
    "javascript:alert(1)",
    "data:text/html,x",
    "/%2Fevil.example",
    "/%5Cevil.example",
    "%2F%2Fevil.example",
    "/%252Fevil.example",
    "/%25255Cevil.example",
    "/user/ana//evil.example",
    "/user/ana/%2F%2Fevil.example",
    "/user/ana/../ben/lab",
    "/user/ana/%2e%2e/ben/lab",
    "/user/ana/%252e%252e/ben/lab",
    "/user/ana/./lab",
    "/user/ana/..%5cben",
    "/user/ana",
    "/user/anabel/lab",
    "/user/ben/lab",
    "/hub/user/ben/lab",
    "/hub/user/ana/../../logout",
    "/USER/ana/lab",
    "/%75ser/ben/",
    "/user/ana/\tlab",
    "/user/ana/%0d%0aSet-Cookie:x",
    "/user/ana/%00",
    "\t//evil.example",
    " //evil.example",
    "/user/ana/\u2028x",
    "/hub/logout",
    "/hub/api/users/ana/server",
    "/hub/oauth_login",
    "/hub/step-up?next=/x",
    "/hub/home/../logout",
    "/hub/",
    "/services/admin/",
    "//[evil/user/ana/",
    "/user/ana/" + "%25" * 3 + "2" * 3 + "%2525252525252525252e",
]


@pytest.mark.parametrize("wanted", OWN)
def test_ones_own_places_are_kept_as_they_are(wanted: str) -> None:
    assert own_path(wanted, HOME) == wanted


@pytest.mark.parametrize("wanted", REFUSED)
def test_other_places_are_refused(wanted: str) -> None:
    assert own_path(wanted, HOME) == ""


def test_a_link_asks_in_either_form_and_only_once() -> None:
    assert asked({"project": ["forest"], "opt-image": ["lab"], "volumes": ["/"], "next": ["/x"]}) == {
        "project": "forest",
        "image": "lab",
    }
    assert asked({"project": ["forest", "agriculture"], "image": [""], "size": ["large"], "opt-size": ["small"]}) == {}


def test_links_are_built_with_everything_quoted() -> None:
    assert spawn_link("a&b", "lab c") == "/hub/spawn?project=a%26b&image=lab+c"
    assert spawn_link("forest", "lab", "large", "train", "a/na") == (
        "/hub/spawn/a%2Fna/train?project=forest&image=lab&size=large"
    )


@pytest.mark.parametrize(
    ("name", "good"),
    [("train", True), ("a", True), ("run-2", True), ("x" * 30, True), ("x" * 31, False), ("Train", False)]
    + [
        (bad, False) for bad in ("", "2runs", "-a", "a-", "a--b", "a b", "a/b", "..", "tr\u00e4in", "a\n", "a_b", "a.b")
    ],
)
def test_names_of_servers(name: str, good: bool) -> None:
    assert is_server_name(name) is good
