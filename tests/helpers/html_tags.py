"""HTML as a browser takes it apart."""

from __future__ import annotations

from html.parser import HTMLParser

EVIL = '</span><script>alert(1)</script><img src=x onerror="alert(2)">'
Tag = tuple[str, dict[str, str | None]]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tag] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data


def _parsed(html: str) -> _Tags:
    tags = _Tags()
    tags.feed(str(html))  # of Markup, whose sums would be escaped again
    return tags


def tags_of(html: str) -> list[Tag]:
    """Tags and their attributes, as a browser reads them."""
    return _parsed(html).found


def told_by(html: str, tag: str) -> list[str]:
    """What stands behind each tag of a name, up to the next tag."""
    found = _parsed(html)
    return [text.strip() for (name, _), text in zip(found.found, found.texts, strict=True) if name == tag]


def after_each(html: str, tag: str) -> list[list[Tag]]:
    """The tags that follow each tag of a name, up to the next one of that name; the tag itself first."""
    answer: list[list[Tag]] = []
    for one in tags_of(html):
        if one[0] == tag:
            answer.append([])
        if answer:
            answer[-1].append(one)
    return answer
