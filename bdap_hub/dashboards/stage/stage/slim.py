"""Scripts as they are sent: without what no page uses of them, which a browser would read all the same.

What does not look as expected stays as it is.
"""

from __future__ import annotations

import re

_TEXT = rb"""(?:"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|`(?:[^`\\$]|\\.|\$(?!\{))*+`)"""
_LIST = rb"\[(?:%b(?:,%b)*+)?\]" % (_TEXT, _TEXT)
_MAP = re.compile(
    rb",\{version:3,sources:%b,names:%b,mappings:%b(?:,sourcesContent:%b)?,sourceRoot:%b\}(?=\])"
    % (_LIST, _LIST, _TEXT, _LIST, _TEXT),
    re.DOTALL,
)
_DEFINED = re.compile(rb'^(?:/\*![^\n]*\n)?define\("([^"]+)"', re.MULTILINE)


def without_style_maps(script: bytes) -> bytes:
    """Without the source maps of style sheets that webpack packed into it: a third of jupyter-vuetify, which the page
    else writes into its style elements again."""
    return _MAP.sub(b"", script)


def only(bundle: bytes, modules: frozenset[str]) -> bytes:
    """These AMD modules of a bundle; all of it where one of them is not found."""
    found = list(_DEFINED.finditer(bundle))
    ends = [*(match.start() for match in found[1:]), len(bundle)]
    parts = {match[1].decode(): bundle[match.start() : end] for match, end in zip(found, ends, strict=True)}
    if not modules <= parts.keys():
        return bundle
    return b"".join(part for name, part in parts.items() if name in modules)
