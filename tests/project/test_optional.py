"""What a machine lacks is said: as a reason, in the last lines of a run, or as a failure where it must be there."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.helpers import optional
from tests.helpers.optional import PARTS, need, reason, untested


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a part that is not here."""
    monkeypatch.setitem(PARTS, "spark", replace(PARTS["spark"], present=lambda: False))
    monkeypatch.delenv(optional.REQUIRED, raising=False)
    return "spark"


def test_what_is_here_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "spark", replace(PARTS["spark"], present=lambda: True))
    need("spark")


def test_what_is_absent_skips_with_its_claim_and_its_remedy(absent: str) -> None:
    with pytest.raises(pytest.skip.Exception) as caught:
        need(absent)
    assert str(caught.value) == reason(absent)
    assert PARTS[absent].claim in reason(absent)
    assert PARTS[absent].remedy in reason(absent)


def test_what_must_be_here_and_is_absent_fails(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(optional.REQUIRED, "extractors,spark")
    with pytest.raises(pytest.fail.Exception, match="required here and absent: make spark"):
        need(absent)


def test_the_last_lines_count_the_tests_of_each_absent_part() -> None:
    lines = untested([reason("spark"), reason("chromium"), reason("spark"), "a reason of its own"], slow_left_out=True)
    assert lines[0] == "not tested here:"
    assert f"  {PARTS['spark'].claim} (2 tests; missing: spark): {PARTS['spark'].remedy}" in lines
    assert f"  {PARTS['chromium'].claim} (1 test; missing: chromium): {PARTS['chromium'].remedy}" in lines
    assert "  a reason of its own (1 test)" in lines
    assert lines[-1].endswith(": make test-all")
    assert len(lines) == 5
    assert untested([], slow_left_out=False) == []


def test_a_remedy_names_a_command() -> None:
    for name, part in PARTS.items():
        assert re.search(r"make [a-z.]|apt-get install|lay the pages|run as root", part.remedy), name
