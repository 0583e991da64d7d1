"""Spark on two executors of this machine gives the table that `label` gives; skipped where PySpark or Java is absent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import ROOT
from train.bench.serving import readme_block
from train.bulk import label_corpus
from train.config import Config
from train.export.golden import PAGES
from train.labelling import load_labeler
from train.recipe import fit
from train.registry import register

ConfigMaker = Callable[..., Config]

pytest.importorskip("pyspark")
if shutil.which("java") is None:
    pytest.skip("no Java", allow_module_level=True)


def test_the_readme_on_spark_gives_the_identical_table(make_config: ConfigMaker, corpus: Path, store: Path, tmp_path: Path) -> None:
    from train.corpus.page import Page, Segment
    from train.corpus.read import read_pages, write_pages

    outcome = fit(make_config("demo-baseline", "tracking.enabled=true", "tracking.experiment=test"))
    register(str(outcome.model_uri), bundle_version=outcome.version, alias="champion")
    odd = [Page(name, "golden.example", tuple(Segment(text) for text in texts)) for name, texts in PAGES.items()]
    path = tmp_path / "pages.jsonl"
    write_pages(path, [*read_pages(corpus), *odd])
    label_corpus(load_labeler(str(outcome.output)), str(path), tmp_path / "labelled")

    (tmp_path / "spark_label.py").write_text(readme_block("spark_label.py"))
    environment = {
        **os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_MASTER": "local-cluster[2,1,1024]", "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "spark_label.py", str(path), str(tmp_path / "by-spark")], cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    ours, sparks = (sorted(pq.read_table(tmp_path / name).to_pylist(), key=lambda r: r["page_id"]) for name in ("labelled", "by-spark"))
    assert len(ours) == 72 + len(PAGES)
    assert sparks == ours
