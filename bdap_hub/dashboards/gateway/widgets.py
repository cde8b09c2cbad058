"""What a visitor may say to widgets: ipyvue's templates make and call only what their author declared. PURE.

A custom message to one of them names a module and a class to make, or a method to call, and the widget does it. What it
declares is learned from the states that the kernel sent, never from the visitor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .frames import Message

SHELL = frozenset({"comm_open", "comm_msg", "comm_close", "comm_info_request", "kernel_info_request"})
TARGETS = frozenset({"jupyter.widget", "jupyter.widget.control"})
METHODS = frozenset({"update", "request_state", "request_states", "custom"})
TELLING = ("components", "template", "events", "_component_instances")  # what a declaration is read from
INNER = frozenset({"comm", "keys", "log"})  # traits that all widgets have for themselves
MOST, MOST_CHARACTERS = 20_000, 8 * 2**20  # widgets of a kernel that are remembered, and characters about them
LONGEST_NAME = 100  # of a widget; the kernel's own libraries give them 32 characters
_REFERENCE = re.compile(r"""(objectRef|functionRef)['"]?\s*:\s*['"`]([A-Za-z]\w*)['"`]""")
_MODEL = "IPY_MODEL_"


@dataclass
class Template:
    """One of ipyvue's template widgets, as the kernel described it."""

    classes: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)  # (module, class) → its traits
    objects: set[str] = field(default_factory=set)
    text: str = ""
    text_of: str = ""  # the widget that holds the text
    instances: dict[str, frozenset[str]] = field(default_factory=dict)  # made for visitors → traits that may be set


class Declared:
    """The widgets of one kernel that declare something. `learn` and `refusal` are the two directions."""

    def __init__(self) -> None:
        self._templates: dict[str, Template] = {}
        self._texts: dict[str, str] = {}
        self._left = MOST_CHARACTERS
        self.spoken_to = False  # a widget was: only then need there be a process for the visitor

    def learn(self, message: Message) -> None:
        """Read what the kernel says of its widgets. What it only echoes was a visitor's, and does not count."""
        data = _mapping(message.content.get("data"))
        method, one = data.get("method"), message.content.get("comm_id")
        if message.kind == "comm_open" or method == "update":
            self.learn_states({str(one): _mapping(data.get("state"))})
        elif message.kind == "comm_msg" and method == "update_states":
            self.learn_states({k: _mapping(_mapping(v).get("state")) for k, v in _mapping(data.get("states")).items()})

    def learn_states(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Full or partial states by the widget's id: of messages, or those that a page was made with."""
        for one, state in states.items():
            if len(one) > LONGEST_NAME:
                continue
            text = state.get("template")
            plain = isinstance(text, str) and "components" not in state and one not in self._templates
            kept = one in self._texts or len(self._texts) < MOST
            if plain and kept and self._room([text], [self._texts.get(one, "")]):
                self._texts[one] = text
            if "components" in state or one in self._templates:
                self._describe(self._templates.get(one) or _put(self._templates, one, Template()), state)

    def refusal(self, message: Message) -> str:
        """Why a visitor may not send it; '' when they may."""
        if message.channel != "shell" or message.kind not in SHELL:
            return f"{message.kind[:40]!r} on {message.channel[:20]!r} is nothing that a visitor may send"
        why = ""
        if message.kind == "comm_open":
            why = self._opening(message.content)
        elif message.kind == "comm_msg":
            why = self._telling(message.content)
        self.spoken_to = self.spoken_to or (not why and message.kind.startswith("comm_m"))
        return why

    def _opening(self, content: Mapping[str, Any]) -> str:
        if (target := str(content.get("target_name"))) not in TARGETS:
            return f"opens a comm to {target[:40]!r}"
        return "opens a comm that another widget has" if self._known(str(content.get("comm_id"))) else ""

    def _known(self, one: str) -> bool:
        return one in self._templates or one in self._texts

    def _telling(self, content: Mapping[str, Any]) -> str:
        one, data = str(content.get("comm_id")), _mapping(content.get("data"))
        if (method := str(data.get("method"))) not in METHODS:
            return f"asks a widget for {method[:40]!r}"
        if method == "update":
            return self._update(one, _mapping(data.get("state")))
        return self._custom(one, data.get("content")) if method == "custom" else ""

    def _update(self, one: str, state: Mapping[str, Any]) -> str:
        """A declaration that a visitor could write would be none."""
        if not self._known(one) and not {"components", "template"} & set(state):
            return ""
        told = [name for name in state if name in TELLING or (one in self._templates and name.endswith("_ref"))]
        return f"sets {told[0]!r} of a template" if told else ""

    def _custom(self, one: str, content: Any) -> str:
        if not isinstance(content, dict) or not {"create_widget", "update_ref"} & set(content):
            return ""
        template = self._templates.get(one)
        if template is None or not template.classes:
            return "makes or binds a widget where none is declared"
        if "create_widget" in content:
            return self._create(template, content)
        if (prop := str(content.get("prop"))) not in template.instances.get(str(content.get("id")), ()):
            return f"binds {prop[:40]!r}, which is not declared"
        return self._references(template, [content["update_ref"]])

    def _create(self, template: Template, content: Mapping[str, Any]) -> str:
        asked, new, props = content["create_widget"], content.get("id"), content.get("props")
        named = tuple(asked) if isinstance(asked, list) and all(isinstance(part, str) for part in asked) else ()
        if named not in template.classes:
            return f"makes {str(asked)[:80]}, which is not declared"
        traits = template.classes[named]  # type: ignore[index]
        if not isinstance(new, str) or len(new) > 64 or self._known(new) or new in template.instances:
            return "makes a widget in another's place"
        if not isinstance(props, dict) or set(props) - traits:
            return "makes a widget with what is not declared"
        if not (why := self._references(template, props.values())):
            _put(template.instances, new, traits)
        return why

    def _references(self, template: Template, values: Iterable[Any]) -> str:
        """Values may refer to the widget's own objects and methods: those that its author's text refers to."""
        text = self._texts.get(template.text_of, template.text)
        written = set(_REFERENCE.findall(text))
        for value in values:
            if not isinstance(value, dict):
                continue
            if "functionRef" in value and ("functionRef", str(value["functionRef"])) not in written:
                return f"calls {str(value['functionRef'])[:40]!r}, which is not declared"
            name = str(value.get("objectRef"))
            if "objectRef" in value and name not in template.objects and ("objectRef", name) not in written:
                return f"reads {name[:40]!r}, which is not declared"
        return ""

    def _describe(self, template: Template, state: Mapping[str, Any]) -> None:
        objects = {name.removesuffix("_ref") for name in state if name.endswith("_ref")}
        if self._room(objects - template.objects):
            template.objects |= objects
        for declared in _mapping(state.get("components")).values():
            named = _mapping(declared).get("class")
            if isinstance(named, list) and len(named) == 2:
                public = {str(name) for name in declared.get("props") or () if not str(name).startswith("_")}
                props = frozenset(public - INNER)
                key = str(named[0]), str(named[1])
                before = (*key, *template.classes[key]) if key in template.classes else ()
                if self._room((*key, *props), before):
                    template.classes[key] = props
        if isinstance(text := state.get("template"), str):
            if text.startswith(_MODEL):
                template.text_of = text.removeprefix(_MODEL)[:LONGEST_NAME]
            elif self._room([text], [template.text]):
                template.text = text

    def _room(self, new: Iterable[str], old: Iterable[str] = ()) -> bool:
        """Whether the new can be remembered instead of the old: a kernel says as much as it likes. What cannot is not
        declared."""
        more = sum(map(len, new)) - sum(map(len, old))
        if more > self._left:
            return False
        self._left -= more
        return True


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _put[T](kept: dict[str, T], name: str, value: T) -> T:
    if len(kept) < MOST:
        kept[name] = value
    return value
