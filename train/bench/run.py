"""Runs the sections of `make bench`, each comparison in a fresh process with its threads pinned, and writes what they
found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from train.bench import growth, neighbours, serving
from train.bench.compare import Row, table
from train.common.console import console
from train.common.environment import machine
from train.common.errors import InputError
from train.common.files import write_json, write_text
from train.inference.resolve import bundle_folder
from train.runtime.encoder import SEGMENT_FILES

COMPARED = {"baseline": (1,), "labelling": (1, 2)}
"""Sections that compare, and the threads they are run with."""
SECTIONS = ("growth", *COMPARED, "neighbours", "serving")
OF_ENCODER = frozenset({"labelling", "neighbours"})
"""Sections that measure a trained encoder."""
CHAMPION = "models:/newsparts@champion"
PAGES = 1040
"""Of the composed corpus that is compared on: the demo's."""


def report(
    folder: Path, sections: Sequence[str], sizes: Sequence[int], steps: Sequence[str], model: Path, rounds: int
) -> Iterator[tuple[Path, str]]:
    """Yields, section by section, where its Markdown is and what it says; the same as JSON lies beside.

    Args:
        folder: For corpora and results.
        sections: Names in `SECTIONS`; empty: all.
        sizes: Of the corpora of `growth`; empty: 10,000, 100,000 and 1,000,000 segments.
        steps: Of `growth`; empty: all.
        model: An encoder's output folder, for what measures one.
        rounds: Of each comparison of the baseline; half as many of the encoder, which is slow.

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
    if OF_ENCODER & set(sections or SECTIONS) and not (model / "bundle" / SEGMENT_FILES[0]).is_file():
        raise InputError(
            "no trained encoder",
            expected="a run's output folder",
            remedy="run make demo first, or name one: MODEL=outputs/…",
            path=model,
            rule="no-model",
        )
    for section in sections or SECTIONS:
        if section == "growth":
            found = growth.growth(folder, sizes or growth.SIZES, steps or tuple(growth.STEPS))
            text, plain = growth.table(found), growth.to_json(found)
            about = machine()
        else:
            corpus = build(folder / "composed.jsonl.gz", seed=13, pages=PAGES)
            about = machine() | {"corpus": corpus.sha256[:12]}
            if section == "serving":
                rows = serving.serving(corpus.path, CHAMPION, bundle_folder(CHAMPION))
                about |= {"model": CHAMPION}
            elif section == "neighbours":
                rows = neighbours.neighbours(corpus.path, model, max(2, rounds // 2))
                about |= {"threads": neighbours.THREADS}
            else:
                count = rounds if section == "baseline" else max(2, rounds // 2)
                rows = [
                    row
                    for threads in COMPARED[section]
                    for row in _isolated(section, corpus.path, model, count, threads)
                ]
                about |= {"threads": " and ".join(map(str, COMPARED[section])), "rounds": count}
            text, plain = table(rows), {"machine": about, "rows": [asdict(row) for row in rows]}
        note = ", ".join(f"{name} {value}" for name, value in about.items())
        text += f"\n`make bench SECTIONS={section}`, {note}, {datetime.now(UTC):%Y-%m-%d}\n"
        write_json(folder / f"{section}.json", plain)
        write_text(folder / f"{section}.md", text)
        yield folder / f"{section}.md", text


def _isolated(section: str, corpus: Path, model: Path, rounds: int, threads: int) -> list[Row]:
    console.print(f"measuring {section} with {threads} thread{'s'[: threads != 1]}")
    pinned = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    command = [sys.executable, "-m", "train.bench.run", section, str(corpus), str(model), str(rounds), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **pinned})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return [Row(**row) for row in json.loads(done.stdout.splitlines()[-1])]


def main(section: str, corpus: Path, model: Path, rounds: int, threads: int) -> list[Row]:
    """Runs one comparison in this process."""
    if section == "baseline":
        from train.bench import baseline

        return baseline.run(corpus, rounds)
    from train.bench.encoder import labelling

    return labelling(corpus, model, rounds, threads)


if __name__ == "__main__":
    name, corpus_path, model_path, count, cores = sys.argv[1:]
    print(json.dumps([asdict(row) for row in main(name, Path(corpus_path), Path(model_path), int(count), int(cores))]))
