"""Processes on arrays: made, joined, searched, sorted. Elements are plain values, or layers of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..cubes.extent import instant
from ..cubes.values import Series, fits, floats, has_layers, items, labelled, labels_of, number, plain, position, series
from ..graphs.graph import GraphError
from ..graphs.spec import process
from .comparison import eq, same
from .lifted import NO_DATA

SAME_LENGTH = "On pixels no-data values stay, at the end: the array is as long for each pixel."


@process
def array_create(data: Any = (), repeat: Any = 1) -> Any:
    """These values, as often as asked for."""
    values = items(data) if isinstance(data, (list, tuple, Series)) else [data]
    fits(0, len(values) * int(repeat))
    return values * int(repeat)


@process
def array_create_labeled(data: Any, labels: Any) -> Any:
    """These values with these labels."""
    values, names = items(data), items(labels)
    if len(values) != len(names):
        raise GraphError("ArrayLengthMismatch", f"there are {len(values)} values and {len(names)} labels")
    return labelled(values, names)


@process
def array_element(data: Any, index: Any = None, label: Any = None, return_nodata: Any = False) -> Any:
    """The element at an index (from 0) or with a label."""
    if (index is None) == (label is None):
        code = "ArrayElementParameterMissing" if index is None else "ArrayElementParameterConflict"
        raise GraphError(code, "array_element needs either `index` or `label`")
    at = position(data, label) if index is None else int(index)
    if at is not None and 0 <= at < len(data):
        return data.values[at] if isinstance(data, Series) else items(data)[at]
    if return_nodata:
        return NO_DATA if has_layers(data) else None
    have = f"{len(data)} elements" + (f": {', '.join(map(str, labels_of(data) or ()))}" if labels_of(data) else "")
    raise GraphError(
        "ArrayElementNotAvailable", f"there is no element {label!r}" if index is None else f"there is no element {at}",
        f"the array has {have}",
    )  # fmt: skip


@process
def array_labels(data: Any) -> Any:
    """The labels; the indices where there are none."""
    return list(labels_of(data) or range(len(items(data))))


@process
def array_append(data: Any, value: Any, label: Any = None) -> Any:
    """The array with one value more."""
    values, labels = items(data), labels_of(data)
    if labels is None:
        if label is not None:
            raise GraphError("ArrayNotLabeled", f"the array has no labels, so {label!r} cannot be one")
        return [*values, value]
    new = len(values) if label is None else label
    if new in labels:
        raise GraphError("LabelExists", f"the array has an element {new!r} already")
    return labelled([*values, value], [*labels, new])


@process
def array_concat(array1: Any, array2: Any) -> Any:
    """Two arrays one after the other; labels stay where both have some."""
    return _spliced(items(array1), (labels_of(array1), labels_of(array2)), len(items(array1)), 0, items(array2))


@process
def array_modify(data: Any, values: Any, index: Any, length: Any = 0) -> Any:
    """The array with `length` elements from `index` on replaced by others."""
    have, new = items(data), items(values)
    if index > len(have):
        raise GraphError("ArrayElementNotAvailable", f"there is no element {index}", f"the array has {len(have)}")
    both = (labels_of(data) if have else labels_of(values), labels_of(values) if new else labels_of(data))
    return _spliced(have, both, int(index), int(length), new)


def _spliced(values: list[Any], labels: tuple[Any, Any], index: int, length: int, new: list[Any]) -> Any:
    fits(0, len(values) + len(new))
    joined = [*values[:index], *new, *values[index + length :]]
    mine, theirs = labels
    if mine is None or theirs is None:
        return joined
    kept, added = [*mine[:index], *mine[index + length :]], list(theirs) if new else []
    if twice := set(kept) & set(added):
        raise GraphError("ArrayLabelConflict", f"both arrays have an element {sorted(twice, key=str)[0]!r}")
    return labelled(joined, [*kept[:index], *added, *kept[index:]])


@process
def array_apply(ctx: Any, data: Any, process: Any, context: Any = None) -> Any:
    """Each element put through a process, which also gets its index and label."""
    return labelled(_called(ctx, data, process, context), labels_of(data))


@process(limits="On pixels the condition must be the same for the whole layer, such as one on index or label.")
def array_filter(ctx: Any, data: Any, condition: Any, context: Any = None) -> Any:
    """The elements for which the condition is true."""
    kept = [_certain(met) for met in _called(ctx, data, condition, context)]
    labels = labels_of(data)
    values = [value for value, keep in zip(items(data), kept, strict=True) if keep]
    return labelled(values, labels and [name for name, keep in zip(labels, kept, strict=True) if keep])


@process
def array_contains(data: Any, value: Any) -> Any:
    """Whether a value is in the array."""
    if has_layers(data, value):
        return np.asarray(_equal_layers(data, value).any(axis=0), np.float32)
    return any(same(item, value) for item in items(data))


@process
def array_find(data: Any, value: Any, reverse: Any = False) -> Any:
    """The index of the first (or last) element of that value; no data if there is none."""
    if has_layers(data, value):
        hits = _equal_layers(data, value)
        first = len(hits) - 1 - hits[::-1].argmax(axis=0) if reverse else hits.argmax(axis=0)
        return np.where(hits.any(axis=0), first, np.nan).astype(np.float32)
    found = [index for index, item in enumerate(items(data)) if same(item, value)]
    return found[-1 if reverse else 0] if found else None


@process
def array_find_label(data: Any, label: Any) -> Any:
    """The index of a label; no data if there is none such."""
    return position(data, label)


@process
def array_interpolate_linear(data: Any) -> Any:
    """No data between two values replaced by what lies on the line between them."""
    labels = labels_of(data)
    if has_layers(data):
        whole = series(data)
        return Series(_interpolated(whole.values, _places(labels, len(whole))), whole.labels, whole.aliases)
    values = items(data)
    filled = _interpolated(floats(values), _places(labels, len(values))).tolist()
    kept = [old if new != new else new for old, new in zip(values, filled, strict=True)]
    return labelled(kept, labels)


@process(limits=SAME_LENGTH)
def sort(data: Any, asc: Any = True, nodata: Any = None) -> Any:
    """The values in order; no data are left out, or come last (true) or first (false)."""
    if has_layers(data):
        values = series(data).values
        return Series(np.take_along_axis(values, _order(values, asc, nodata), axis=0))
    values = items(data)
    return [values[index] for index in order(data, asc, nodata)]


@process(limits=SAME_LENGTH)
def order(data: Any, asc: Any = True, nodata: Any = None) -> Any:
    """The indices that would put the values in order; no data as in `sort`."""
    if has_layers(data):
        return Series(_order(series(data).values, asc, nodata).astype(np.float32))
    values = items(data)
    given = [index for index, value in enumerate(values) if value is not None]
    missing = [index for index, value in enumerate(values) if value is None]
    given.sort(key=values.__getitem__, reverse=not asc)
    if not asc:  # equal values keep their order
        given = [i for _, group in _grouped(given, values) for i in sorted(group)]
    return given if nodata is None else given + missing if nodata else missing + given


@process
def rearrange(data: Any, order: Any) -> Any:
    """The elements at these indices, in this order."""
    if has_layers(order):
        indices = series(order).values
        wanted = np.where(np.isnan(indices), 0, indices).astype(np.int64)
        return Series(np.take_along_axis(series(data).values, wanted, axis=0))
    values, labels = items(data), labels_of(data)
    if wrong := [i for i in order if not 0 <= i < len(values)]:
        raise GraphError("ArrayElementNotAvailable", f"there is no element {wrong[0]}", f"there are {len(values)}")
    return labelled([values[i] for i in order], labels and [labels[i] for i in order])


def _called(ctx: Any, data: Any, callback: Any, context: Any) -> list[Any]:
    labels = labels_of(data) or (None,) * len(items(data))
    return ctx.call_each(  # type: ignore[no-any-return]
        callback,
        (
            {"x": value, "index": index, "label": label, "context": context}
            for index, (value, label) in enumerate(zip(items(data), labels, strict=True))
        ),
    )


def _certain(met: Any) -> bool:
    if isinstance(met, np.ndarray) and met.ndim and (met == 1).any() != (met == 1).all():
        raise GraphError("ProcessArgumentInvalid", "the condition holds for some pixels only", "mask them instead")
    return met is not None and bool(np.all(np.asarray(met) == 1))


def _equal_layers(data: Any, value: Any) -> Any:
    return np.stack([np.asarray(number(eq(item, value))) == 1 for item in series(data).values])


def _places(labels: Sequence[Any] | None, length: int) -> Any:
    """Where the elements lie on the axis: by number or moment where the labels say it, else by index."""
    if labels and all(isinstance(label, (int, float)) for label in labels):
        return np.array(labels, np.float64)
    try:
        return np.array([instant(label).timestamp() for label in labels or ()] or range(length), np.float64)
    except GraphError:
        return np.arange(length, dtype=np.float64)


def _interpolated(values: Any, places: Any) -> Any:
    """Layer by layer: from the end on the next value and its place are kept, from the start the last ones."""
    after, out = [], values.copy()
    last = (np.full(values.shape[1:], np.nan), np.full(values.shape[1:], np.nan))
    for layer, place in zip(values[::-1], places[::-1], strict=True):
        last = _nearer(layer, place, last)
        after.append(last)
    last = (np.full(values.shape[1:], np.nan), np.full(values.shape[1:], np.nan))
    for index, (layer, place) in enumerate(zip(values, places, strict=True)):
        last = low, start = _nearer(layer, place, last)
        high, end = after[-1 - index]
        share = (place - start) / (end - start)
        out[index] = np.where(np.isnan(layer), low * (1 - share) + high * share, layer)
    return out


def _nearer(layer: Any, place: float, last: tuple[Any, Any]) -> tuple[Any, Any]:
    valid = ~np.isnan(layer)
    return np.where(valid, layer, last[0]), np.where(valid, place, last[1])


def _order(values: Any, asc: bool, nodata: bool | None) -> Any:
    indices = np.argsort(values if asc else -values, axis=0, kind="stable")  # NaN comes last
    if nodata is not False:
        return indices
    missing = np.isnan(np.take_along_axis(values, indices, axis=0))
    return np.take_along_axis(indices, np.argsort(~missing, axis=0, kind="stable"), axis=0)


def _grouped(indices: list[int], values: list[Any]) -> list[tuple[Any, list[int]]]:
    groups: dict[Any, list[int]] = {}
    for index in indices:
        groups.setdefault(plain(values[index]), []).append(index)
    return list(groups.items())
