"""What a project's recipe may say, and what is built of it. Each refusal stands beside what is allowed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bdap_hub.errors import BadRequest, TooMuch
from bdap_hub.spawning.images.building import dockerfile, folder, recipe

BASES = {"bdap/lab": "bdap/lab:latest", "lab": "bdap/lab:latest", "bdap/gpu": "bdap/gpu:latest"}


@pytest.mark.parametrize(
    "text",
    [
        "FROM bdap/lab\nRUN pip install x",
        "# a remark\nFROM lab AS tools\nRUN make\nFROM lab\nCOPY --from=tools /opt/x /opt/x",
        "FROM bdap/lab\nCOPY --chown=0:0 --chmod=755 run.sh /opt/\nADD data.tar.gz /opt/\nENV A=1\nWORKDIR /opt",
        "FROM lab\nRUN --mount=type=cache,target=/root/.cache pip install x\nRUN --mount=type=tmpfs,target=/x true",
        "FROM bdap/lab\nRUN a && \\\n   # a remark between\n\n   b",
        'FROM bdap/lab\nARG V=1\nLABEL a=b\nSHELL ["/bin/bash", "-c"]\nRUN echo $((1 << 2))',
    ],
)
def test_what_an_overlay_may_say(text: str) -> None:
    built, base = dockerfile.overlay(text, BASES)
    assert base == "bdap/lab:latest"
    assert built.endswith(dockerfile.FINISH)
    assert next(line for line in built.splitlines() if line.startswith("FROM")).startswith(f"FROM {dockerfile.BASE}")


REFUSED = {
    "another image": ("FROM debian:trixie", "starts from 'debian:trixie'"),
    "another registry": ("FROM evil.example.org/bdap/lab", "which the project may not build on"),
    "an image not the project's": ("FROM bdap/dashboard", "which the project may not build on"),
    "an image by variable": ("ARG X=debian\nFROM $X", "which the project may not build on"),
    "a platform for FROM": ("FROM --platform=linux/arm64 bdap/lab", "FROM --platform"),
    "two bases": ("FROM bdap/lab AS a\nFROM bdap/gpu", "starts from"),
    "nothing": ("", "does not begin with FROM"),
    "no FROM": ("RUN true", "does not begin with FROM"),
    "a bind from the host": (
        "FROM lab\nRUN --mount=type=bind,from=host,source=/,target=/h true",
        "RUN --mount=type=bind",
    ),
    "a bind of another image": ("FROM lab\nRUN --mount=type=cache,from=debian,target=/h true", "from=debian"),
    "a secret": ("FROM lab\nRUN --mount=type=secret,id=ca cat /run/secrets/ca", "RUN --mount=type=secret"),
    "an agent": ("FROM lab\nRUN --mount=type=ssh true", "RUN --mount=type=ssh"),
    "a mount of no type": ("FROM lab\nRUN --mount=target=/h true", "RUN --mount=target"),
    "more rights": ("FROM lab\nRUN --security=insecure mount", "RUN --security=insecure"),
    "privileged": ("FROM lab\nRUN --privileged mount", "RUN --privileged"),
    "another network": ("FROM lab\nRUN --network=host curl", "RUN --network=host"),
    "another image's files": ("FROM lab\nCOPY --from=debian /etc/passwd /x", "COPY --from=debian"),
    "a later stage's files": ("FROM lab\nCOPY --from=z /x /x\nFROM lab AS z", "COPY --from=z"),
    "an address": ("FROM lab\nADD https://example.org/x /x", "adds an address"),
    "a repository": ("FROM lab\nADD git@example.org:x.git /x", "adds an address"),
    "a checksum of one": ("FROM lab\nADD --checksum=sha256:0 https://example.org/x /x", "ADD --checksum"),
    "another builder": ("# syntax=example.org/dockerfile\nFROM lab", "is a directive"),
    "another escape": ("# escape=`\nFROM lab", "is a directive"),
    "a here-document": ("FROM lab\nRUN <<EOF\ntrue\nEOF", "here-document"),
    "a here-document to a file": ("FROM lab\nCOPY <<'EOF' /x\nEOF", "here-document"),
    "a command": ('FROM lab\nCMD ["x"]', "says CMD"),
    "an entry point": ("FROM lab\nENTRYPOINT x", "says ENTRYPOINT"),
    "a volume": ("FROM lab\nVOLUME /x", "says VOLUME"),
    "a trigger": ("FROM lab\nONBUILD RUN x", "says ONBUILD"),
    "a health check": ("FROM lab\nHEALTHCHECK CMD x", "says HEALTHCHECK"),
    "no instruction": ("FROM lab\nINCLUDE x", "no instruction"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_what_it_may_not_say(text: str, said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        dockerfile.overlay(text, BASES)
    assert said in refused.value.message
    assert refused.value.remedy


def read(**files: str) -> recipe.Recipe:
    named = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
    return recipe.read(named, named, BASES, "bdap/lab:latest")


def test_lists_of_packages_become_steps() -> None:
    made = read(apt_txt="gdal-bin  # maps\nproj-bin=9.6.0-1\n", requirements_txt="rioxarray\n", postBuild="#!/bin/sh\n")
    lines = made.dockerfile.splitlines()
    assert made.base == "bdap/lab:latest"
    assert [line.split()[0] for line in lines] == ["FROM", "USER", "RUN", "RUN", "RUN", "USER", "RUN"]
    assert lines[2].endswith("gdal-bin proj-bin=9.6.0-1")
    assert "-r requirements.txt" in lines[3]
    assert "jupyterhub" in lines[3], "the platform's own packages are not held"
    assert "./postBuild" in lines[4]


def test_the_binder_folder_goes_before() -> None:
    made = read(binder__requirements_txt="x", requirements_txt="y", README_md="")
    assert made.context == "binder"
    assert read(binder__Dockerfile="FROM lab").context == "", "a Dockerfile's context is the whole folder"


def test_pip_below_conda() -> None:
    text = "channels: [conda-forge]\ndependencies:\n- python=3.13\n- pip\n- pip: [rioxarray, 'it''s']\n"
    (line,) = [line for line in read(environment_yml=text).dockerfile.splitlines() if "wanted" in line]
    assert "'rioxarray'" in line
    assert "'it'\"'\"'s'" in line


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "no recipe"),
        ({"README.md": "x"}, "no recipe"),
        ({"requirements.txt": "\n"}, "asks for nothing"),
        ({"environment.yml": "dependencies: [gdal, proj]"}, "asks conda for gdal, proj"),
        ({"environment.yml": "dependencies: [python=3.9]"}, "the images have 3.13"),
        ({"environment.yml": "dependencies: 5"}, "cannot be read"),
        ({"environment.yml": "- :\n  - ]"}, "cannot be read"),
        ({"apt.txt": "gdal; rm -rf /"}, "no Debian package"),
        ({"apt.txt": "--option"}, "no Debian package"),
        ({"requirements.txt": "x", "start": "#!/bin/sh"}, "start, which is not supported"),
        ({"requirements.txt": "x", "runtime.txt": "python-3.9"}, "runtime.txt, which is not supported"),
        ({"install.R": "x", "apt.txt": "r-base"}, "install.R, which is not supported"),
    ],
)
def test_recipes_that_are_refused(files: dict[str, str], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        recipe.read(files, files, BASES, "bdap/lab:latest")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "host-secret").write_text("of the host")
    made = tmp_path / "recipe"
    (made / "data").mkdir(parents=True)
    (made / "Dockerfile").write_text("FROM lab\n")
    (made / "data/run").write_text("#!/bin/sh\n")
    (made / "data/run").chmod(0o755)
    (made / "data/link").symlink_to("../Dockerfile")
    (made / ".git").mkdir()
    (made / ".git/config").write_text("with = a token")
    return made


def test_a_folder_is_taken_as_it_is(here: Path) -> None:
    first = folder.take(here, 1)
    assert first.texts == {"Dockerfile": "FROM lab\n"}
    assert set(first.names) == {"Dockerfile", "data", "data/run", "data/link"}
    assert b"token" not in first.archive
    os.utime(here / "data/run", (0, 0))
    assert folder.take(here, 1).digest == first.digest
    (here / "data/run").write_text("#!/bin/sh\necho\n")
    assert folder.take(here, 1).digest != first.digest


@pytest.mark.parametrize("target", ["/etc/passwd", "../host-secret", "../../host-secret", "data/../../host-secret"])
def test_links_out_of_it_are_refused(here: Path, target: str) -> None:
    (here / "out").symlink_to(target)
    with pytest.raises(BadRequest, match="leads out of the recipe"):
        folder.take(here, 1)


def test_a_link_to_a_folder_is_not_followed(here: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/requirements.txt").write_text("of the host")
    (here / "binder").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadRequest, match="leads out of the recipe"):
        folder.take(here, 1)


def test_what_is_no_file_is_refused(here: Path) -> None:
    os.mkfifo(here / "pipe")
    with pytest.raises(BadRequest, match="neither file, folder nor link"):
        folder.take(here, 1)


def test_size_and_number_are_bounded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "large").write_bytes(b"\0" * 1_000_000)
    with pytest.raises(TooMuch, match="context_mb"):
        folder.take(here, 1)
    folder.take(here, 2)
    monkeypatch.setattr(folder, "MOST_FILES", 4)
    with pytest.raises(TooMuch, match="more than 4 files"):
        folder.take(here, 2)


def test_a_file_that_becomes_a_link_while_it_is_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who may write in the folder exchanges a file between the look at it and its opening."""
    real = os.stat

    def exchanged(name: str, **given: object) -> os.stat_result:
        found = real(name, **given)  # type: ignore[arg-type]
        if name == "run":
            (here / "data/run").unlink()
            (here / "data/run").symlink_to(here.parent / "host-secret")
        return found

    monkeypatch.setattr(folder.os, "stat", exchanged)
    with pytest.raises(BadRequest, match="'data/run' in the recipe cannot be read"):
        folder.take(here, 1)
