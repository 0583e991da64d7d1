"""Runs the sections of `make bench`, each comparison in a fresh process with its threads pinned, and writes what they
found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from train.bench import growth, neighbours, serving
from train.bench.compare import Row, in_own_process, pinned
from train.common.console import console
from train.common.errors import InputError
from train.common.files import write_text
from train.inference.resolve import bundle_folder
from train.runtime.encoder import SEGMENT_FILES
from train.studies.result_tables import table
from train.studies.results import RESULTS, Measured, read_table, save_rows

SECTIONS = ("growth", "baseline", "neighbours", "serving")
CHAMPION = "models:/newsparts@champion"
PAGES = 400
"""The number of composed pages that are compared on: the demo's."""


def report(
    folder: Path,
    sections: Sequence[str],
    sizes: Sequence[int],
    steps: Sequence[str],
    model: Path,
    rounds: int,
    *,
    save: bool = False,
) -> Iterator[tuple[Path, str]]:
    """Yields, section by section, where its Markdown is and what it says; the same as JSON lies beside.

    Args:
        folder: The folder for corpora and results.
        sections: Names in `SECTIONS`; empty: all.
        sizes: Numbers of segments of the corpora of `growth`; empty: 10,000, 100,000 and 1,000,000.
        steps: The steps of `growth`; empty: all.
        model: An encoder's output folder, for `neighbours`.
        rounds: The rounds of each comparison of the baseline; half as many of the encoder, which is slow.
        save: Whether to keep the rows in `configs/results` too.

    Raises:
        InputError: There is no such section, step or model.
    """
    from train.corpus.build import build

    unknown = [name for name in sections if name not in SECTIONS]
    if unknown:
        raise InputError(
            f"section {unknown[0]!r}",
            expected=f"one of {', '.join(SECTIONS)}",
            remedy="name one of them",
            rule="no-section",
        )
    if "neighbours" in (sections or SECTIONS) and not (model / "bundle" / SEGMENT_FILES[0]).is_file():
        raise InputError(
            "no trained encoder",
            expected="a run's output folder",
            remedy="run make demo first, or name one: MODEL=outputs/…",
            path=model,
            rule="no-model",
        )
    for section in sections or SECTIONS:
        console.print(f"measuring {section}")
        sha256 = None
        if section == "growth":
            rows = growth.measured(growth.growth(folder, sizes or growth.SIZES, steps or tuple(growth.STEPS)))
        else:
            corpus = build(folder / "composed.jsonl.gz", seed=13, pages=PAGES)
            sha256 = corpus.sha256
            if section == "serving":
                rows = serving.serving(corpus.path, CHAMPION, bundle_folder(CHAMPION))
            elif section == "neighbours":
                rows = _by_name(neighbours.neighbours(corpus.path, model, max(2, rounds // 2)))
            else:
                measured = in_own_process("train.bench.baseline", str(corpus.path), str(rounds), **pinned(1))
                rows = _by_name([Row(**row) for row in measured])
        name = f"bench-{section}"
        (folder / f"{name}.json").unlink(missing_ok=True)
        for kept in (folder, *([RESULTS] if save else [])):
            save_rows(name, rows, command=f"make bench SECTIONS={section}", corpus_sha256=sha256, folder=kept)
        path = folder / f"{name}.md"
        text = table(name, {name: read_table(folder / f"{name}.json")})
        write_text(path, text)
        yield path, text


def _by_name(rows: Sequence[Row]) -> dict[str, Measured]:
    return {f"{row.section}: {row.name}": row.measured() for row in rows}
