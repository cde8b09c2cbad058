"""What can go wrong, as sentences: the cause, and what to do about it. Never holds a token."""

from __future__ import annotations


class BdapError(Exception):
    """A failure that says its cause (`message`) and what to do next (`remedy`)."""

    def __init__(self, message: str, remedy: str = "", code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code
        self.status = status

    def __str__(self) -> str:
        return f"{self.message}\nWhat to do: {self.remedy}" if self.remedy else self.message

    def _render_traceback_(self) -> list[str]:
        """IPython shows these lines instead of a long traceback through this library."""
        return [f"{type(self).__name__}: {self}"]


class NotConfigured(BdapError):
    """An address or a token is missing in the environment."""


class NotReachable(BdapError):
    """A service of the platform does not answer."""


class ServiceError(BdapError):
    """A service answered with an error; its own message and remedy are passed on."""


class BadCube(BdapError):
    """An operation on a cube makes no sense: the message names it."""


IN_NOTEBOOKS = {
    "NoDataAvailable": "widen .during(), .on() or .where(); cube.bounds and bdap.collections() say where there is data",
    "CollectionNotFound": "bdap.collections() lists what you may see; if it should be there, ask its owner for access",
    "JobNotFound": "bdap.jobs() lists yours",
    "JobNotStarted": "start it with .start()",
    "JobNotFinished": "wait for it with .wait()",
    "IndexUnknown": "bdap.indices lists the 280 by TAB",
    "UdfNotAvailable": "ask the operators of the platform to allow code, or write it with cubes' own operations",
}
"""What to do, in the words of this library, where a service says it in those of its own routes."""
PHRASES = {
    "make it a batch job (POST /jobs)": 'make it a batch job: cube.save("/eos/…/x.tif")',
    "GET /files lists yours": "look at its name, or upload it again: bdap.from_file(path)",
    "upload it again (PUT /files)": "upload it again: bdap.from_file(path)",
    "delete some that you do not need (DELETE /jobs/{id})": "delete some: bdap.job(id).delete()",
    "use POST /result, or a web service": 'use .download("x.tif"), which does it at once',
    "give `platform`, or name it in `variable_map`": 'give platform="sentinel-2" or the like, or bands={"N": "B08"}',
}


def remedy_of(code: str, said: str) -> str:
    """A service's remedy in the words of this library."""
    for theirs, ours in PHRASES.items():
        said = said.replace(theirs, ours)
    return IN_NOTEBOOKS.get(code) or said
