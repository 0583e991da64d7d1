"""Cross-validation by site: every page is labelled by a model that has seen neither its site nor its stories."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from train.config import Config
from train.corpus.facts import all_facts
from train.corpus.page import Page
from train.corpus.sources import jsonl
from train.corpus.split import folds
from train.errors import InputError
from train.files import read_json, sha256_json, write_json
from train.models.family import choose_decoder
from train.progress import console
from train.recipe import family_of, label_pages, run_fingerprint
from train.runtime import Labeler


def out_of_fold(config: Config, pages: Sequence[Page], corpus_sha256: str, *, count: int, work: Path) -> list[dict[str, Any]]:
    """Records of every page, each by the model of the fold that had it in its test part.

    A fold that is done is kept in `work`: a killed run goes on with the next one.

    Args:
        config: The model to train; its decoder is chosen on each fold's validation pages.
        pages: Labelled pages.
        corpus_sha256: Names the corpus, to recognise folds that are done.
        count: How many folds.
        work: Folder for folds; theirs of another config, corpus or code are thrown away.

    Raises:
        InputError: There are fewer groups of sites than folds.
    """
    state = sha256_json([run_fingerprint(config, corpus_sha256), count])
    if work.is_dir() and not ((work / "state.json").is_file() and read_json(work / "state.json") == state):
        shutil.rmtree(work)
    write_json(work / "state.json", state)
    corpus = config.corpus
    splits = folds(list(all_facts(pages)), count=count, validation_share=corpus.validation_share, seed=corpus.split_seed)
    by_id: dict[str, dict[str, Any]] = {}
    for i, split in enumerate(splits):
        path = work / f"fold-{i}.jsonl.gz"
        if not path.is_file():
            console.print(f"fold {i + 1} of {count}")
            parts = split.select(pages)
            jsonl.write(path, _label_fold(config, parts, work / f"fold-{i}"))
        by_id |= {record["page_id"]: record for record in _read(path)}
    return [by_id[page.page_id] for page in pages]


def _read(path: Path) -> Iterator[dict[str, Any]]:
    for line, record in jsonl.lines(path):
        if isinstance(record, InputError):
            raise InputError("a broken fold", expected="what an earlier run wrote", remedy=f"delete {path}", path=path, line=line)
        yield record


def _label_fold(config: Config, parts: Mapping[str, list[Page]], work: Path) -> list[dict[str, Any]]:
    family = family_of(config, work)
    family.fit(parts["train"], parts["validation"], lambda metrics, step: None)
    reader = family.reader()
    decoder, _ = choose_decoder(reader, parts["train"], parts["validation"], config.decoding)
    labeler = Labeler(reader, decoder, "newsparts", "out-of-fold", config.family, tuple(reader.topics))
    records = label_pages(labeler, parts["test"], "labelling pages of unseen sites")
    shutil.rmtree(work, ignore_errors=True)
    return records
