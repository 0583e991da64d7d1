"""Signals that ask a process to end."""

from __future__ import annotations

import signal
from contextlib import suppress

import pytest

from train.common.signals import Interrupted, signals_raise


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_block_at_once(number: signal.Signals) -> None:
    steps = []

    def block() -> None:
        with signals_raise():
            signal.raise_signal(number)
            steps.append("the rest")

    with pytest.raises(Interrupted) as caught:
        block()
    assert caught.value.number == number
    assert not steps


def test_a_signal_that_something_swallowed_ends_the_innermost_block_at_its_end() -> None:
    steps = []
    before = signal.getsignal(signal.SIGTERM)

    def blocks() -> None:
        with signals_raise():
            with signals_raise():
                with suppress(Interrupted):  # as Python does in a finaliser or a C library's callback
                    signal.raise_signal(signal.SIGTERM)
                steps.append("the rest of the inner block")
            steps.append("after it")

    with pytest.raises(Interrupted) as caught:
        blocks()
    assert steps == ["the rest of the inner block"]
    assert caught.value.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_block_without_a_signal_ends_as_ever() -> None:
    with signals_raise():
        pass
    with pytest.raises(ValueError, match="its own"), signals_raise():
        raise ValueError("its own")
