"""The rules of the page's style sheets that draw it at first, inside the page: it is seen before the sheets are there.

A browser that ran the dashboard's own scripts says which rules these are, by their places in sheets of ours: whatever
it says, nothing but their text gets into the page. PURE.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

ADDRESS = re.compile(r"/_stage/static/[0-9a-f]{16}/(?:lab|stage)/[\w.-]+\.css")
SHEET = re.compile(rf'<link rel="stylesheet" href="({ADDRESS.pattern})">')
COMMENT = re.compile(r"/\*.*?\*/", re.S)
MOST = 64_000
"""Characters of all rules together."""
Rules = Mapping[str, Sequence[tuple[int, int]]]
"""By the sheet, where its rules begin and end: as browsers count, in UTF-16."""


def with_first_rules(page: str, used: Rules, sheet: Callable[[str], tuple[str, str | None]]) -> str:
    """The page with the rules that were used in it, and sheets that nobody waits for: first.js puts them on.

    `sheet` gives, by an address, what a sheet is called in `used`, and its text. The page as it is where there is none,
    or too much.
    """
    found = list(SHEET.finditer(page))
    sheets = [sheet(match[1]) for match in found]
    rules = [rule for name, text in sheets if text for rule in _rules(text, used.get(name, ()))]
    first = "\n".join(rules)
    if not rules or any(text is None for _, text in sheets) or len(first) > MOST or "<" in first:
        return page
    later = SHEET.sub(r'<link rel="stylesheet" href="\1" media="print" data-media="all">', page)
    at, end = found[0].start(), found[-1].end() + len(later) - len(page)
    plain = "".join(match[0] for match in found)
    return f"{later[:at]}<style>{first}</style>{later[at:end]}<noscript>{plain}</noscript>{later[end:]}"


def _rules(text: str, used: Sequence[tuple[int, int]]) -> list[str]:
    """Those that stand by themselves, in no @media or @supports, and load nothing."""
    units, found, depth, at = text.encode("utf-16-le"), list[str](), 0, 0
    bare = COMMENT.sub(_blank, text).encode("utf-16-le")
    for start, end in sorted(used):
        if not at <= start < end <= len(units) // 2:
            continue
        between = _text(bare, at, start)
        depth, at = depth + between.count("{") - between.count("}"), end
        rule = _text(units, start, end)
        alone = depth == 0 and rule.endswith("}") and rule.count("{") == rule.count("}") == 1
        if alone and "url(" not in rule:
            found.append(rule)
    return found


def _blank(comment: re.Match[str]) -> str:
    return " " * (len(comment[0].encode("utf-16-le")) // 2)


def _text(units: bytes, start: int, end: int) -> str:
    return units[2 * start : 2 * end].decode("utf-16-le", "replace")
