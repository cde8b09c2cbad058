"""Asks the catalogue (STAC) as the visitors the explorer is meant for: without a token, what is public alone."""

from __future__ import annotations

from typing import Any

import httpx
from bdap.errors import BdapError, NotReachable, ServiceError
from bdap.filters import DATES, day_of

from .period import Period

Box = tuple[float, float, float, float]
MOST = 500
SECONDS = 30.0
CLEAR = 20
"""Percent of cloud below which an image is a good first one."""
HIDDEN = frozenset({401, 403, 404})


class Catalogue:
    """The catalogue at `url`; with a token it answers for whoever has it."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        # A plain http address is the platform's inside: no proxy of the environment may see the token.
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers=headers, timeout=SECONDS, trust_env=url.startswith("https:")
        )

    def collections(self) -> list[dict[str, Any]]:
        """Those that may be seen."""
        return list(self._ask("GET", "/collections", params={"limit": MOST})["collections"])

    def collection(self, name: str) -> dict[str, Any] | None:
        """One of them; None where there is none of that name, or it may not be seen: nobody learns which."""
        try:
            return self._ask("GET", f"/collections/{name}")
        except ServiceError as error:
            if error.status in HIDDEN:
                return None
            raise

    def months(self, name: str) -> list[tuple[str, int]]:
        """(YYYY-MM, items), the oldest first."""
        body = {"collections": [name], "aggregations": ["datetime_frequency"]}
        (found,) = self._ask("POST", "/aggregate", json=body)["aggregations"]
        return sorted((str(bucket["key"])[:7], int(bucket["frequency"])) for bucket in found["buckets"])

    def count(self, name: str, period: Period, box: Box | None = None) -> int:
        """How many items the period has, in the box if there is one."""
        body = {**_search(name, period, box), "aggregations": ["total_count"]}
        (found,) = self._ask("POST", "/aggregate", json=body)["aggregations"]
        return int(found["value"])

    def items(self, name: str, period: Period, box: Box | None = None, limit: int = MOST) -> list[dict[str, Any]]:
        """Footprint, id and date of the items of a period, at most `limit`."""
        fields = {
            "include": ["id", "geometry", *DATES, "properties.eo:cloud_cover"],
            "exclude": ["assets", "links"],
        }
        body = {**_search(name, period, box), "limit": limit, "fields": fields}
        return list(self._ask("POST", "/search", json=body)["features"])

    def clear_day(self, name: str, before: str = "") -> Period:
        """The latest day with few clouds, else the latest day; none where the collection is empty.

        `before`: earlier than that day.
        """
        for clear in (True, False):
            body: dict[str, Any] = {
                "collections": [name],
                "limit": 1,
                "sortby": [{"field": "datetime", "direction": "desc"}],
            }
            if before:
                body["datetime"] = f"../{before}T00:00:00Z"
            if clear:
                body["query"] = {"eo:cloud_cover": {"lt": CLEAR}}
            if found := self._ask("POST", "/search", json=body)["features"]:
                return Period(day_of(found[0]))
        return Period()

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise NotReachable(
                f"the catalogue does not answer ({type(error).__name__})", "try again in a moment"
            ) from None
        if answer.is_success:
            return dict(answer.json())
        raise _refusal(answer)


def _search(name: str, period: Period, box: Box | None = None) -> dict[str, Any]:
    days = period.days
    body: dict[str, Any] = {"collections": [name]}
    if days:
        body["datetime"] = f"{days[0]}T00:00:00Z/{days[1]}T23:59:59Z"
    return body | ({"bbox": list(box)} if box else {})


def _refusal(answer: httpx.Response) -> BdapError:
    try:
        body = answer.json()
        return ServiceError(
            str(body["message"]), str(body.get("remedy", "")), str(body.get("code", "")), answer.status_code
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return ServiceError(
            f"the catalogue answered {answer.status_code}", "try again in a moment", "", answer.status_code
        )
