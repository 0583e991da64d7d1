"""How another corpus' names become ours: its columns, its labels, and the site an address belongs to."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from train.common.errors import InputError
from train.runtime.text import ROLES


@dataclass(frozen=True)
class ColumnMapping:
    """Renames what a corpus calls otherwise. The config's `corpus.columns` and `corpus.roles`.

    Args:
        columns: Their key or column -> ours, e.g. `{"content": "text", "domain": "site"}`; of pages, segments and table
            rows alike.
        roles: Their label -> `main`, `related` or `boilerplate`; labels are compared without regard to case.

    Raises:
        InputError: A label is mapped to something that is no role.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = {role for role in self.roles.values() if role not in ROLES}
        if wrong:
            raise InputError(
                f"a label is mapped to {sorted(wrong)[0]!r}",
                expected=f"one of {', '.join(ROLES)}",
                remedy="correct corpus.roles, e.g. {article: main, teaser: related}",
                rule="bad-mapping",
            )

    @staticmethod
    def parse(columns: str, roles: str) -> ColumnMapping:
        """Reads mappings as the command line gives them; quotes hold spaces together.

        Args:
            columns: Pairs of their column and ours, e.g. `"content=text domain=site"`.
            roles: Pairs of their label and our role, e.g. `"article=main teaser=related"`.

        Raises:
            InputError: A word is not THEIRS=OURS.
        """
        return ColumnMapping(_pairs(columns), _pairs(roles))

    def record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A page, segment or row with its keys renamed. A renamed key wins over one that has the name already."""
        if not self.columns:
            return dict(record)
        kept = {key: value for key, value in record.items() if key not in self.columns}
        return kept | {self.columns[key]: value for key, value in record.items() if key in self.columns}

    def role(self, label: Any) -> Any:
        """Our role for a label; a label nobody mapped is returned as it came."""
        if not isinstance(label, str):
            return label
        return self._known.get(label.strip().casefold(), label)

    @cached_property
    def _known(self) -> dict[str, str]:
        return {role: role for role in ROLES} | {their.strip().casefold(): ours for their, ours in self.roles.items()}

    def page(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A page record with keys and labels renamed, and its site taken from its address when it has none."""
        page = self.record(record)
        segments = page.get("segments")
        if isinstance(segments, list):
            page["segments"] = [self._segment(segment) for segment in segments]
        return self.with_site(page)

    @staticmethod
    def with_site(page: dict[str, Any]) -> dict[str, Any]:
        """The page, its site taken from its address when it has none."""
        if not page.get("site") and isinstance(page.get("url"), str):
            page["site"] = site_of(page["url"])
        return page

    def _segment(self, segment: Any) -> Any:
        if not isinstance(segment, dict):
            return segment
        segment = self.record(segment)
        if segment.get("role") is not None:
            segment["role"] = self.role(segment["role"])
        return segment


def plain(value: Any) -> Any:
    """A table's value as JSON has it: dates in ISO form, NaN as null, bytes and what else there is as text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _pairs(words: str) -> dict[str, str]:
    try:
        pairs = [word.partition("=") for word in shlex.split(words)]
    except ValueError as error:
        raise InputError(
            f"{words!r}: {error}",
            expected="pairs THEIRS=OURS, quoted where they hold spaces",
            remedy="close the quote",
            rule="bad-mapping",
        ) from None
    for their, equals, ours in pairs:
        if not (their and equals and ours):
            raise InputError(
                f"the word {their + equals + ours!r}",
                expected="THEIRS=OURS, e.g. content=text",
                remedy="separate pairs by spaces",
                rule="bad-mapping",
            )
    return {their: ours for their, _, ours in pairs}


@cache
def _extract() -> Any:
    import tldextract

    # No list is fetched and none is cached: the snapshot of the public suffix list inside the package is used.
    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


_ARCHIVED = re.compile(r"\A(?:https?://web(?:-beta)?\.archive\.org/web/[^/]+/(?=\S))+", re.IGNORECASE)


def site_of(url: str) -> str:
    """The registered domain of an address, e.g. `example.co.uk`; the host when it has none, empty when there is no
    host.

    A copy that the Wayback Machine keeps is of the site it was taken from: else pages of one site would stand on both
    sides of a split.
    """
    try:
        address = _extract()(_ARCHIVED.sub("", url.strip()))
    except ValueError:  # e.g. an unclosed IPv6 bracket
        return ""
    if address.top_domain_under_public_suffix:
        return str(address.top_domain_under_public_suffix).casefold()
    # An unknown suffix counts as one label, the list's own default rule; addresses and lone names stay as they are.
    host = ".".join(part for part in (address.subdomain, address.domain, address.suffix) if part)
    host = host.casefold()
    return "" if "[" in host else host if address.ipv4 or address.ipv6 else ".".join(host.split(".")[-2:])
