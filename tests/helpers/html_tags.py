"""HTML as a browser takes it apart."""

from __future__ import annotations

from html.parser import HTMLParser

EVIL = '</span><script>alert(1)</script><img src=x onerror="alert(2)">'


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags_of(html: str) -> list[tuple[str, dict[str, str | None]]]:
    """Tags and their attributes, as a browser reads them."""
    tags = _Tags()
    tags.feed(html)
    return tags.found
