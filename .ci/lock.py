"""Finishes what pip-compile wrote into the lock that CI installs from: `lock.py COMPILED LOCK`, called by `make lock`.

Our own package, which is not installed from an index, is left out, and every other must have a hash.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HEAD = """\
# What CI installs, every file by its hash (`make setup LOCKED=1`): CPython 3.11 on Linux, with the CPU build of torch,
# which must be at
# hand (pip's find-links, or PyTorch's own index). Made by `make lock` from pyproject.toml and constraints.txt; renew it
# with them. On other
# systems, or for a GPU, `make setup` goes by constraints.txt alone.
"""


def main(compiled: Path, lock: Path) -> None:
    """Writes the lock."""
    blocks = re.split(r"\n(?=\S)", compiled.read_text(encoding="utf-8").strip())
    kept = [block for block in blocks if not block.startswith(("#", "newsparts"))]
    bare = [block.split(" ")[0] for block in kept if "--hash=sha256:" not in block]
    if bare:
        raise SystemExit(
            f"no hash for {', '.join(bare)}; expected one for each; remedy: is the index one that tells hashes?"
        )
    lock.write_text(HEAD + "\n".join(kept) + "\n", encoding="utf-8")
    print(f"{lock}: {len(kept)} packages, {sum(block.count('--hash') for block in kept):,} files")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
