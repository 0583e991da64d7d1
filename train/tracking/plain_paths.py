"""Ways around characters of a path that MLflow does not bear: it reads paths of models as addresses, and that of its
migrations as a format."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from stat import S_ISDIR
from tempfile import gettempdir

from train.common.errors import InputError

_ODD = re.compile(r"[^\w./+@,=-]")


def plain_path(path: Path) -> Path:
    """The path, or a link to it in a temporary folder that this account alone may write, where the path has characters
    with a meaning in addresses.

    Args:
        path: A file or folder.

    Raises:
        InputError: No such link can be had.
    """
    path = path.absolute()
    if not _ODD.search(str(path)):
        return path
    folder = Path(gettempdir()) / f"newsparts-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if not S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o022 or _ODD.search(str(folder)):
        raise InputError(
            f"a path that MLflow does not bear, and no way around by {folder}",
            expected="a path of letters, digits and . _ - + @ , =",
            remedy="move the checkout, or name another temporary folder, TMPDIR=…",
            path=path,
            rule="odd-path",
        )
    link = folder / hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    with suppress(FileExistsError):
        link.symlink_to(path)
    return link


def find_mlflow() -> None:
    """Lets this process, and those that it starts, import MLflow from below a folder whose path holds `%`.

    Raises:
        InputError: No link can be had.
    """
    spec = find_spec("mlflow")
    packages = Path(spec.origin).parents[1] if spec is not None and spec.origin else Path()
    if "%" not in str(packages):
        return
    link = str(plain_path(packages))
    if link in sys.path:
        return
    if "mlflow" in sys.modules:  # a notebook may have loaded it before
        from mlflow.store.db import utils

        utils._get_package_dir = lambda: f"{link}/mlflow"
    sys.path.insert(0, link)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (link, os.environ.get("PYTHONPATH"))))
