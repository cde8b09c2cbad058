"""The mounted store: where it lies, what proves that it answers, and how people prove themselves to it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from ..access import results_folder
from .section import Section


@lru_cache
def _resolved(path: Path) -> Path:
    """Without links, looked at once: a store that hangs does not hold up whoever only plans."""
    return path.resolve()


class StoreSettings(Section):
    """The big store. On hosts it lies at `root`; notebooks and STAC hrefs name it by `mount`."""

    root: Path = Field(Path("var/store"), description="Holds data/ and projects/.")
    data_root: Path | None = Field(None, description="Where the imagery lies, if not in <root>/data.")
    mount: str = "/eos"
    file_system: str = Field(
        "",
        pattern=r"^[a-z0-9._]*$",
        description="Type of the file system that must be mounted there, such as fuse or nfs4: where it is not, the "
        "store counts as lost. Empty: a plain folder.",
    )
    look_seconds: float = Field(10, gt=0, description="So often the hub looks whether the store answers.")
    patience: float = Field(5, gt=0, description="A store that does not answer within so many seconds is lost.")
    remount: tuple[str, ...] = Field(
        (), description="Command that mounts a lost store again, such as [systemctl, restart, eos.mount]; empty: wait."
    )
    credentials: tuple[Literal["oauth2", "kerberos"], ...] = Field(
        (), description="What servers get to prove to the store who their person is, as EOS's client expects it."
    )
    oauth_url: str = Field("", description="With oauth2: where the store asks about a token (`oauth2:<token>:<url>`).")
    kerberos_command: tuple[str, ...] = Field(
        (), description="With kerberos: command that prints the ticket cache of {person}, whose uid is {uid}."
    )
    credentials_minutes: float = Field(30, gt=0, description="So often a ticket cache is renewed in running servers.")
    credentials_folder: Path = Field(Path("/run/bdap"), description="Where they lie on the host: a tmpfs.")

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if "oauth2" in self.credentials and not self.oauth_url:
            raise ValueError("credentials names oauth2 and oauth_url is empty: the store would not know whom to ask")
        if "kerberos" in self.credentials and not self.kerberos_command:
            raise ValueError("credentials names kerberos and kerberos_command is empty: nothing makes the tickets")
        return self

    @property
    def data(self) -> Path:
        """The host's folder that people see, read-only, as <mount>/data."""
        return _resolved((self.data_root or self.root / "data").absolute())

    @property
    def projects(self) -> Path:
        """The host's folder of the projects' own folders, seen as <mount>/projects/<project>."""
        return _resolved((self.root / "projects").absolute())

    @property
    def results(self) -> Path:
        """The host's folder of the results of people's jobs; no server mounts it: the services alone read it."""
        return _resolved((self.root / "results").absolute())

    def results_of(self, person: str) -> Path:
        """The folder of one person's results."""
        return self.results / results_folder(person)

    @property
    def files(self) -> Path:
        """The host's folder of the files that people upload to the processing service; no server mounts it either."""
        return _resolved((self.root / "files").absolute())

    def files_of(self, person: str) -> Path:
        """The folder of one person's uploaded files."""
        return self.files / results_folder(person)

    def path_of(self, href: str, links: bool = True) -> Path:
        """The host's path of a href such as /eos/data/x.tif; ValueError if it leaves the store, or goes over a link.

        Members write in their project's folder: a link there leads to no other project's.
        """
        for name, folder in self._areas():
            prefix = f"{self.mount.rstrip('/')}/{name}/"
            if href.startswith(prefix):
                path = (folder / href[len(prefix) :]).resolve()
                own = folder / href[len(prefix) :].partition("/")[0] if name != "data" else folder
                if not links and path != folder / href[len(prefix) :]:
                    raise ValueError(f"{href!r} goes over a link")
                if path.is_relative_to(folder) and path.is_relative_to(own.resolve()):
                    return path
                raise ValueError(f"{href!r} leaves the store")
        raise ValueError(f"{href!r} is not under {self.mount}/data or {self.mount}/projects")

    def _areas(self) -> tuple[tuple[str, Path], ...]:
        return (
            ("data", self.data),
            ("projects", self.projects),
            ("results", self.results),
            ("files", self.files),
        )

    def href_of(self, path: Path) -> str:
        """The href of a file on the host, such as /eos/data/x.tif; ValueError if it is not in the store."""
        for name, folder in self._areas():
            if (resolved := path.resolve()).is_relative_to(folder):
                return f"{self.mount.rstrip('/')}/{name}/{resolved.relative_to(folder).as_posix()}"
        raise ValueError(f"{path} is not in the store ({self.data} or {self.projects})")
