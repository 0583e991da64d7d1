"""`make help` tells of every target, and every target gives the command line words that it knows."""

from __future__ import annotations

import re
import shlex
import subprocess

import click
import pytest
import typer

from tests.helpers.paths import ROOT
from train.cli.app import application

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PHONY = re.findall(r"^\.PHONY: (\S+)$", MAKEFILE, re.MULTILINE)
GIVEN = {
    "check": 'CORPUS=pages.jsonl COLUMNS="a=b" ROLES="a=main" KEEP=kept.jsonl JSON=report.json UNLABELLED=1',
    "collections": 'NAMES="aeb fundus"',
    "corpus-report": "CORPUS=pages.jsonl UNLABELLED=1",
    "split": 'CONFIG=configs/pages-baseline.yaml SET="seed=7"',
    "leakage": "CONFIG=configs/pages-baseline.yaml",
    "label-errors": 'CONFIG=configs/pages-baseline.yaml SET="seed=7"',
    "suggest": "CORPUS=pages.jsonl N=5",
    "label-studio": "CORPUS=pages.jsonl MODEL=outputs/x",
    "train": 'CONFIG=configs/pages-baseline.yaml SET="seed=7 corpus.path=x"',
    "crossval": "CONFIG=configs/pages-baseline.yaml SLICE=lang FOLDS=3",
    "tune": "CONFIG=configs/pages-baseline.yaml N=3 SPACE=configs/tune/baseline.yaml METRIC=role/macro_f1 "
    "SAMPLER=random WORKERS=2 STORAGE=sqlite:///x",
    "ablate": 'CONFIG=configs/ablations/baseline.yaml ROW="a row" FOLDS=2',
    "transfer": 'CONFIG=configs/pages-baseline.yaml CORPORA="a=a.jsonl b=b.jsonl" FOLDS=2',
    "curve": 'CONFIG=configs/pages-baseline.yaml SITES="10 20" GOAL="text/f1=0.9" FOLDS=2',
    "benchmark": "CORPUS=aeb:folder MODEL=outputs/x RECORDS=r.jsonl PAGES=p.jsonl LANGUAGE=en OUT=folder",
    "compare": 'RUNS="outputs/a outputs/b" CORPUS=pages.jsonl',
    "evaluate": "MODEL=outputs/x CORPUS=pages.jsonl PART=test SLICE=lang KNOWN=1",
    "show": "FILE=page.txt HTML=page.html",
    "explain": "MODEL=outputs/x FILE=page.txt",
    "send": "MODEL=outputs/x",
    "register": "MODEL=outputs/x",
    "promote": 'VERSION=2 DRY=1 FORCE="it must" CORPUS=pages.jsonl SET="samples=10"',
    "label": 'CORPUS=pages.jsonl OUT=folder COLUMNS="a=b"',
    "drift": 'CORPUS=pages.jsonl COLUMNS="a=b"',
    "bench": 'SECTIONS="growth serving" RECORD=1 MODEL=outputs/x',
    "server": "STORE=postgresql://x PORT=5001",
}
"""What each target is given here; those that are not named need nothing."""


def _recipe(target: str) -> str:
    """The lines of a target."""
    return re.split(rf"^{target}:", MAKEFILE, maxsplit=1, flags=re.MULTILINE)[1].partition("\n.PHONY")[0]


def _make(*words: str) -> subprocess.CompletedProcess[str]:
    """`make`, without setting anything up."""
    ready = [
        word for target in (".venv/.ready", ".venv/.bench", ".venv/.beside", ".venv/.spark") for word in ("-o", target)
    ]
    return subprocess.run(
        ["make", "--no-print-directory", *ready, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
    )


def _listed(text: str) -> list[tuple[str, str]]:
    """The targets of a help text, and what it says of each."""
    return re.findall(r"^  make ([a-z-]+) +(\S.*)$", text, re.MULTILINE)


def test_help_lists_every_target_once_with_what_it_does() -> None:
    done = _make("help")
    assert done.returncode == 0, done.stderr
    listed = _listed(done.stdout)
    assert [name for name, _ in listed] == PHONY
    assert len(set(PHONY)) == len(PHONY) > 40
    assert all(10 < len(text) <= 110 and not text.endswith(".") for _, text in listed)
    assert done.stdout == _make().stdout, "help is what make alone shows"


def test_help_is_read_by_groups_and_begins_with_what_a_newcomer_needs() -> None:
    groups = [group for group in _make("help").stdout.split("\n\n") if _listed(group)]
    assert [name for name, _ in _listed(groups[0])] == ["demo", "check", "train", "compare", "show", "ui"]
    assert max(len(_listed(group)) for group in groups) <= 8


def test_a_verb_takes_any_option_as_arguments_and_rows_are_kept_when_it_is_said() -> None:
    for target in ("tune", "label"):
        given = shlex.split(GIVEN[target])
        assert "--seed 7" in _make("-n", target, *given, "ARGS=--seed 7").stdout
    assert "--record" in _make("-n", "demo", "RECORD=1").stdout
    assert "--record" not in _make("-n", "demo").stdout


def test_the_old_name_of_the_benchmark_still_works() -> None:
    given = shlex.split(GIVEN["benchmark"])
    assert _make("-n", "beside", *given).stdout == _make("-n", "benchmark", *given).stdout


def test_help_needs_no_environment() -> None:
    assert not re.search(r"^help:.*READY", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("target", [name for name in PHONY if "$(RUN)" in _recipe(name)])
def test_a_target_gives_the_command_line_words_that_it_knows(target: str) -> None:
    done = _make("-n", target, *shlex.split(GIVEN.get(target, "")))
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "-m train " in line]
    assert lines, done.stdout
    for line in lines:
        words = shlex.split(line.split("-m train ", 1)[1])
        command = typer.main.get_command(application())
        assert isinstance(command, click.Group) or hasattr(command, "commands")
        verb = command.commands[words[0]]
        context = verb.make_context(words[0], list(words[1:]))
        assert context.args == [], "not understood"


@pytest.mark.parametrize("target", [name for name in PHONY if "$(call need" in _recipe(name)])
def test_a_target_that_lacks_a_variable_says_which(target: str) -> None:
    done = _make("-n", target)
    assert done.returncode == 2
    assert re.search(rf"make {target} needs [A-Z]+=…: \w", done.stderr), done.stderr


def test_a_variable_of_the_environment_promotes_nothing() -> None:
    environment = {"PATH": "/usr/bin:/bin", "FORCE": "by chance", "VERSION": "9", "DRY": "1"}
    done = subprocess.run(
        ["make", "-n", "-o", ".venv/.ready", "promote"], cwd=ROOT, capture_output=True, text=True, env=environment
    )
    assert (done.returncode, "-m train promote" in done.stdout) == (0, True), done.stderr
    assert not {"--force", "--version", "--dry-run"} & set(shlex.split(done.stdout))


def test_the_quick_tests_leave_out_only_what_is_marked_and_all_leave_out_nothing() -> None:
    quick, every = (_make("-n", target).stdout for target in ("test", "test-all"))
    assert '-m "not slow"' in quick
    assert "not slow" not in every
    assert "NEWSPARTS_FUZZ=10000" in every
