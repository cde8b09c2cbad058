"""Each runner of jobs keeps to the contract: tasks end as they should, on this machine and in a real HTCondor pool."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.processing.jobs.contract import Event, Runner, Task, Wish, restore
from bdap_hub.processing.jobs.htcondor import CondorRunner, handed_over
from bdap_hub.processing.jobs.local import LocalRunner
from bdap_hub.processing.jobs.worker import _evaluator
from bdap_hub.settings import Settings

from .conftest import make_collection
from .engines import compiled
from .graphs import load, ndvi_median, node, of
from .test_models import engine_and_graph, softmax


@dataclass
class Place:
    """A runner, and a store that its workers see."""

    runner: Runner
    fields: Any
    results: Path
    pool: Any = None


@pytest.fixture(scope="module", params=["local", pytest.param("htcondor", marks=pytest.mark.docker)])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("runner")
    if request.param == "local":
        yield Place(LocalRunner(), request.getfixturevalue("fields"), folder)
        return
    pool = request.getfixturevalue("condor")
    settings = pool.settings(folder)
    store = settings.store.root
    runner = CondorRunner(settings)
    yield Place(runner, (store, *make_collection(store, "fields", "public", "")), settings.store.results, pool)
    runner.pool.close()


def task(fields: Any, folder: Path, **more: Any) -> Task:
    """The masked median of the fields, as a runner gets it."""
    raw = {**ndvi_median(), "save": node("save_result", True, data=of("median"), format="GTiff")}
    settings = Settings(environment="demo", store={"root": fields[0]}, processing={"port": 1})
    made = compiled(raw, [fields[1]], fields[2], whole=True)
    store, processing = (part.model_dump(mode="json") for part in (settings.store, settings.processing))
    first = Task("j1", "", "", raw, made.plan.dump(), str(folder / "j1"), store, processing, 2048, 1, 1000)
    return replace(first, **{"run": f"j1-{secrets.token_hex(4)}", **more})


def test_a_task_survives_its_way_to_another_machine(fields: Any, tmp_path: Path) -> None:
    made = task(fields, tmp_path)
    assert restore(made.dump()) == made


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({}, "finished", ""),
        ({"most_mb": 1}, "error", "ProcessGraphComplexity"),
        ({"memory_mb": 60}, "error", ""),
    ],
)
def test_a_worker_keeps_to_its_limits(place: Place, more: dict[str, Any], status: str, code: str) -> None:
    events: list[Event] = []
    folder = place.results / secrets.token_hex(4)
    outcome = place.runner.run(task(place.fields, folder, **more), events.append, lambda: Wish.GO_ON)
    assert outcome.status == status and (not code or outcome.code == code), (outcome, events)
    left = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    assert left == (["j1"] if status == "finished" else []), "half of it is left"
    if status == "finished":
        said = [event.values["message"] for event in events if event.kind == "log"]
        assert any(message.startswith("512 x 512 pixels, ") for message in said), said
        assert outcome.usage["cpu"]["value"] > 0 and [event.kind for event in events].count("progress") >= 1


def test_a_worker_that_runs_too_long_is_ended(place: Place) -> None:
    folder = place.results / secrets.token_hex(4)
    made = task(place.fields, folder, hours=1e-9)
    if place.pool is None:
        outcome = place.runner.run(made, lambda event: None, lambda: Wish.GO_ON)
    else:
        with place.pool.pause():  # else it is done before one has looked
            outcome = place.runner.run(made, lambda event: None, lambda: Wish.GO_ON)
    assert (outcome.status, outcome.code) == ("error", "JobTooLong") and not (folder / "j1").exists()


def test_a_worker_that_is_not_wanted_any_more_is_ended(place: Place) -> None:
    folder = place.results / secrets.token_hex(4)
    made = task(place.fields, folder)
    assert place.runner.run(made, lambda event: None, lambda: Wish.CANCEL).status == "canceled"
    asked = iter([Wish.GO_ON, Wish.GO_ON])
    outcome = place.runner.run(made, lambda event: None, lambda: next(asked, Wish.CANCEL))
    assert outcome.status == "canceled" and not (folder / "j1").exists()


def test_what_survives_the_service_is_found_again_and_the_rest_starts_again(place: Place) -> None:
    folder = place.results / secrets.token_hex(4)
    made = task(place.fields, folder)
    asked = iter([Wish.GO_ON, Wish.GO_ON])
    outcome = place.runner.run(made, lambda event: None, lambda: next(asked, Wish.LEAVE))
    assert outcome.status == ("left" if place.runner.survives else "lost")
    assert place.runner.run(made, lambda event: None, lambda: Wish.GO_ON).status == "finished"
    assert (folder / "j1" / "collection.json").is_file()


FOLDERS = {
    "ana/j1.r1.batch": True,
    "ana/j2.r2.batch": False,  # another run's
    "ana/j1": False,
    "ana/linked/j1.r1.batch": False,
    "ana/../../j1.r1.batch": False,
    "/home/ana/j1.r1.batch": False,
    "": False,
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_others_in_the_pool_say_deletes_no_folder_of_theirs(tmp_path: Path, folder: str) -> None:
    (tmp_path / "results" / "ana").mkdir(parents=True)
    (tmp_path / "results" / "ana" / "linked").symlink_to(tmp_path)
    assert handed_over("r1", str(tmp_path / "results" / folder), tmp_path / "results") == FOLDERS[folder]


def test_a_worker_has_the_stored_models(fields: Any, tmp_path: Path) -> None:
    softmax(tmp_path)
    raw = {
        "a": load(bands=["B04", "B08"]),
        "m": node("load_ml_model", id="classes"),
        "p": node("ml_predict", data=of("a"), model=of("m")),
        "save": node("save_result", True, data=of("p"), format="GTiff"),
    }
    made = task(fields, tmp_path, graph=raw)
    plan = engine_and_graph(tmp_path, fields, raw)[1].plan.dump()
    made = replace(made, plan=plan, processing={**made.processing, "models": str(tmp_path)})
    assert "predictions" in _evaluator(made).compiled.result.dims
