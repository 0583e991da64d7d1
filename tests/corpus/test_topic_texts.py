from __future__ import annotations

from pathlib import Path

import datasets
import pytest

from tests.helpers.pages import make_page
from tests.helpers.topic_formats import TOPIC_KINDS, bbc
from train.common.errors import InputError
from train.corpus.page import Page
from train.corpus.topic_texts import IPTC, TopicMapping, as_labelled, count_topics, digest, read_texts, scan_texts

SAME = TopicMapping({})


def shown(pages: list[Page]) -> list[tuple[str | None, list[str]]]:
    return [(page.segments[0].topic, page.texts) for page in pages]


@pytest.mark.parametrize(
    ("kind", "expected", "refused"),
    [
        (
            "ag-news",
            [
                ("Business", ["Oil dearer", "Oil prices rose", "on Monday."]),
                ("Sports", ["Cup final", 'They won, he "said".']),
            ],
            {"bad-row": 2},
        ),
        ("csv", [("sport", ["Two", "lines"]), ("business", ["A bank"])], {"bad-row": 1, "empty-text": 1}),
        (
            "folders",
            [("business", ["Bank opens"]), ("business", ["It cost £5"]), ("sport", ["Rovers win", "They won."])],
            {"empty-text": 1},
        ),
        (
            "newsgroups",
            [
                ("rec.autos", ["Brakes", "They squeak é"]),
                ("sci.space", ["Moon base", "When?", "Soon: next year."]),
                ("sci.space", ["No header here", "but text"]),
            ],
            {},
        ),
        ("dataset", [("World", ["A treaty"]), ("Sports", ["A match", "was played"])], {}),
    ],
)
def test_each_kind(kind: str, expected: list[tuple[str, list[str]]], refused: dict[str, int], tmp_path: Path) -> None:
    named = TOPIC_KINDS[kind](tmp_path)
    quarantine = tmp_path / "q.jsonl"
    pages, count = read_texts(named, SAME, quarantine)
    assert count == sum(refused.values())
    assert shown(pages) == expected
    assert all(s.role is None and s.story == 0 for page in pages for s in page.segments)
    found = quarantine.read_text().splitlines() if quarantine.exists() else []
    assert len(found) == sum(refused.values())
    assert all(f'"rule": "{rule}"' in "".join(found) for rule in refused)
    assert len({page.page_id for page in pages}) == len(pages)
    assert sum(count_topics(pages).values()) == len(pages)
    assert len(digest(named)) == 64
    if refused:
        with pytest.raises(InputError):
            read_texts(named, SAME)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    named = bbc(tmp_path)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "bbc" / "sport" / "x.txt").symlink_to(tmp_path / "secret")
    rules = [item.error.rule for _, item in scan_texts(named, SAME) if not isinstance(item, Page)]
    assert "outside-folder" in rules


def test_iptc_has_the_17_media_topics_and_names_the_common_sets() -> None:
    iptc = TopicMapping.load("iptc")
    assert len(set(iptc.names.values())) == 17
    codes = sorted(label for label in iptc.names if label.startswith("medtop:"))
    assert codes == [f"medtop:{n:02}000000" for n in range(1, 18)]
    assert iptc.name("Sci/Tech") == iptc.name("tech") == iptc.name("comp.graphics") == "science and technology"
    assert iptc.name("medtop:15000000") == iptc.name("Sports") == "sport"
    bbc_topics = ("business", "entertainment", "politics", "sport", "tech")
    groups = [
        "alt.atheism",
        "comp.graphics",
        "comp.os.ms-windows.misc",
        "comp.sys.ibm.pc.hardware",
        "comp.sys.mac.hardware",
        "comp.windows.x",
        "misc.forsale",
        "rec.autos",
        "rec.motorcycles",
        "rec.sport.baseball",
        "rec.sport.hockey",
        "sci.crypt",
        "sci.electronics",
        "sci.med",
        "sci.space",
        "soc.religion.christian",
        "talk.politics.guns",
        "talk.politics.mideast",
        "talk.politics.misc",
        "talk.religion.misc",
    ]
    assert len(groups) == 20
    for label in (*bbc_topics, "World", "Sports", "Business", "Sci/Tech", *groups):
        iptc.name(label)


def test_a_topic_the_mapping_lacks_is_told_with_its_page(tmp_path: Path) -> None:
    iptc = TopicMapping.load("iptc")
    page = make_page("a", 0)
    assert {s.topic for s in iptc.page(page, "c.jsonl").segments} <= {None, "sport", "economy, business and finance"}
    text = (
        IPTC.read_text(encoding="utf-8")
        .replace("labels: [sports, ", "labels: [")
        .replace('name: "sport"', 'name: "games"')
    )
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="page 'a-0' has the topic"):
        TopicMapping.load(str(tmp_path / "mine.yaml")).page(
            page.with_segments(page.segments[3:4] + make_page("a", 2).segments), "c.jsonl"
        )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "topics: 3",
        "topics: [{name: x}]",
        "{",
        "topics:\n- {code: a, name: x, labels: [l]}\n- {code: b, name: y, labels: [L]}",
    ],
)
def test_a_mapping_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        TopicMapping.load(str(tmp_path / "m.yaml"))
    assert caught.value.rule == "bad-mapping"


@pytest.mark.parametrize("named", ["nothing.csv", "folders:/nowhere", "ag-news:none.csv", "folder:x"])
def test_missing_texts_are_told(named: str) -> None:
    with pytest.raises(InputError):
        read_texts(named, SAME)


@pytest.mark.parametrize("label", [-1, None], ids=["unlabelled", "empty"])
def test_a_text_of_no_class_teaches_no_topic(label: int | None, tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["World", "Sports"])}
    )
    rows = [{"text": "A treaty", "label": 0}, {"text": "A text of nobody's", "label": label}]
    datasets.Dataset.from_list(rows, features=features).save_to_disk(str(tmp_path / "set"))
    pages, refused = read_texts(f"dataset:{tmp_path / 'set'}", SAME, tmp_path / "q.jsonl")
    assert (shown(pages), refused) == ([("World", ["A treaty"])], 1)
    assert '"rule": "no-topic"' in (tmp_path / "q.jsonl").read_text()


def test_a_text_is_judged_as_a_main_story_on_a_site_of_its_own(tmp_path: Path) -> None:
    texts, _ = read_texts(bbc(tmp_path), SAME, tmp_path / "q.jsonl")
    pages = [as_labelled(text) for text in texts]
    assert len({page.site for page in pages}) == len(pages) > 1, "intervals are over sites"
    assert {(s.role, s.story) for page in pages for s in page.segments} == {("main", 0)}
    assert shown(pages) == shown(texts)
