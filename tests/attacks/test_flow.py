"""Attacks on the way there and back: state, issuer, code, verifier, address, errors; and where a login leads to."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode, urljoin, urlsplit

import pytest
from tornado.web import create_signed_value

from tests.attacks.cases import Case, each_flaw_has_its_own_reason, let_in, reasons, refused_then_let_in, said
from tests.attacks.hostile_provider import Bend
from tests.attacks.platform import Browser, Platform, query, with_query

SCRIPT = "<script>alert(1)</script>"
OTHER = "A" * 43


def other_end(address: str) -> str:
    """A state of which only the cookie's name is right."""
    state = query(address)["state"]
    return with_query(address, state=state[:-1] + ("A" if state[-1] != "A" else "B"))


def error(name: str) -> dict[str, str | None]:
    """The provider's answer is an error, with a text of somebody's choice."""
    return {"code": None, "error": name, "error_description": f"call 555 {SCRIPT}", "error_uri": "https://evil.example"}


CASES = (
    Case("no state: absent", "state-missing", back={"state": None}),
    Case("no state: empty", "state-missing", back={"state": ""}),
    Case("no state: mark-up", "state-missing", back={"state": SCRIPT}),
    Case("no state: a cookie's name", "state-missing", back={"state": "../jupyterhub-session-id"}),
    Case("unknown state", "state-unknown", back={"state": OTHER}),
    Case("unknown state: doubled", "state-unknown", back=lambda url: f"{url}&state={OTHER}"),
    Case("wrong state", "state-mismatch", back=other_end),
    Case("issuer not named: absent", "missing-issuer", back={"iss": None}),
    Case("issuer not named: empty", "missing-issuer", back={"iss": ""}),
    Case("another issuer", "other-issuer", back={"iss": "https://evil.example"}),
    Case("another issuer: a slash more", "other-issuer", back=lambda url: with_query(url, iss=query(url)["iss"] + "/")),
    Case("another issuer: by the provider", "other-issuer", Bend(answer={"iss": SCRIPT})),
    Case("no code: absent", "no-code", back={"code": None}),
    Case("no code: empty", "no-code", back={"code": ""}),
    Case("code not honoured: another", "code-refused", back={"code": "another"}),
    Case("code not honoured: verifier of another login", "code-refused", sent={"code_challenge": "A" * 43}),
    Case("code not honoured: challenge taken out", "code-refused", sent={"code_challenge": None}),
    Case("code not honoured: the provider's no", "code-refused", Bend(token_status=400)),
    Case("code not honoured: forbidden", "code-refused", Bend(token_status=403)),
    Case("code not honoured: moved", "code-refused", Bend(token_status=302)),
    Case("wrong nonce: changed in the browser", "wrong-nonce", sent={"nonce": "another"}),
    Case("no nonce: taken out in the browser", "missing-nonce", sent={"nonce": None}),
    Case("an error: not in the standard", "provider-other", back=error(SCRIPT)),
    Case("an error: with a code", "provider-other", back={**error("invalid_scope"), "code": "x"}),
    Case("denied", "provider-access_denied", back=error("access_denied")),
    Case("second factor not possible", "provider-unmet_authentication_requirements", back=error(
        "unmet_authentication_requirements")),
    Case("no UserInfo: refused", "no-userinfo", Bend(userinfo_status=403)),
    Case("two people: UserInfo", "other-person", Bend(userinfo={"sub": "sub-of-another"})),
    Case("the provider fails: codes", "", Bend(token_status=500), status=503),
    Case("the provider fails: too many", "", Bend(token_status=429), status=503),
    Case("the provider fails: UserInfo", "", Bend(userinfo_status=502), status=503),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(platform: Platform, browser_of: Callable[[str], Browser], case: Case) -> None:
    refused_then_let_in(platform, browser_of(case.person), case)


def test_each_flaw_has_its_own_reason() -> None:
    each_flaw_has_its_own_reason(case for case in CASES if case.reason)


@pytest.mark.parametrize("address", ["/hub/other", "/hub/oauth_callback/", "/hub/oauth_callback;x", "//oauth_callback"])
def test_a_code_for_another_address_is_not_honoured(
    platform: Platform, browser_of: Callable[[str], Browser], address: str
) -> None:
    """The provider would send codes anywhere; then they do not serve, for the address is stated when they are used."""
    browser = browser_of("redirected")
    before = platform.mark()
    sent = browser.authorise(with_query(browser.begin(), redirect_uri=f"{platform.url}{address}"))
    answer = browser.get(f"/hub/oauth_callback?{urlencode(query(sent))}")
    assert answer.status_code == 403 and reasons(platform, before) == ["code-refused"]
    assert browser.whoami() == ""


def test_the_address_does_not_follow_the_host_header(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    for headers in ({"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Proto": "https"}):
        answer = browser_of("hosted").get("/hub/oauth_login", headers=headers)
        assert query(answer.headers["Location"])["redirect_uri"] == f"{platform.url}/hub/oauth_callback"


def test_a_login_begun_in_another_browser(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    """Login CSRF: the attacker's own answer, opened in a victim's browser; who they were, they stay."""
    attacker, stranger, victim = browser_of("csrf-attacker"), browser_of("csrf-stranger"), browser_of("csrf-victim")
    let_in(platform, victim, "csrf-victim")
    stranger.begin()
    before = platform.mark()
    address = attacker.authorise(attacker.begin())
    for browser, is_still in ((stranger, ""), (victim, "csrf-victim")):
        answer = browser.get(address)
        assert answer.status_code == 403 and "begun in another browser" in said(answer)
        assert browser.whoami() == is_still
    assert reasons(platform, before) == ["state-unknown"] * 2
    assert attacker.get(address).status_code == 302 and attacker.whoami() == "csrf-attacker"  # the control


@pytest.mark.parametrize(("lax", "reason"), [(False, "code-refused"), (True, "wrong-nonce")])
def test_a_stolen_code(platform: Platform, browser_of: Callable[[str], Browser], lax: bool, reason: str) -> None:
    """Somebody's code put in the thief's own login: the verifier stops it, and the nonce where the provider is lax."""
    person = f"robbed-{lax}".lower()
    victim, thief = browser_of(person), browser_of("thief")
    with platform.provider.bent(person, Bend(lax=lax)):
        stolen = victim.authorise(victim.begin())
        own = thief.authorise(thief.begin())
        before = platform.mark()
        answer = thief.get(with_query(own, code=query(stolen)["code"]))
        assert answer.status_code == 403 and reasons(platform, before) == [reason]
        assert thief.whoami() == "" and not platform.known(person)
        assert victim.get(stolen).status_code == 302 or not lax  # a code that somebody tried may count as used


def test_a_code_serves_once(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    browser, other = browser_of("replayer"), browser_of("replayer-again")
    address = browser.authorise(browser.begin())
    assert browser.get(address).status_code == 302
    before = platform.mark()
    assert browser.get(address).status_code == 403  # the same answer again, in the same browser
    again = with_query(other.authorise(other.begin()), code=query(address)["code"])
    assert other.get(again).status_code == 403  # the same code, in a login of another
    assert reasons(platform, before) == ["state-unknown", "code-refused"]
    assert (browser.whoami(), other.whoami()) == ("replayer", "")


def test_a_login_cookie_that_is_not_ours(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    """Altered, of another login, or too old: sixteen minutes, signed with the right key; a fresh one is let in."""
    secret = (platform.settings.var / "secrets/hub-cookie-secret").read_text().strip()

    def answer(person: str, change: Callable[[str, str], str]) -> int:
        browser = browser_of(person)
        address = browser.authorise(browser.begin())
        cookie = next(c for c in browser.client.cookies.jar if c.name.startswith("bdap-login-"))
        cookie.value = change(cookie.name, (cookie.value or "").strip('"'))
        return browser.get(address).status_code

    def signed_again(minutes: float) -> Callable[[str, str], str]:
        def sign(name: str, value: str) -> str:
            kept = re.search(r"\d+:([A-Za-z0-9+/=]+)\|[0-9a-f]+$", value)
            assert kept
            made_at = time.time() - 60 * minutes
            plain, key = base64.b64decode(kept[1]), bytes.fromhex(secret)
            return create_signed_value(key, name, plain, clock=lambda: made_at).decode()

        return sign

    before = platform.mark()
    assert answer("cookie-altered", lambda name, value: value[:-1] + ("0" if value[-1] != "0" else "1")) == 403
    assert answer("cookie-unsigned", lambda name, value: "e30=") == 403
    assert answer("cookie-old", signed_again(16)) == 403
    assert reasons(platform, before) == ["state-unknown"] * 3
    assert answer("cookie-fresh", signed_again(1)) == 302


def test_only_a_page_comes_back(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    browser = browser_of("poster")
    address = browser.authorise(browser.begin())
    assert browser.client.post(address).status_code in (403, 405)
    assert browser.client.post(address.partition("?")[0], data=query(address)).status_code in (403, 405)
    assert browser.whoami() == "" and browser.get(address).status_code == 302


def test_what_somebody_else_writes_is_not_shown(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    browser = browser_of("reader")
    for name in (SCRIPT, "access_denied", "x" * 5000):
        sent = browser.authorise(browser.begin())
        answer = browser.get(with_query(sent, **error(name)))
        assert answer.status_code == 403
        assert not re.search(r"555|alert\(1\)|evil\.example|xxxx", answer.text), answer.text
        assert query(sent)["state"] not in answer.text and query(sent)["code"] not in answer.text
    unknown = browser.get(f"/hub/oauth_callback?{urlencode({'state': SCRIPT, 'error': SCRIPT, 'iss': SCRIPT})}")
    assert unknown.status_code == 403 and "alert(1)" not in unknown.text


def test_tabs_side_by_side_do_not_collide(browser_of: Callable[[str], Browser]) -> None:
    browser = browser_of("tabs")
    first, second, third = (browser.authorise(browser.begin(f"/hub/oauth_login?next=/hub/{n}")) for n in "abc")
    assert [browser.get(tab).headers["Location"] for tab in (second, first, third)] == ["/hub/b", "/hub/a", "/hub/c"]


def test_a_provider_that_keeps_one_waiting_holds_up_nobody(
    platform: Platform, browser_of: Callable[[str], Browser]
) -> None:
    waiting, busy = browser_of("waiting"), browser_of("busy")
    let_in(platform, busy, "busy")
    address = waiting.authorise(waiting.begin())
    platform.provider.hold.clear()
    try:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(waiting.get, address)
            began = time.monotonic()
            assert busy.whoami() == "busy" and busy.get("/hub/home").status_code == 200
            assert time.monotonic() - began < 3 and not answer.done()
            platform.provider.hold.set()
            assert answer.result(20).status_code == 302  # the control: it was only slow
    finally:
        platform.provider.hold.set()


NEXT = (
    "https://evil.example", "//evil.example", "///evil.example", "////evil.example/%2e%2e", "\\\\evil.example",
    "/\\evil.example", "\\/evil.example", "/\\/evil.example", "/%5cevil.example", "%2f%2fevil.example",
    "%5c%5cevil.example", "/%09/evil.example", "/\t/evil.example", "/\n/evil.example", "\r\n//evil.example",
    " //evil.example", "\x00//evil.example", "\x01//evil.example", "javascript:alert(1)", "JaVaScRiPt:alert(1)//",
    "java\tscript:alert(1)", "data:text/html,<script>alert(1)</script>", "https:evil.example", "https:/evil.example",
    "http://127.0.0.1@evil.example/", "http://127.0.0.1:1/hub/home", "//127.0.0.1:1/hub/home",
    "http://evil.example#@127.0.0.1/", "?next=//evil.example", "#//evil.example", ";//evil.example", "/;@evil.example",
    "/.//evil.example", "/..//evil.example", "/hub/..//evil.example", "/hub/../..//evil.example",
    "/%2e%2e//evil.example",
    "/hub/home\r\nSet-Cookie: evil=1", "/hub/home%0d%0aSet-Cookie:%20evil=1", "／／evil.example", "/。/evil.example",
    "[//evil.example", "http://[::1", "//[", "/" * 3000 + "evil.example", "vbscript:x", "ftp://evil.example/",
)  # fmt: skip


def test_the_judge_knows_where_a_browser_goes() -> None:
    away = ("//evil.example", "/\\evil.example", "/\t/evil.example", " //evil.example", "https:evil.example")
    assert all(origin("http://127.0.0.1:8000", target)[1] == "evil.example" for target in away)
    assert origin("http://127.0.0.1:8000", "/hub/..//evil.example") == ("http", "127.0.0.1:8000")


def origin(base: str, location: str) -> tuple[str, str]:
    """Where a browser goes from `base` (WHATWG URL): it drops tabs and line ends, and takes \\ for /."""
    text = re.sub(r"[\t\r\n]", "", location.strip("".join(map(chr, range(33))))).replace("\\", "/")
    text = re.sub(r"^/{2,}", "//", re.sub(r"^(https?):/*", r"\1://", text, flags=re.IGNORECASE))
    parts = urlsplit(urljoin(base, text))
    return parts.scheme, parts.netloc


@pytest.mark.parametrize("target", NEXT, ids=lambda target: repr(target[:40]))
def test_a_login_leads_nowhere_else(platform: Platform, browser_of: Callable[[str], Browser], target: str) -> None:
    browser = browser_of("wanderer")
    here = (urlsplit(platform.url).scheme, urlsplit(platform.url).netloc)
    for page in ("/hub/oauth_login", "/hub/login"):  # the second time, logged in
        answer = browser.get(f"{page}?next={quote(target, safe='')}")
        if answer.is_redirect and answer.headers["Location"].startswith(platform.provider.issuer):
            answer = browser.get(browser.authorise(answer.headers["Location"]))
        refused = (400,) if page == "/hub/oauth_login" else (400, 500)  # JupyterHub's own page fails at some
        assert answer.is_redirect or answer.status_code in refused, said(answer)
        assert origin(platform.url, answer.headers.get("Location", "/")) == here, answer.headers["Location"]
        assert "evil" not in browser.cookies()


@pytest.mark.parametrize("target", ["/hub/token", "/hub/spawn?a=b&c=%2F%2Fx", "/hub/home#there"])
def test_a_login_leads_where_one_wanted_to_go(browser_of: Callable[[str], Browser], target: str) -> None:
    answer = browser_of("walker").log_in(f"/hub/oauth_login?next={quote(target, safe='')}")
    assert answer.headers["Location"] == target
