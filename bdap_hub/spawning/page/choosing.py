"""What the start page shows, as plain data: own projects, their images and sizes, what was used last. PURE."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ...access import Requirement, Size, step_up_path
from ..plan import Choice
from .links import spawn_link

SEPARATOR = "/"


@dataclass(frozen=True)
class Use:
    """A start of an image for a project; `at` is seconds since the epoch."""

    project: str
    image: str
    size: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Facts:
    """What the engine knows of an image: its version, bytes, and what is in it, the most telling first."""

    version: str = ""
    bytes: int = 0
    contents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """An image of a project. `log_in` is where one logs in again for it, '' where it can be started at once."""

    value: str
    title: str
    description: str
    gpu: bool
    contents: tuple[str, ...]
    detail: str
    last_used: str
    log_in: str


@dataclass(frozen=True)
class Group:
    """A project with its images; `open` says whether the page shows them without being asked."""

    name: str
    title: str
    cards: tuple[Card, ...]
    open: bool


@dataclass(frozen=True)
class SizeCard:
    """A size and the projects that may use it; `only` names them where the others may not."""

    name: str
    title: str
    text: str
    projects: tuple[str, ...]
    only: str = ""


@dataclass(frozen=True)
class Whole:
    """A choice made whole, to be started with one click: by the last start, or by a link."""

    value: str
    size: str
    words: str
    log_in: str = ""
    when: str = ""


@dataclass(frozen=True)
class StartPage:
    """All of the page. `refused` is a sentence about a link that asks for what one cannot start."""

    person: str
    groups: tuple[Group, ...] = ()
    sizes: tuple[SizeCard, ...] = ()
    selected: str = ""
    size: str = ""
    again: Whole | None = None
    linked: Whole | None = None
    refused: str = ""
    gpus: str = ""
    free: str = ""

    @property
    def startable(self) -> bool:
        """Whether anything can be started without another login."""
        return any(not card.log_in for group in self.groups for card in group.cards)


@dataclass(frozen=True)
class Known:
    """What was looked up for the page: own last starts, the images' facts by reference, what is free; the time now."""

    uses: Sequence[Use] = ()
    facts: Mapping[str, Facts] | None = None
    gpus: str = ""
    free: str = ""
    now: float = 0.0


def start_page(
    person: str,
    choices: Sequence[Choice],
    known: Known,
    asked: Mapping[str, str] | None = None,
    last: Mapping[str, object] | None = None,
    server: str = "",
) -> StartPage:
    """The page for what `person` may start now. `asked` comes from a link, `last` is the server's own last choice."""
    asked, now = asked or {}, known.now or time.time()
    ready = {value_of(choice): choice for choice in choices if not choice.step_up}
    used = [use for use in known.uses if f"{use.project}{SEPARATOR}{use.image}" in ready]
    linked = _linked(person, choices, asked, server)
    selected = _selected(ready, asked, last or {}, used)
    size = _size(ready.get(selected), asked.get("size") or _last_size(selected, last or {}, used))
    newest = used[0] if used else None
    return StartPage(
        person=person,
        groups=_groups(person, choices, known, selected, now, server),
        sizes=_sizes(choices),
        selected=selected,
        size=size,
        again=_whole(ready[f"{newest.project}{SEPARATOR}{newest.image}"], newest.size, ago(newest.at, now))
        if newest and not linked
        else None,
        linked=linked,
        refused=_refused(asked, linked),
        gpus=known.gpus if any(choice.image.gpu for choice in choices) else "",
        free=known.free,
    )


def value_of(choice: Choice) -> str:
    """What a radio button submits. Project names hold no slash, so the first one separates."""
    return f"{choice.project.name}{SEPARATOR}{choice.image.name}"


def _groups(
    person: str, choices: Sequence[Choice], known: Known, selected: str, now: float, server: str
) -> tuple[Group, ...]:
    """The project used last comes first; one that was never used keeps its place behind those that were."""
    used: dict[str, float] = {}
    for use in known.uses:
        used[use.project] = max(use.at, used.get(use.project, 0))
    by_project = [(project, list(found)) for project, found in groupby(choices, key=lambda choice: choice.project)]
    by_project.sort(key=lambda one: -used.get(one[0].name, 0))
    chosen = selected.partition(SEPARATOR)[0] or (by_project[0][0].name if by_project else "")
    return tuple(
        Group(
            project.name,
            project.title,
            tuple(_card(person, choice, known, now, server) for choice in found),
            project.name == chosen or index == 0,
        )
        for index, (project, found) in enumerate(by_project)
    )


def _card(person: str, choice: Choice, known: Known, now: float, server: str) -> Card:
    facts = (known.facts or {}).get(choice.image.reference, Facts())
    at = max((use.at for use in known.uses if (use.project, use.image) == _pair(choice)), default=0.0)
    detail = [f"version {facts.version}" if facts.version else "", gigabytes(facts.bytes) if facts.bytes else ""]
    return Card(
        value=value_of(choice),
        title=choice.image.title,
        description=choice.image.description,
        gpu=choice.image.gpu,
        contents=facts.contents,
        detail=" · ".join(filter(None, detail)),
        last_used=ago(at, now) if at else "",
        log_in=_log_in(person, choice, "", server),
    )


def _linked(person: str, choices: Sequence[Choice], asked: Mapping[str, str], server: str) -> Whole | None:
    """What a link asks for, where it names a choice of this person."""
    wanted = (asked.get("project", ""), asked.get("image", ""))
    found = next((choice for choice in choices if _pair(choice) == wanted), None)
    size = asked.get("size", "")
    if found is None or (size and size not in {one.name for one in found.sizes}):
        return None
    return _whole(found, size, log_in=_log_in(person, found, size, server))


def _refused(asked: Mapping[str, str], linked: Whole | None) -> str:
    if linked or not (asked.get("project") and asked.get("image")):
        return ""
    what = ", ".join(f"{key} {value[:60]}" for key, value in asked.items())
    return f"The link asks for {what}: that is not among what you may start. Choose from the following."


def _whole(choice: Choice, size: str, when: str = "", log_in: str = "") -> Whole:
    sizes = {one.name: one for one in choice.sizes}
    name = size if size in sizes else ""
    shown = [choice.image.title, choice.project.title, sizes[name].title if name and len(sizes) > 1 else ""]
    return Whole(value_of(choice), name, " · ".join(filter(None, shown)), log_in, when)


def _selected(
    ready: Mapping[str, Choice], asked: Mapping[str, str], last: Mapping[str, object], used: Sequence[Use]
) -> str:
    """The first of these that can be started: what the link asks for, this server's last, one's own last, any."""
    project, image = asked.get("project", ""), asked.get("image", "")
    of_project = next((value for value, choice in ready.items() if choice.project.name == project), "")
    wanted = [
        f"{project}{SEPARATOR}{image}",
        of_project if not image else "",
        f"{last.get('project')}{SEPARATOR}{last.get('image')}",
        *(f"{use.project}{SEPARATOR}{use.image}" for use in used),
        *ready,
    ]
    return next((value for value in wanted if value in ready), "")


def _last_size(selected: str, last: Mapping[str, object], used: Sequence[Use]) -> str:
    if selected == f"{last.get('project')}{SEPARATOR}{last.get('image')}":
        return str(last.get("size") or "")
    return next((use.size for use in used if f"{use.project}{SEPARATOR}{use.image}" == selected), "")


def _size(choice: Choice | None, wanted: str) -> str:
    """The wanted size where the choice has it, else its first; '' where there is nothing to choose."""
    names = [size.name for size in choice.sizes] if choice else []
    return wanted if wanted in names else next(iter(names), "")


def _sizes(choices: Sequence[Choice]) -> tuple[SizeCard, ...]:
    """All sizes of all choices; none where there is only one to have."""
    projects = {choice.project.name: choice.project.title for choice in choices}
    users: dict[Size, list[str]] = {size: [] for choice in choices for size in choice.sizes}
    for choice in choices:
        for size in choice.sizes:
            users[size].append(choice.project.name)
    cards = []
    for size, names in users.items():
        own = tuple(dict.fromkeys(names))
        only = "" if len(own) == len(projects) else f"for {', '.join(projects[name] for name in own)}"
        cards.append(SizeCard(size.name, size.title, _size_text(size.cpus, size.memory), own, only))
    return tuple(cards) if len(cards) > 1 else ()


def _size_text(cpus: float, memory: int) -> str:
    return f"{cpus:g} {'CPU' if cpus == 1 else 'CPUs'}, {memory_of(memory)} memory"


def _log_in(person: str, choice: Choice, size: str, server: str) -> str:
    """The page that asks for the missing login and leads back to this choice; '' where none is missing."""
    if not choice.step_up:
        return ""
    back = spawn_link(choice.project.name, choice.image.name, size, server, person)
    return step_up_path(choice.step_up or Requirement(), back)


def _pair(choice: Choice) -> tuple[str, str]:
    return choice.project.name, choice.image.name


def gigabytes(size: float) -> str:
    """`0.9 GB`, `12 GB`; as people read of disks, in powers of ten.

    >>> gigabytes(888972076), gigabytes(12.4e9), gigabytes(5e6)
    ('0.9 GB', '12 GB', '5 MB')
    """
    if size < 1e8:
        return f"{max(1, round(size / 1e6))} MB"
    return f"{size / 1e9:.1f} GB" if size < 1e10 else f"{size / 1e9:.0f} GB"


def memory_of(size: float) -> str:
    """`16 GB`, `700 MB`; as people read of memory, in powers of two.

    >>> memory_of(16 * 2**30), memory_of(700 * 2**20), memory_of(23.43 * 2**30)
    ('16 GB', '700 MB', '23.4 GB')
    """
    return f"{size / 2**20:.0f} MB" if size < 2**30 else f"{size / 2**30:.3g} GB"


def ago(at: float, now: float) -> str:
    """How long ago, in the largest whole unit.

    >>> ago(0, 30), ago(0, 3 * 3600), ago(0, 86400 * 3), ago(0, 86400 * 400)
    ('just now', '3 h ago', '3 days ago', 'more than a year ago')
    """
    seconds = now - at
    if seconds >= 365 * 86400:
        return "more than a year ago"
    for length, unit in ((2 * 86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds // (86400 if unit == 'days' else length))} {unit} ago"
    return "just now"
