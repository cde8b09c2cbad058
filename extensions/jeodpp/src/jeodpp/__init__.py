"""The old name of `bdap.inter`, for notebooks that begin with `from jeodpp import inter, imap`. Nothing of its own."""

import sys

from bdap import inter
from bdap.inter import imap

# `import jeodpp.inter` finds the same modules.
sys.modules |= {f"{__name__}.inter": inter, f"{__name__}.imap": imap}

__all__ = ["imap", "inter"]
