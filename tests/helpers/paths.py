"""Where the checkout and what lies beside it are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
"""Real labelled pages, where a machine has them; tests that read them skip elsewhere."""
