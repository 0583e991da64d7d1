from __future__ import annotations

import pytest

from train.corpus.sources.align import aligned
from train.corpus.sources.html_blocks import read_html
from train.corpus.sources.markup import CARD_BLOCKS, NEARBY, Markup

URL = "https://harbour.example/2026/ferry-sails-again-friday"
BODY = [
    "The night ferry sails again from Friday, the council said on Monday evening after long talks.",
    "Fares stay as they are until the spring, and cars go too, with all their passengers aboard.",
]
PAGE = f"""<html><head><title>Ferry sails again on Friday | Harbour Post</title></head><body>
<nav><ul><li><a href="/2026/menu-headline-of-the-day">A headline that stands in a menu</a></li></ul></nav>
<div class="content has-section-nav"><h1>Ferry sails again on Friday</h1><p class="byline">By N. N., harbour correspondent</p>
<p>{BODY[0]}</p><p>{BODY[1]}</p>
<p><a href="{URL}?share=1">Read this very story on one page</a></p>
<p><a href="https://www.facebook.com/sharer/2026-1234-5678">Share this story with your friends</a></p>
<section class="more-stories"><h2>More stories from the harbour</h2>
<div class="card"><a href="/2026/boats-get-dearer-in-spring"><h3>Boats get dearer in spring</h3></a><p>A maker of boats says so.</p><span>3 hours ago</span></div>
<div class="card"><h3><a href="/2026/bridge-to-the-island-closed">Bridge to the island closed</a></h3><p>Until Monday at least.</p></div>
<div class="card"><p>An offer of ours without any story.</p></div></section>
<ul><li><a href="/2026/old-pier-falls-into-sea">Old pier falls into the sea</a></li><li><a href="/2026/gulls-steal-a-whole-cake">Gulls steal a whole cake</a></li></ul>
<ul><li><a href="/tag/ferry">Ferry</a></li><li><a href="/tag/harbour">Harbour</a></li><li><a href="/tag/gulls">Gulls</a></li><li><a href="/topic-page-of-1234">All about the old harbour</a></li></ul>
<p><a href="/about/our-history-since-1899">The history of this newspaper since then</a></p></div>
<footer><a href="/2026/footer-headline-of-the-day">A headline that stands in the footer</a></footer></body></html>"""


def told(page: str, gold: str, url: str | None = URL) -> dict[str, tuple[str, int | None]]:
    markup = Markup()
    read = read_html(page.encode(), markup.mark)
    return {s["text"]: (s["role"], s["story"]) for s in aligned(read, markup, gold, url=url)}


def test_markup_tells_the_items_of_other_stories() -> None:
    found = told(PAGE, "\n".join(BODY))
    assert {text for text, (role, _) in found.items() if role == "main"} == {"Ferry sails again on Friday", *BODY}
    assert {text: story for text, (role, story) in found.items() if role == "related"} == {
        "Boats get dearer in spring": 1,
        "A maker of boats says so.": 1,
        "3 hours ago": 1,
        "Bridge to the island closed": 2,
        "Until Monday at least.": 2,
        "Old pier falls into the sea": 3,
        "Gulls steal a whole cake": 4,
    }


def test_pages_without_an_address_are_read_too() -> None:
    found = told(PAGE, "\n".join(BODY), url=None)
    assert found["Boats get dearer in spring"][0] == found["Until Monday at least."][0] == "related"


def test_a_headline_in_the_gold_is_the_headline() -> None:
    twice = PAGE.replace("<h1>", "<h2>Ferry sails again on Friday</h2><h1>Night boats return</h1><h1>")
    found = told(twice, "\n".join(["Night boats return", *BODY]))
    assert found["Night boats return"] == ("main", 0)


@pytest.mark.parametrize(
    ("heading", "title", "role"),
    [
        ("Ferry sails again", "Ferry sails again - Harbour Post", "main"),
        ("The night ferry sails again from Friday on", "Night ferry sails again on Friday", "main"),
        ("Harbour Post", "Ferry sails again - Harbour Post of the old town", "boilerplate"),
        ("Quite another matter", "Ferry sails again", "boilerplate"),
    ],
)
def test_the_headline_is_worded_as_the_title(heading: str, title: str, role: str) -> None:
    page = (
        f"<html><head><title>{title}</title></head><body><h1>{heading}</h1><p>{BODY[0]}</p><h1>{heading} "
        "again</h1></body></html>"
    )
    assert told(page, BODY[0])[heading][0] == role


def test_broken_addresses_are_no_stories() -> None:
    page = (
        f'<html><body><p>{BODY[0]}</p><p><a href="http://[broken/2026/a-b-c-d">A link of some five '
        "words</a></p></body></html>"
    )
    assert told(page, BODY[0])["A link of some five words"] == ("boilerplate", None)


def test_an_address_is_one_story_from_each_of_its_blocks_to_the_next_that_is_near() -> None:
    boats, others = "/2026/boats-get-dearer-in-spring", "".join(f"<p>Notice {n}</p>" for n in range(NEARBY - 2))
    links = [f'<p><a href="{boats}">Boats get dearer in spring, part {n}</a></p>' for n in range(4)]
    far = "".join(f"<p>Rule {n}</p>" for n in range(NEARBY))
    page = f"<html><body><p>{BODY[0]}</p>{others.join(links[:3])}{far}{links[3]}</body></html>"
    stories = [story for role, story in told(page, BODY[0]).values() if role == "related"]
    assert stories == [1, 1, 1, 2]


@pytest.mark.parametrize("more", [0, 1], ids=["a card", "more blocks than a card has"])
def test_a_card_of_too_many_blocks_is_no_card(more: int) -> None:
    lines = "".join(f"<p>Line {n} of the card.</p>" for n in range(CARD_BLOCKS - 1 + more))
    card = (
        '<div class="card"><h3><a href="/2026/boats-get-dearer-in-spring">Boats get dearer in '
        f"spring</a></h3>{lines}</div>"
    )
    found = told(f"<html><body><p>{BODY[0]}</p>{card}</body></html>", BODY[0])
    assert found.pop("Boats get dearer in spring") == ("related", 1)
    found.pop(BODY[0])
    assert set(found.values()) == {("boilerplate", None) if more else ("related", 1)}
