"""Static HTML that works offline, rendered from `templates/`: every value is escaped, nothing is loaded, and no script
runs but our own, by its hash."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from markupsafe import escape as html_escape

from train.common.files import write_text
from train.runtime.text import ROLES

TEMPLATES = Path(__file__).parent / "templates"
SIGNS = {"main": "█", "related": "▒", "boilerplate": "·", None: "?"}
"""Sign of each role, so that colour is not needed to tell it."""
_UNFIT = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufffe\\uffff\\u202a-\\u202e\\u2066-\\u2069]")
"""Controls, halves of characters, and marks that turn the direction of what follows."""


def escape(value: Any) -> Markup:
    """Text for HTML; characters that no page may hold are replaced. Markup of ours stays as it is."""
    return value if isinstance(value, Markup) else html_escape(_UNFIT.sub("\ufffd", str(value)))


def clipped(text: Any, most: int) -> str:
    """A `text` in one line, cut after `most` characters; a cut text ends with its number of characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[:most]} … ({len(line):,} characters)"


def number(value: float, spec: str = ",") -> str:
    """A number as a format specification lays it out; without one, with separated thousands.

    Args:
        value: The number.
        spec: A format specification of Python.
    """
    return format(value, spec)


def web_address(address: str | None) -> bool:
    """Whether a page's address, which may be any string, is one of the web, so that a link may lead to it."""
    return address is not None and re.match(r"https?://[^\s]+$", address, re.IGNORECASE) is not None


def templates_that(finalize: Callable[[Any], str], **options: Any) -> Environment:
    """Our templates; a value that none was given for is an error.

    Args:
        finalize: Makes of a value what is written, whatever a template forgets: escapes it.
        **options: Further options of Jinja's `Environment`.
    """
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    templates.filters["number"] = number
    return templates


@cache
def environment() -> Environment:
    """The templates of all pages, whose values are escaped for HTML."""
    templates = templates_that(escape, autoescape=True)
    templates.filters["clipped"] = clipped
    templates.tests["web_address"] = web_address
    templates.globals |= {"ROLES": ROLES, "SIGNS": SIGNS}
    return templates


def fragment(macro: str, *values: Any, of: str = "macros.html") -> Markup:
    """A part of a page: what a macro of the template `of` makes of some values.

    Args:
        macro: The macro's name.
        *values: What the macro is called with.
        of: The template that has the macro.
    """
    return Markup(getattr(environment().get_template(of).module, macro)(*values))


def write_page(
    path: Path,
    title: str,
    parts: Iterable[Markup] = (),
    *,
    template: str = "page.html",
    styles: Sequence[str] = (),
    script: str | None = None,
    **values: Any,
) -> None:
    """Writes a page, whole or not at all. Its policy forbids every address, and every script but the one named.

    Args:
        path: The file to write.
        title: The page's title and first heading.
        parts: Fragments for the body of `page.html`, in order; another template lays out its body itself.
        template: Name of a template that extends `page.html`.
        styles: Names of this page's style sheets among the templates, after the common one.
        script: Name of this page's script among the templates: it runs by its hash, which no text of a page can have.
        **values: What the template is filled with.
    """
    code = _source(script) if script else Markup()
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() if script else ""
    style = Markup().join(map(_source, ("page.css", *styles)))
    page = environment().get_template(template)
    write_text(path, page.render(title=title, parts=parts, style=style, script=code, script_sha256=digest, **values))


def _source(name: str) -> Markup:
    """A style sheet or a script of ours, as it is."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))
