"""A bundle from the shell: `PYTHONPATH=bundle python -m newsparts_runtime page.txt` prints a record a page; `--check`
proves it is well."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from . import golden
from .labeler import Labeler
from .manifest import BundleError


def main() -> int:
    """Runs the command line; returns the exit code: 0, 1 when a check fails, 2 when something cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m newsparts_runtime", description="Labels pages with the bundle this package lies in."
    )
    parser.add_argument("files", nargs="*", help="plain text, a segment a line; - is standard input")
    parser.add_argument(
        "--bundle", type=Path, default=Path(__file__).resolve().parents[1], help="another bundle's folder"
    )
    parser.add_argument(
        "--check", action="store_true", help="label the golden pages and compare with the exported answers"
    )
    wished = parser.parse_args()
    started = time.perf_counter()
    try:
        labeler = Labeler.load(wished.bundle)
        for name in wished.files:
            data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            record = labeler.label_text(data.decode("utf-8-sig"), "stdin" if name == "-" else Path(name).stem)
            sys.stdout.buffer.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.flush()
        checked = wished.check or not wished.files
        differences = golden.differences(labeler, wished.bundle) if checked else []
        count = len(golden.read(wished.bundle)) if checked else 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output is gone
        return 141
    except (BundleError, OSError, UnicodeDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if checked:
        for line in differences:
            print(line, file=sys.stderr)
        outcome = (
            f"{len(differences)} answers differ" if differences else f"{count} golden pages are labelled as exported"
        )
        print(
            f"{labeler.family} {labeler.version}: {outcome}, {time.perf_counter() - started:.1f} s with loading",
            file=sys.stderr,
        )
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
