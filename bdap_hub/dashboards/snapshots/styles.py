"""The rules of the page's style sheets that draw it at first, inside the page: it is seen before the sheets are there.

A browser that ran the dashboard's own scripts says which rules these are, by their places in sheets of ours: whatever
it says, nothing but their text gets into the page. PURE.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

SHEET = re.compile(r'<link rel="stylesheet" href="(/_stage/static/[0-9a-f]{16}/(?:lab|stage)/[\w.-]+\.css)">')
MOST = 64_000
"""Characters of all rules together."""
Rules = Mapping[str, Sequence[tuple[int, int]]]
"""By the sheet's address, where its rules begin and end: as browsers count, in UTF-16."""


def with_first_rules(page: str, used: Rules, sheet: Callable[[str], str | None]) -> str:
    """The page with the rules that were used in it, and sheets that nobody waits for: live.js puts them on.

    `sheet` gives a sheet's text by its address. The page as it is where there is none, or too much.
    """
    found = list(SHEET.finditer(page))
    texts = {match[1]: sheet(match[1]) for match in found}
    rules = [rule for address, text in texts.items() if text for rule in _rules(text, used.get(address, ()))]
    first = "\n".join(rules)
    if not rules or None in texts.values() or len(first) > MOST or "<" in first:
        return page
    later = SHEET.sub(r'<link rel="stylesheet" href="\1" media="print" data-media="all">', page)
    at = found[0].start()
    return f"{later[:at]}<style>{first}</style>{later[at:]}"


def _rules(text: str, used: Sequence[tuple[int, int]]) -> list[str]:
    """Those that stand by themselves, in no @media or @supports, and load nothing."""
    units, found, depth, at = text.encode("utf-16-le"), [], 0, 0
    for start, end in sorted(used):
        if not at <= start < end <= len(units) // 2:
            continue
        between = _text(units, at, start)
        depth, at = depth + between.count("{") - between.count("}"), end
        rule = _text(units, start, end)
        alone = depth == 0 and rule.endswith("}") and rule.count("{") == rule.count("}") == 1
        if alone and "url(" not in rule:
            found.append(rule)
    return found


def _text(units: bytes, start: int, end: int) -> str:
    return units[2 * start : 2 * end].decode("utf-16-le", "replace")
