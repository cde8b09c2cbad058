"""Stored models (ONNX): read once, checked for what could reach beyond them, evaluated on the CPU with one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError, Message

from ..graphs.graph import GraphError
from .models import unsupported

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
ENDLESS = frozenset({"Loop", "Scan"})
INPUTS = {"tensor(float)": np.float32, "tensor(double)": np.float64}


class Model:
    """A model in memory. It is built from its bytes alone, so it cannot name other files."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        _check(name, content)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = self._guarded(
            lambda: onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        )
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in INPUTS or len(inputs[0].shape) not in (2, 4):
            given = ", ".join(f"{one.type} of {len(one.shape)} dimensions" for one in inputs)
            raise unsupported(name, f"its inputs are {given}", "one input of floats, with 2 or 4 dimensions")
        self.input, self.kind = inputs[0].name, INPUTS[inputs[0].type]
        self.shape: tuple[Any, ...] = tuple(inputs[0].shape)

    def __call__(self, values: Any) -> list[Any]:
        """The outputs for an array of the input's form."""
        found: list[Any] = self._guarded(lambda: self._session.run(None, {self.input: values.astype(self.kind)}))
        return found

    def _guarded[R](self, act: Callable[[], R]) -> R:
        try:
            return act()
        except Exception as error:  # the runtime has classes of its own, without a common base
            said = str(error).replace("\n", " ")[:200]
            raise GraphError("ModelFailed", f"the model {self.name!r} cannot be evaluated: {said}") from error


def _check(name: str, content: bytes) -> None:
    """GraphError for a model that reads other files, has operators of others, or may not end."""
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError:
        raise unsupported(name, "it is not an ONNX file", "export it again") from None
    domains = {one.domain for one in model.opset_import}
    for part in _walk(model):
        if isinstance(part, onnx.TensorProto) and (part.external_data or part.data_location != part.DEFAULT):
            raise unsupported(name, "its weights lie in other files", "save it as one file")
        if isinstance(part, onnx.NodeProto):
            domains.add(part.domain)
            if part.op_type in ENDLESS:
                raise unsupported(name, f"it has the operator {part.op_type}", "export it without loops")
    if strange := sorted(domains - DOMAINS):
        raise unsupported(name, f"it uses operators of {strange[0]!r:.60}", "use those of the ONNX standard")


def _walk(message: Message) -> Iterator[Message]:
    yield message
    for described, value in message.ListFields():
        if described.message_type is not None:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _walk(inner)
