"""Directives that write down what the code declares, so that the documentation cannot be out of date.

- ``.. settings::`` lists the ``sessionkit.*`` settings of the classes that it is given.
- ``.. zope-interface::`` describes an interface with its methods.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, Field
from importlib import import_module
from typing import Any

from docutils.nodes import Node
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.rst import escape

from pyramid_sessionkit.settings import options


class SettingsDirective(SphinxDirective):
    """``.. settings:: sessionkit.cookie_``: those with this prefix; ``sessionkit.`` alone: those in no other group."""

    required_arguments = 1

    def run(self) -> list[Node]:
        prefix = self.arguments[0]
        found = [(name, declared) for name, declared in options() if _group(name) == prefix]
        if not found:
            raise self.error(f"no setting begins with {prefix}")
        lines = [line for name, declared in found for line in _setting(name, declared)]
        return self.parse_text_to_nodes("\n".join(lines))


def _group(name: str) -> str:
    """``sessionkit.``, ``sessionkit.cookie_`` or, for settings with two points, all up to the second."""
    if name.startswith("sessionkit.cookie_") and name != "sessionkit.cookie_options":
        return "sessionkit.cookie_"
    return name.rpartition(".")[0] + "."


def _setting(name: str, declared: Field[Any]) -> Iterator[str]:
    default, doc = _default(declared, declared.metadata["doc"])
    yield f".. confval:: {name}"
    yield f"   :default: {default}"
    yield ""
    yield f"   {escape(doc)}"
    yield ""


def _default(declared: Field[Any], doc: str) -> tuple[str, str]:
    """The default as one would write it into an ini file, and what else the text says."""
    if declared.default is MISSING:
        return "required", doc.removeprefix("Required. ")
    before, marker, after = doc.partition(" Default: ")
    if marker:
        default, _, rest = after.partition(". ")
        return escape(default.rstrip(".")), f"{before} {rest}".strip()
    return f"``{_written(declared)}``", doc


def _written(declared: Field[Any]) -> str:
    """What an ini file would have to say to mean the default: found by asking the option's own parser."""
    default = declared.default
    durations = (f"{default // size}{unit}" for unit, size in _UNITS if _divides(default, size))
    plain = " ".join(default) if isinstance(default, tuple) else str(default)
    for text in ("auto", "none", "true", "false", *durations, plain):
        try:
            value = declared.metadata["parse"](text)
        except ValueError:
            continue
        if value == default and type(value) is type(default):
            return text
    raise ValueError(f"{declared.name}: nothing in an ini file means {default!r}")


_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def _divides(default: Any, size: int) -> bool:
    return type(default) is int and default % size == 0


class InterfaceDirective(SphinxDirective):
    """``.. zope-interface:: package.module.IName``"""

    required_arguments = 1

    def run(self) -> list[Node]:
        module, _, name = self.arguments[0].rpartition(".")
        interface = getattr(import_module(module), name)
        lines = [f".. py:class:: {name}", f"   :module: {module.partition('.')[0]}", "", *_indented(interface.__doc__)]
        for method, declared in interface.namesAndDescriptions():
            lines += ["", f"   .. py:method:: {method}{declared.getSignatureString()}", ""]
            lines += [f"   {line}" for line in _indented(declared.__doc__)]
        return self.parse_text_to_nodes("\n".join(lines))


def _indented(doc: str) -> list[str]:
    return [f"   {line}" if line else "" for line in inspect.cleandoc(doc).splitlines()]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("settings", SettingsDirective)
    app.add_directive("zope-interface", InterfaceDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
