"""How another corpus' names become ours: its columns, its labels, and the site an address belongs to."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any
from urllib.parse import unquote

from train.common.errors import InputError
from train.runtime.text import ROLES

MOST_COPIES = 5
"""Copies of copies that an address is followed through."""


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
        """The page, its site taken from its address when it has none, and in Unicode."""
        site = page.get("site")
        if not site and isinstance(page.get("url"), str):
            page["site"] = site_of(page["url"])
        elif isinstance(site, str) and "xn--" in site:
            page["site"] = _unicode(site)
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


_ARCHIVES = (
    r"web(?:-beta)?\.archive\.org/web/[^/?#]+",
    r"(?:www\.)?archive\.(?:today|ph|is|li|vn|fo|md)/(?:\d{4,14}(?:\.\d\d\.\d\d-\d{6})?|newest|oldest|o/\w+)",
    r"(?:www\.)?archive\.(?:today|ph|is|li|vn|fo|md)(?=/https?:)",
    r"(?:www\.)?arquivo\.pt/(?:noframe/)?(?:wayback|replay)(?:/[^/?#]+)??/\d{4,14}\w*",
    r"wayback\.archive-it\.org/\d+/\d{4,14}\w*",
    r"(?:www\.)?webarchive\.org\.uk/wayback/(?:en/)?archive/\d{4,14}\w*",
    r"webarchive\.nationalarchives\.gov\.uk/(?:ukgwa/)?\d{4,14}\w*",
    r"webarchive\.loc\.gov/\w+/\d{4,14}\w*",
    r"[\w-]+\.cdn\.ampproject\.org/\w+(?:/s)?",
    r"cdn\.ampproject\.org/\w+(?:/s)?",
    r"[\w-]+\.bing-amp\.com/\w+(?:/s)?",
    r"(?:www\.)?google\.[a-z.]+/amp(?:/s)?",
    r"(?:www\.)?bing\.com/amp(?:/s)?",
    r"[\w.-]+/(?:[\w-]+/){0,3}\d{8,14}(?:[a-z]{2}_)?(?=/https?:)",  # as pywb and OpenWayback, most archives' software
)
"""Addresses that go on with that of the page they show: of web archives and of caches of AMP pages."""
_ARCHIVED = re.compile(rf"\A(?:(?:https?:)?//)?(?:{'|'.join(_ARCHIVES)})/(?=[^\s/?#]+[.:])", re.IGNORECASE)
_SHOWN = re.compile(
    r"\A(?:(?:https?:)?//)?(?:([^\s/?#.]+)\.(?:translate\.goog|cdn\.ampproject\.org|turbopages\.org|bing-amp\.com)"
    r"|(?:(?:translate\.google\.[a-z.]+|translate\.googleusercontent\.com)/[^\s#]*?[?&]u="
    r"|webcache\.googleusercontent\.com/search\?(?:[^\s#]*&)?q=cache:(?:[\w-]{12}:)?)([^\s&#]+))",
    re.IGNORECASE,
)
"""Addresses that hold the host of the page they show in their own, or its address in the query."""


def site_of(url: str) -> str:
    """The registered domain of an address, e.g. `example.co.uk`; the host when it has none, empty when there is no
    host. Punycode and other spellings of one host are one: the Unicode that browsers show.

    A copy that a web archive, a cache of AMP pages or a translator shows is of the site it was taken from: else pages
    of one site would stand on both sides of a split.
    """
    try:
        address = _extract()(_origin(url.strip()))
    except ValueError:  # e.g. an unclosed IPv6 bracket
        return ""
    if address.top_domain_under_public_suffix:
        return _unicode(address.top_domain_under_public_suffix)
    # An unknown suffix counts as one label, the list's own default rule; addresses and lone names stay as they are.
    host = ".".join(part for part in (address.subdomain, address.domain, address.suffix) if part)
    if "[" in host:
        return ""
    return host.casefold() if address.ipv4 or address.ipv6 else _unicode(".".join(host.split(".")[-2:]))


def _origin(url: str) -> str:
    """The address that an archive, a cache or a translator shows under an address of its own."""
    for _ in range(MOST_COPIES):
        if match := _ARCHIVED.match(url):
            url = url[match.end() :]
            if re.match(r"https?%3a", url, re.IGNORECASE):
                url = unquote(url)
        elif match := _SHOWN.match(url):
            host, address = match.groups()
            if host is None:
                url = unquote(address)
            elif "-" not in host:
                break
            else:
                # Of a host, dots are written as one dash, dashes as two; 0-…-0 marks what would pass for Punycode.
                if host.lower().startswith("xn--"):
                    host = host[4:].encode("ascii", "ignore").decode("punycode", "ignore")
                host = re.sub(r"\A0-(.*)-0\Z", r"\1", host)
                url = re.sub(r"--?", lambda found: "-" if found[0] == "--" else ".", host)
        else:
            break
    return url


def _unicode(host: str) -> str:
    """A host as browsers show it; what is no valid name stays, in small letters."""
    import idna

    try:
        return idna.decode(idna.encode(host, uts46=True))
    except idna.IDNAError:
        return host.casefold()


def in_languages(language: str | None, wished: Sequence[str]) -> bool:
    """Whether a page's language is among some, however it is spelled: `en` means `en-US`, `EN` and `en_GB` too.

    Args:
        language: The page's language code, or None.
        wished: Language codes; none takes every page.
    """
    code = _tag(language or "")
    return not wished or any(code == tag or code.startswith(f"{tag}-") for tag in map(_tag, wished))


def _tag(code: str) -> str:
    return code.strip().replace("_", "-").partition(".")[0].casefold()
