"""The files of a repository at a pinned commit: a shallow, sparse fetch by git that runs nothing of what it fetches.

A mirror is a setting of git itself: `git config --global url.MIRROR.insteadOf ADDRESS`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from train.common.errors import InputError
from train.common.files import begin_folder
from train.corpus.collections.table import Collection

_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_ALLOW_PROTOCOL": "https:ssh:file",
    "LC_ALL": "C",
}
_OF_A_CALLER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.symlinks": "false",
    "core.autocrlf": "false",
    "core.fsmonitor": "false",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "advice.detachedHead": "false",
}
_ATTRIBUTES = "* -text -eol -ident -filter -working-tree-encoding\n"
"""Overrides a repository's own .gitattributes: files are the bytes that were committed."""


def fetched(collection: Collection, folder: Path) -> Path:
    """The folder of a collection's files, fetched unless they are there.

    Links come as small files that hold their target. A folder of another commit or other paths is fetched anew; of a
    fetch that was killed nothing is kept.

    Args:
        collection: The collection.
        folder: Where repositories are kept.

    Raises:
        InputError: There is no git, or the commit cannot be had.
    """
    place = folder / "+".join(collection.repository.split("/")[-2:])
    begin_folder(place, {"repository": collection.repository, "commit": collection.commit, "paths": collection.paths})
    whole, part = place / "files", place / "files.part"
    if whole.is_dir():
        return whole
    if part.exists():
        shutil.rmtree(part)
    part.mkdir()
    _git(part, collection, "init", "--quiet", "--template=")
    (part / ".git" / "info").mkdir(exist_ok=True)
    (part / ".git" / "info" / "attributes").write_text(_ATTRIBUTES)
    (part / ".git" / "info" / "sparse-checkout").write_text("".join(f"{line}\n" for line in collection.paths))
    _git(part, collection, "config", "core.sparseCheckout", "true")
    _git(part, collection, "remote", "add", "origin", collection.repository)
    fetch = ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules")
    try:
        _git(part, collection, *fetch, "--filter=blob:none", "origin", collection.commit)
    except InputError:  # a server of an older git may stumble over filters; most pass over them
        _git(part, collection, *fetch, "origin", collection.commit)
    _git(part, collection, "checkout", "--quiet", "--detach", collection.commit)
    shutil.rmtree(part / ".git")
    os.replace(part, whole)
    return whole


def _git(folder: Path, collection: Collection, *words: str) -> None:
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    kept = {name: value for name, value in os.environ.items() if name not in _OF_A_CALLER}
    try:
        done = subprocess.run(
            ["git", *settings, *words],
            cwd=folder,
            env=kept | _ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise InputError(
            "git is not installed", expected="git on the PATH", remedy="install git", rule="no-git"
        ) from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise InputError(
            f"git {words[0]}: {said}"[:400],
            expected=f"the commit {collection.commit} of {collection.repository}",
            remedy="mind the network; or a mirror's insteadOf, and that it holds the commit "
            "(uploadpack.allowFilter and allowAnySHA1InWant let it be asked for alone)",
            rule="not-fetched",
        )
