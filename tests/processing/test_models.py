"""Stored models against numpy: the models are made here, with onnx' own helper."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bdap_hub.errors import BdapError
from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.engine.evaluate import Compiled, Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.engine.limits import Limits
from bdap_hub.processing.engine.models import Models
from bdap_hub.processing.graphs import plan
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.interpret import Context, run
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.workers.order import Order
from bdap_hub.processing.workers.team import Team
from bdap_hub.settings import ProcessingSettings, StoreSettings

from .conftest import X, Y, Z, truth
from .engines import engine_on
from .graphs import load, node, of
from .test_cubes import SQUARE

WEIGHTS = np.array([[0.5, -1, 2], [1, 1, -1]], np.float32)
BIAS = np.array([0.1, -0.2, 0.3], np.float32)
FLOAT = TensorProto.FLOAT


def stored(folder: Path, name: str, nodes: Any, inputs: Any, outputs: Any, weights: Any = (), **more: Any) -> Path:
    graph = helper.make_graph(nodes, name, inputs, outputs, list(weights))
    made = helper.make_model(graph, ir_version=10, **{"opset_imports": [helper.make_opsetid("", 17)], **more})
    path = folder / f"{name}.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def value(name: str, *shape: Any, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def tensors(**arrays: Any) -> list[Any]:
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def softmax(folder: Path, kind: Any = np.float32, name: str = "classes") -> Path:
    """A linear classifier of two features and three classes: the class, and its probabilities."""
    float_type = FLOAT if kind == np.float32 else TensorProto.DOUBLE
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["p"], axis=1),
        helper.make_node("ArgMax", ["p"], ["label"], axis=1, keepdims=0),
    ]
    return stored(
        folder, name, nodes, [value("x", None, 2, kind=float_type)],
        [value("label", None, kind=TensorProto.INT64), value("p", None, 3, kind=float_type)],
        tensors(w=WEIGHTS.astype(kind), b=BIAS.astype(kind)),
    )  # fmt: skip


def forest(folder: Path) -> Path:
    """A tree of the domain ai.onnx.ml, as scikit-learn's forests are exported: is the second feature above 0.5?"""
    tree = helper.make_node(
        "TreeEnsembleClassifier", ["x"], ["label", "p"], domain="ai.onnx.ml", classlabels_int64s=[3, 8, 9],
        nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2], nodes_featureids=[1, 0, 0], nodes_values=[0.5, 0.0, 0.0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"], nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0],
        nodes_missing_value_tracks_true=[0, 0, 0], nodes_hitrates=[1.0] * 3, post_transform="NONE",
        class_treeids=[0] * 6, class_nodeids=[1, 1, 1, 2, 2, 2], class_ids=[0, 1, 2] * 2,
        class_weights=[0.9, 0.1, 0.0, 0.15, 0.8, 0.05],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    outputs = [value("label", None, kind=TensorProto.INT64), value("p", None, 3)]
    return stored(folder, "forest", [tree], [value("x", None, 2)], outputs, opset_imports=opsets)


def blur(folder: Path) -> Path:
    """A convolution of two bands to one, over 3 x 3 pixels."""
    kernel = np.stack([np.full((3, 3), 1 / 9), np.diag([0, 1.0, 0])]).astype(np.float32)[np.newaxis]
    nodes = [helper.make_node("Conv", ["x", "k"], ["y"], pads=[1, 1, 1, 1])]
    shape = (None, 2, None, None)
    return stored(folder, "blur", nodes, [value("x", *shape)], [value("y", None, 1, None, None)], tensors(k=kernel))


def cube(dates: int = 2) -> Cube:
    data = np.random.default_rng(4).uniform(0, 1, (dates, 2, 6, 6)).astype(np.float32)
    data[0, 1, 2, 3] = np.nan
    labels = {"t": tuple(f"2024-0{i + 1}-01" for i in range(dates)), "bands": ("B04", "B08")}
    return Cube(data, ("t", "bands", "y", "x"), labels)


def predict(folder: Path, name: str, process: str = "ml_predict", a: Cube | None = None, **more: Any) -> Cube:
    raw = {
        "a": load("a"),
        "m": node("load_ml_model", id=name),
        "p": node(process, True, data=of("a"), model=of("m"), **more),
    }
    models = Models(folder, 2**20)
    found = run(parse(raw, REGISTRY), Context(SQUARE, lambda n: a or cube(), models=models.get))
    assert isinstance(found, Cube)
    return found


def probabilities() -> Any:
    scores = np.einsum("tbyx,bk->ktyx", cube().data.astype(np.float64), WEIGHTS) + BIAS[:, None, None, None]
    return np.exp(scores) / np.exp(scores).sum(axis=0)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_classes_and_probabilities_are_those_of_numpy(tmp_path: Path, kind: Any) -> None:
    softmax(tmp_path, kind)
    want, missing = probabilities(), np.isnan(cube().data).any(axis=1)
    got = predict(tmp_path, "classes", "ml_predict_probabilities")
    assert got.labels["class"] == (0, 1, 2) and set(got.dims) == {"class", "t", "y", "x"}
    np.testing.assert_allclose(got.aligned(("class", "t", "y", "x")), want, rtol=1e-5)
    classes = predict(tmp_path, "classes")
    assert classes.labels["predictions"] == (0,)
    got_classes = classes.aligned(("predictions", "t", "y", "x"))[0]
    np.testing.assert_array_equal(got_classes, np.where(missing, np.nan, want.argmax(axis=0)))
    assert missing.sum() == 1


def test_a_forest_gives_its_own_labels(tmp_path: Path) -> None:
    forest(tmp_path)
    second = cube().data[:, 1]
    want = np.where(np.isnan(second), np.nan, np.where(second <= 0.5, 3, 8))
    got = predict(tmp_path, "forest")
    np.testing.assert_array_equal(got.aligned(("predictions", "t", "y", "x"))[0], want)
    found = predict(tmp_path, "forest", "ml_predict_probabilities").aligned(("class", "t", "y", "x"))
    np.testing.assert_allclose(
        found[1], np.where(np.isnan(second), np.nan, np.where(second <= 0.5, 0.1, 0.8)), rtol=1e-6
    )


def test_features_may_stand_along_several_dimensions(tmp_path: Path) -> None:
    stored(tmp_path, "total", [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)], [value("x", None, 4)],
           [value("y", None)], tensors(axes=np.array([1], np.int64)))  # fmt: skip
    got = predict(tmp_path, "total", dimensions=["t", "bands"])
    assert got.dims == ("predictions", "y", "x")
    np.testing.assert_allclose(got.data[0], cube().data.sum(axis=(0, 1)), rtol=1e-6)


def test_images_go_through_a_convolution_without_seams(tmp_path: Path, fields: Any) -> None:
    blur(tmp_path)
    whole = predict(tmp_path, "blur", a=cube(1)).aligned(("predictions", "t", "y", "x"))[0, 0]
    first, second = cube(1).data[0]
    missing = np.isnan(second)
    ones = np.pad(np.where(missing, 0, first), 1)
    want = sum(ones[i : i + 6, j : j + 6] for i in range(3) for j in range(3)) / 9 + second
    np.testing.assert_allclose(whole, want, rtol=1e-5)
    predicted = {
        "process_graph": {
            "m": node("load_ml_model", id="blur"),
            "p": node("ml_predict", True, data={"from_parameter": "data"}, model=of("m")),
        }
    }
    sides = [{"dimension": name, "value": 32, "unit": "px"} for name in ("x", "y")]
    around = [{"dimension": name, "value": 1, "unit": "px"} for name in ("x", "y")]
    raw = {
        "a": load(bands=["B04", "B08"]),
        "n": node("apply_neighborhood", True, data=of("a"), process=predicted, size=sides, overlap=around),
    }
    engine, made = engine_and_graph(tmp_path, fields, raw)
    red, nir = (truth(0)[name].astype(np.float64) for name in ("B04", "B08"))
    got = engine.cube(made, Grid.tile(Z, X, Y))
    rows, columns = np.s_[100:200], np.s_[100:256]
    around_red = sum(red[99 + i : 199 + i, 99 + j : 255 + j] for i in range(3) for j in range(3)) / 9
    wanted = (around_red + nir[rows, columns])[:, :156]
    np.testing.assert_allclose(got.aligned(("predictions", "t", "y", "x"))[0, 0, rows, columns], wanted, rtol=1e-4)


def engine_and_graph(folder: Path, fields: Any, raw: Any) -> tuple[Engine, Compiled]:
    engine = engine_on(fields[0], models=folder)
    graph = parse(raw, REGISTRY)
    asked = queries(graph)
    made = plan.build(graph, asked, {"fields": fields[1]}, {q.node: fields[2] for q in asked}, 100)
    return engine, Compiled.of(graph, made, models=engine.models)


def test_tiles_are_classified_and_know_their_model(tmp_path: Path, fields: Any) -> None:
    path = softmax(tmp_path)
    raw = {
        "a": load(bands=["B04", "B08"]),
        "m": node("load_ml_model", id="classes"),
        "p": node("ml_predict", data=of("a"), model=of("m")),
        "r": node("reduce_dimension", True, data=of("p"), dimension="t",
                  reducer={"process_graph": {"f": node("first", True, data={"from_parameter": "data"})}}),
    }  # fmt: skip
    engine, made = engine_and_graph(tmp_path, fields, raw)
    got = engine.cube(made, Grid.tile(Z, X, Y)).data.squeeze()
    assert set(np.unique(got[np.isfinite(got)])) <= {0, 1, 2} and np.isfinite(got).mean() > 0.9
    before = engine.models.versions(made.graph)
    path.write_bytes(path.read_bytes() + b"")
    softmax(tmp_path, np.float64)
    assert engine.models.versions(made.graph) != before
    with pytest.raises(GraphError) as error:
        engine_and_graph(tmp_path, fields, {**raw, "m": node("load_ml_model", id="other")})
    assert error.value.code == "ModelNotFound" and "classes" in error.value.remedy


def test_a_worker_has_the_models_too(tmp_path: Path, fields: Any) -> None:
    softmax(tmp_path)
    first = {"process_graph": {"f": node("first", True, data={"from_parameter": "data"})}}
    raw = {
        "a": load(bands=["B04", "B08"]),
        "m": node("load_ml_model", id="classes"),
        "p": node("ml_predict", data=of("a"), model=of("m")),
        "r": node("reduce_dimension", True, data=of("p"), dimension="t", reducer=first),
    }
    engine, made = engine_and_graph(tmp_path, fields, raw)
    section = ProcessingSettings(port=1, models=tmp_path)
    team = Team(1, Limits(StoreSettings(root=fields[0]), section))
    team.start()
    try:
        order = Order(made.plan.id, "", Z, X, Y, 256, "NPY", "")
        got = np.load(io.BytesIO(team.image(order, "here", lambda: (json.dumps(raw), made.plan.dump()))))
    finally:
        team.close()
    np.testing.assert_array_equal(got.squeeze(), engine.cube(made, Grid.tile(Z, X, Y)).data.squeeze())


def outside(folder: Path) -> None:
    (folder.parent / "secret.onnx").write_bytes(softmax(folder).read_bytes())
    (folder / "linked.onnx").symlink_to(folder.parent / "secret.onnx")


@pytest.mark.parametrize(
    "name", ["nothing", "linked", "secret", "..", "a/b", "classes.onnx", "/etc/passwd", "../secret"]
)
def test_no_other_file_is_a_model(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    outside(folder)
    assert predict(folder, "classes").data.size
    with pytest.raises(GraphError) as error:
        predict(folder, name)
    assert error.value.code in ("ModelNotFound", "ProcessArgumentInvalid")
    assert str(tmp_path) not in str(error.value.public())


def with_external_weights(folder: Path) -> None:
    made = onnx.load_model_from_string(softmax(folder).read_bytes())
    weights = made.graph.initializer[0]
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="/etc/hostname")
    weights.ClearField("raw_data")
    (folder / "bad.onnx").write_bytes(made.SerializeToString())


def external_in_an_attribute(folder: Path) -> None:
    hidden = numpy_helper.from_array(np.zeros(2, np.float32))
    hidden.data_location = TensorProto.EXTERNAL
    hidden.external_data.add(key="location", value="../x")
    node_ = helper.make_node("Constant", [], ["c"], value=hidden)
    stored(
        folder, "bad", [node_, helper.make_node("Add", ["x", "c"], ["y"])], [value("x", None, 2)], [value("y", None, 2)]
    )


def foreign(folder: Path) -> None:
    nodes = [helper.make_node("FusedMatMul", ["x", "w"], ["y"], domain="com.microsoft")]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    stored(folder, "bad", nodes, [value("x", None, 2)], [value("y", None, 3)], tensors(w=WEIGHTS), opset_imports=opsets)


def endless(folder: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Identity", ["v"], ["v2"])], "body",
        [value("i", kind=TensorProto.INT64), value("c", kind=TensorProto.BOOL), value("v", None, 2)],
        [value("c2", kind=TensorProto.BOOL), value("v2", None, 2)],
    )  # fmt: skip
    nodes = [helper.make_node("Loop", ["", "go", "x"], ["y"], body=body)]
    stored(folder, "bad", nodes, [value("x", None, 2)], [value("y", None, 2)], tensors(go=np.array(True)))


def textual(folder: Path) -> None:
    stored(folder, "bad", [helper.make_node("Identity", ["x"], ["y"])], [value("x", None, 2, kind=TensorProto.STRING)],
           [value("y", None, 2, kind=TensorProto.STRING)])  # fmt: skip


def not_a_model(folder: Path) -> None:
    (folder / "bad.onnx").write_bytes(b"\xff\xfe nothing of the kind")


def large(folder: Path) -> None:
    (folder / "bad.onnx").write_bytes(bytes(2**20 + 1))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (with_external_weights, "other files"), (external_in_an_attribute, "other files"), (foreign, "com.microsoft"),
        (endless, "Loop"), (textual, "inputs are"), (not_a_model, "ONNX"), (large, "1 MB"),
    ],
)  # fmt: skip
def test_models_that_reach_beyond_themselves_are_refused(tmp_path: Path, make: Any, said: str) -> None:
    make(tmp_path)
    with pytest.raises(BdapError, match=re.escape(said)) as error:
        predict(tmp_path, "bad")
    assert isinstance(error.value, GraphError) and error.value.code == "ModelUnsupported"


def test_features_must_be_as_many_as_the_model_takes(tmp_path: Path) -> None:
    softmax(tmp_path)
    three = Cube(np.zeros((3, 6, 6), np.float32), ("bands", "y", "x"), {"bands": ("a", "b", "c")})
    with pytest.raises(GraphError, match="takes 2 features; the cube has 3"):
        predict(tmp_path, "classes", a=three)
    with pytest.raises(GraphError) as error:
        predict(tmp_path, "classes", dimensions=["features"])
    assert error.value.code == "DimensionNotAvailable"


def test_a_model_without_probabilities_says_so(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=1)]
    stored(tmp_path, "one", nodes, [value("x", None, 2)], [value("y", None, 1)], tensors(axes=np.array([1], np.int64)))
    assert predict(tmp_path, "one").labels["predictions"] == (0,)
    with pytest.raises(GraphError, match="no probabilities"):
        predict(tmp_path, "one", "ml_predict_probabilities")
