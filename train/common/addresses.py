"""Addresses of databases and servers: where a SQLite file is, and nothing secret in what is shown."""

from __future__ import annotations

import re
from pathlib import Path

_USER = re.compile(r"(?<=://)([^\s/@:'\"]*)(:[^\s]*)?@")
_QUERY = re.compile(
    r"([?&](?:[\w.-]*(?:password|passwd|pwd|passphrase|token|secret|api_?key))=)[^&\s'\"]+", re.IGNORECASE
)
HIDDEN = "***"


def without_secrets(text: str) -> str:
    """A text whose addresses show neither passwords nor tokens, be they before the host or in the query."""
    text = _USER.sub(lambda found: f"{found[1]}:{HIDDEN}@" if found[2] else f"{HIDDEN}@", text)
    return _QUERY.sub(rf"\1{HIDDEN}", text)


def has_password(text: str) -> bool:
    """Whether a text has an address with a password or a token in it; a user's name alone is none."""
    return _QUERY.search(text) is not None or any(len(found[2] or "") > 1 for found in _USER.finditer(text))


def sqlite_uri(file: Path) -> str:
    """The address of a SQLite file, whatever characters its path has.

    Args:
        file: The database; a relative path is taken from the working directory.
    """
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(file.absolute())).render_as_string(hide_password=False)


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite address, absolute; None where the address is another database's, or no file's."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        return None
    named = url.get_backend_name() == "sqlite" and url.database
    return (
        Path(url.database).absolute()
        if named and url.database and not url.database.startswith((":", "file:"))
        else None
    )
