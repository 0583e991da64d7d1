"""Texts with topics in every format that is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def ag_news(folder: Path) -> str:
    path = folder / "ag.csv"
    path.write_text(
        '"3","Oil dearer","Oil prices rose\\ on Monday."\n"2","Cup final","They won, he '
        '""said""."\n"9","x","y"\n"4","Chip"\n',
        encoding="utf-8",
    )
    return f"ag-news:{path}"


def table(folder: Path) -> str:
    path = folder / "texts.csv"
    path.write_text('Text,Topic\n"Two\nlines",sport\nalone\n,business\nA bank,business\n', encoding="utf-8")
    return f"csv:{path}"


def bbc(folder: Path) -> str:
    root = folder / "bbc"
    for topic, texts in {"sport": ["Rovers win\n\nThey won."], "business": ["Bank opens", ""]}.items():
        (root / topic).mkdir(parents=True)
        for i, text in enumerate(texts):
            (root / topic / f"{i:03}.txt").write_text(text, encoding="utf-8")
    (root / "business" / "009.txt").write_bytes("It cost £5".encode("latin-1"))
    (root / "README.TXT").write_text("not a text")
    return f"folders:{root}"


def newsgroups(folder: Path) -> str:
    root = folder / "news"
    (root / "sci.space").mkdir(parents=True)
    (root / "sci.space" / "60862").write_text(
        "From: a@b\nSubject: Re: RE: Moon base\nLines: 3\n\nWhen?\n\nSoon: next year.\n"
    )
    (root / "sci.space" / "60863").write_text("No header here\n\nbut text")
    (root / "rec.autos").mkdir()
    (root / "rec.autos" / "1").write_bytes(b"Subject: Brakes\n\nThey squeak \xe9")
    return f"newsgroups:{root}"


def dataset(folder: Path) -> str:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["World", "Sports"])}
    )
    rows = [{"text": "A treaty", "label": 0}, {"text": "A match\nwas played", "label": 1}]
    datasets.Dataset.from_list(rows, features=features).save_to_disk(str(folder / "set"))
    return f"dataset:{folder / 'set'}"


TOPIC_KINDS: dict[str, Callable[[Path], str]] = {
    "ag-news": ag_news,
    "csv": table,
    "folders": bbc,
    "newsgroups": newsgroups,
    "dataset": dataset,
}
