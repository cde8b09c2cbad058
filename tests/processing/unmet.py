"""openEO's assertions that do not pass, each with its reason. `case`: it contradicts its specification, or its data.

`here`: we do otherwise, on purpose or because something is missing.
"""

from __future__ import annotations

_PARAMETER = "calls the parameter `process`; the specification calls it `condition`"
_ELEMENT = "hands in a bare graph with a parameter `element`; the specification has {process_graph: …} and `x`"
_OTHER_DATES = "its intervals are in January, the cube's dates in June: there is nothing to aggregate"
_ONE_PIXEL = "takes the last pixel of blue's first row as 165; in the cube of the case it is 255, no data"
_INVERTED = "replaces where the mask is 0; the specification replaces where it is not"
_FAR = "takes the polygon as around the cube's pixels; it lies 600 km east of them"
_NO_TARGET = "leaves out `target`, which is required"
_OTHER_NAME = "names the dimension `t` in what returns; it was `t2`, and no dimension is renamed"
_TWO_KINDS = "expects the labels dropped; case 7 expects them kept, and the specification says nothing of it"
_GRID = "y and x cannot be renamed: they are the grid of the view"

UNMET: dict[str, tuple[str, str]] = {
    "aggregate_temporal/5": ("case", _OTHER_DATES),
    "aggregate_temporal/6": ("case", _OTHER_DATES),
    "aggregate_temporal/7": ("case", _OTHER_DATES),
    "aggregate_temporal/8": ("case", _OTHER_DATES),
    "aggregate_temporal/9": ("case", "`labels` stands inside the reducer instead of beside it"),
    "aggregate_temporal/10": ("case", "the reducer is `mean`; the values expected are medians"),
    "aggregate_temporal_period/3": ("case", "aggregates hours; the labels expected are of days"),
    "aggregate_temporal_period/4": ("case", "expects YYYY-MM-DD-00 for days; the specification says YYYY-DDD"),
    "aggregate_temporal_period/8": ("case", _OTHER_NAME),
    "aggregate_temporal_period/9": ("case", _OTHER_NAME),
    "all/8": ("case", "[no data] gives true; the specification's example gives no data"),
    "any/8": ("case", "[no data] gives false; the specification's example gives no data"),
    "apply/2": ("case", _ONE_PIXEL),
    "apply_dimension/1": ("case", _ONE_PIXEL),
    "apply_dimension/2": ("case", "works along `bands`, which the cube of the case does not have"),
    "array_append/0": ("case", "appends 0 to [] and expects [1]"),
    "array_apply/5": ("case", _TWO_KINDS),
    "array_apply/6": ("case", _TWO_KINDS),
    "array_apply/8": ("case", "calls a process `mulitply`"),
    "array_element/3": ("case", "asks for the label BO2 (letter O), and there is B02 (zero)"),
    "array_element/7": ("here", "the index -1 is refused earlier, by its schema: ProcessArgumentInvalid"),
    **{f"array_filter/{number}": ("case", _PARAMETER) for number in range(7)},
    "array_find/6": ("case", "expects 1 for the first element; indices count from 0"),
    "array_modify/3": ("case", "removes an element without a `length`, whose default is 0"),
    "count/4": ("case", _ELEMENT),
    "count/5": ("case", _ELEMENT),
    "filter_bands/2": ("here", "a band that is not there is refused by its name; expected is a cube without bands"),
    "filter_bands/4": ("case", "asks for red and blue, expects blue and green"),
    "lte/15": ("case", "expects that infinity is not at most infinity, against IEEE 754"),
    "mask/0": ("case", _INVERTED),
    "mask/1": ("case", "refers to a file that does not exist"),
    "mask/2": ("case", _INVERTED),
    "mask_polygon/0": ("case", _FAR),
    "mask_polygon/1": ("case", _FAR),
    "mask_polygon/6": ("case", "the file expected leaves four pixels of one band on one date unmasked"),
    "mod/16": ("case", "the result has the sign of the divisor -infinity, so it cannot be 2"),
    "normalized_difference/3": ("case", "passes null, which the schema of `x` does not allow"),
    "product/10": ("case", "expects NaN for 1 · -infinity · 3 · infinity, which is -infinity by IEEE 754"),
    "reduce_dimension/1": ("case", "refers to nodes by `from_argument`, which is neither node nor parameter"),
    "rename_dimension/3": ("here", _GRID),
    "rename_dimension/4": ("here", _GRID),
    "rename_labels/5": ("case", _NO_TARGET),
    "rename_labels/7": ("case", _NO_TARGET),
}
