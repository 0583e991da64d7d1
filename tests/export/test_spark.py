"""Spark on two executors of this machine, one of them killed, gives the table that `label` gives; skipped where PySpark
or Java is absent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from tests.helpers.configs import ConfigMaker
from tests.helpers.optional import need
from tests.helpers.paths import ROOT
from tests.helpers.survival_rows import add_row, command_line_of
from train.bench.serving import EXAMPLES
from train.export.golden import PAGES
from train.inference.batch import label_corpus
from train.inference.resolve import load_labeler
from train.registry.versions import register
from train.training.recipe import fit

COPIES = 6


@pytest.mark.slow
def test_the_example_on_spark_gives_the_identical_table_though_an_executor_is_killed(
    make_config: ConfigMaker, corpus: Path, store: Path, tmp_path: Path
) -> None:
    from train.corpus.page import Page, Segment
    from train.corpus.read import read_pages, write_pages

    need("spark")
    outcome = fit(make_config("demo-baseline", "tracking.enabled=true", "tracking.experiment=test"))
    register(str(outcome.model_uri), bundle_version=outcome.version, alias="champion")
    odd = [Page(name, "golden.example", tuple(Segment(text) for text in texts)) for name, texts in PAGES.items()]
    path = tmp_path / "pages.jsonl"
    again = [replace(page, page_id=f"{page.page_id}-{n}") for n in range(COPIES) for page in read_pages(corpus)]
    write_pages(path, [*again, *odd])
    label_corpus(load_labeler(str(outcome.output)), str(path), tmp_path / "labelled")

    # Tasks of a few pages: there is work left when an executor goes.
    (tmp_path / "spark-defaults.conf").write_text(
        "spark.sql.files.maxPartitionBytes 40k\nspark.sql.files.openCostInBytes 1k\n"
    )
    environment = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_MASTER": "local-cluster[2,1,1024]",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        "SPARK_CONF_DIR": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }
    started = time.monotonic()
    log = tmp_path / "spark.log"
    with log.open("wb") as file:
        running = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "spark_label.py"), str(path), str(tmp_path / "by-spark")],
            cwd=tmp_path,
            env=environment,
            stdout=file,
            stderr=file,
        )
    try:
        killed = _kill_an_executor(running, tmp_path / "by-spark")
        assert running.wait(300) == 0, log.read_text()[-3000:]
    finally:
        running.kill()
    assert killed, "no executor was at work: " + log.read_text()[-3000:]
    assert "Lost executor" in log.read_text()
    ours, sparks = (
        sorted(pq.read_table(tmp_path / name).to_pylist(), key=lambda r: r["page_id"])
        for name in ("labelled", "by-spark")
    )
    assert len(ours) == 72 * COPIES + len(PAGES)
    assert sparks == ours
    add_row(
        "a Spark executor killed",
        "label by Spark, 2 executors",
        f"{len(ours):,} pages, the table of `make label`",
        time.monotonic() - started,
    )


def _kill_an_executor(running: subprocess.Popen[bytes], output: Path) -> bool:
    """Kills one of the two executors once the first tasks are done."""
    deadline = time.monotonic() + 200
    while running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
        if not list(output.glob("_temporary/0/task_*")):
            continue
        family = psutil.Process(running.pid).children(recursive=True)
        executors = [p for p in family if "CoarseGrainedExecutorBackend" in command_line_of(p)]
        assert len(executors) == 2
        executors[0].kill()
        return True
    return False
