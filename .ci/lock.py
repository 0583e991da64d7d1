"""Finishes what pip-compile wrote into the lock that CI installs from: `lock.py COMPILED LOCK`, called by `make lock`.

pip-compile takes the CPU build of torch where one lies on the machine's disk, and names it alone. The lock names the release, with the hashes
of that build and of PyPI's: either may be at hand. Our own package, which is not installed from an index, is left out.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.request import urlopen

HEAD = """\
# What CI installs, every file by its hash (`make setup LOCKED=1`): CPython 3.11 on Linux. Made by `make lock` from pyproject.toml and
# constraints.txt; renew it with them. On other systems, or for a GPU, `make setup` goes by constraints.txt alone.
"""


def main(compiled: Path, lock: Path) -> None:
    """Writes the lock."""
    blocks = re.split(r"\n(?=\S)", compiled.read_text(encoding="utf-8").strip())
    kept = [_torch(block) if block.startswith("torch==") else block for block in blocks if not block.startswith(("#", "newsparts"))]
    bare = [block.split(" ")[0] for block in kept if "--hash=sha256:" not in block]
    if bare:
        raise SystemExit(f"no hash for {', '.join(bare)}; expected one for each; remedy: is the index one that tells hashes?")
    lock.write_text(HEAD + "\n".join(kept) + "\n", encoding="utf-8")
    print(f"{lock}: {len(kept)} packages, {sum(block.count('--hash') for block in kept):,} files")


def _torch(block: str) -> str:
    version = re.match(r"torch==([0-9.]+)", block).group(1)  # type: ignore[union-attr]
    with urlopen("https://pypi.org/simple/torch/", timeout=60) as answer:
        links = re.findall(rf"/torch-{re.escape(version)}-cp311-[^#\"]*#sha256=([0-9a-f]{{64}})", answer.read().decode())
    hashes = sorted({*re.findall(r"sha256:([0-9a-f]{64})", block), *links})
    return f"torch=={version}" + "".join(f" \\\n    --hash=sha256:{one}" for one in hashes)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
