"""The registry's lock and what moves under it: one client at a time looks, and moves an alias, and lets go whatever
comes of it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from tests.helpers.registry import MODEL, Registry
from train.common import signals as interrupt
from train.common.errors import InputError
from train.common.files import write_text
from train.common.signals import process_id
from train.registry import lock, mlflow_client
from train.registry import versions as registry
from train.registry.champion import HISTORY, ChampionMoved, history, promote, refuse, rollback
from train.registry.lock import LOCK
from train.registry.rule_result import RuleResult
from train.registry.versions import register, register_outcome, version, version_of
from train.training.outcome import Outcome

RESULTS = [RuleResult("better", True, "+0.100", "+0.010 or more"), RuleResult("size", False, "9 | 9 MB", "5 MB")]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry with the versions 1 to 4, none of which serves."""
    made = Registry("1", "2", "3", "4")
    monkeypatch.setattr(mlflow_client, "open_client", lambda: made)
    monkeypatch.setattr(registry, "has_model", lambda uri: True)
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """A clock that goes on while one waits, ten seconds at a time, and does something then: `clock(act)`."""
    now = [1_000.0]
    acts: list[Callable[[], None]] = []

    def sleep(seconds: float) -> None:
        now[0] += 10
        for act in acts:
            act()

    monkeypatch.setattr(lock, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: now[0]))
    monkeypatch.setattr(interrupt, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return acts.append


def _serving(client: Registry, *versions: str) -> None:
    """These served one after the other; the last still does."""
    client.aliases["champion"] = versions[-1]
    client.models[MODEL][HISTORY] = json.dumps(versions)


def _register(client: Registry) -> None:
    register("models:/m-1", bundle_version="v")


ACTS: dict[str, Callable[[Registry], Any]] = {
    "promote": lambda client: promote("2", RESULTS, against="1"),
    "roll back": lambda client: rollback(),
    "register": _register,
}


@pytest.fixture
def registered(client: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The same; version 4 is of bundle v, and what is registered becomes version 5."""
    import mlflow

    _serving(client, "3", "1")
    client.versions["4"].tags["bundle.version"] = "v"

    def new(uri: str, name: str, tags: dict[str, str]) -> Any:
        client._ask("register")
        client.versions["5"] = SimpleNamespace(version="5", tags=tags, description="", run_id="r", source=uri)
        return client.versions["5"]

    monkeypatch.setattr(mlflow, "register_model", new)
    return client


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_all_that_is_looked_at_and_moved_is_under_the_lock(
    registered: Registry, act: Callable[[Registry], Any]
) -> None:
    act(registered)
    assert registered.asked[0] == f"create {LOCK}", "the lock first, then a look"
    assert registered.asked[-2:] == [f"look at {LOCK}", f"delete {LOCK}"], "and it is let go last"
    assert registered.asked.count(f"create {LOCK}") == registered.asked.count(f"delete {LOCK}") == 1
    assert [what for what in registered.asked if what.startswith("move")], "something was moved"
    assert LOCK not in registered.models


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_who_finds_the_lock_taken_waits_and_changes_nothing_meanwhile(
    registered: Registry, clock: Callable[[Callable[[], None]], None], act: Callable[[Registry], Any]
) -> None:
    registered.models[LOCK] = {"owner": process_id(), "token": "another's"}
    waited: list[int] = []

    def meanwhile() -> None:
        assert not [what for what in registered.asked if what.startswith(("move", "set", "describe", "register"))]
        waited.append(1)
        if len(waited) == 3:
            del registered.models[LOCK]

    clock(meanwhile)
    act(registered)
    assert len(waited) == 3
    assert LOCK not in registered.models
    assert [what for what in registered.asked if what.startswith("move")]


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
@pytest.mark.parametrize(
    "error", [MlflowException("the store broke"), KeyboardInterrupt()], ids=["an error", "a signal"]
)
def test_the_lock_is_let_go_when_moving_fails(
    registered: Registry, act: Callable[[Registry], Any], error: BaseException
) -> None:
    def fails() -> None:
        raise error

    registered.before = dict.fromkeys(["move champion to 2", "move champion to 3", "move challenger to 4"], fails)
    with pytest.raises(type(error)):
        act(registered)
    assert LOCK not in registered.models


def test_the_champion_is_looked_at_once_the_lock_is_held(
    client: Registry, clock: Callable[[Callable[[], None]], None]
) -> None:
    """Who waits for another's promotion must see it."""
    _serving(client, "1")
    client.models[LOCK] = {"owner": process_id(), "token": "another's"}

    def another_is_promoted() -> None:
        _serving(client, "1", "3")
        client.models.pop(LOCK, None)

    clock(another_is_promoted)
    with pytest.raises(ChampionMoved):
        promote("2", RESULTS, against="1")
    assert client.aliases["champion"] == "3"
    assert history() == ["1", "3"]
    assert client.versions["2"].tags == {}
    assert client.versions["2"].description == ""
    assert LOCK not in client.models


@pytest.mark.parametrize(
    ("present", "against", "moved"),
    [(None, None, True), ("1", "1", True), ("1", None, False), (None, "1", False), ("3", "1", False)],
)
def test_a_version_serves_where_the_champion_is_the_one_it_was_judged_against(
    client: Registry, present: str | None, against: str | None, moved: bool
) -> None:
    if present is not None:
        _serving(client, present)
    if moved:
        promote("2", RESULTS, against=against)
    else:
        with pytest.raises(ChampionMoved):
            promote("2", RESULTS, against=against)
    assert client.aliases.get("champion") == ("2" if moved else present)
    assert LOCK not in client.models


def test_a_lock_that_others_take_all_the_time_is_told_and_nothing_is_changed(
    client: Registry, clock: Callable[[Callable[[], None]], None]
) -> None:
    client.models[LOCK] = {"owner": process_id(), "token": "0"}
    clock(lambda: client.models[LOCK].update(token=str(len(client.asked))))
    with pytest.raises(InputError) as caught:
        promote("2", RESULTS, against=None)
    assert caught.value.rule == "locked"
    assert client.aliases == {}
    assert LOCK in client.models, "it is another's"


def test_the_lock_of_a_process_that_is_gone_is_taken_at_once(
    client: Registry, clock: Callable[[Callable[[], None]], None]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    client.models[LOCK] = {"owner": f"{platform.node()} {done.stdout.strip()}", "token": "its"}
    waited: list[int] = []
    clock(lambda: waited.append(1))
    promote("2", RESULTS, against=None)
    assert len(waited) == 1
    assert client.aliases["champion"] == "2"


@pytest.mark.parametrize(
    "owner",
    [f"elsewhere {os.getpid()}", f"{platform.node()} {os.getpid()}"],
    ids=["of another machine", "of a living process"],
)
def test_a_lock_that_is_seen_for_a_minute_is_taken_over_and_not_before(
    client: Registry, clock: Callable[[Callable[[], None]], None], owner: str
) -> None:
    client.models[LOCK] = {"owner": owner, "token": "its"}
    waited: list[bool] = []
    clock(lambda: waited.append(LOCK in client.models))
    promote("2", RESULTS, against=None)
    assert waited == [*[True] * 7, False], "ten seconds each"
    assert client.aliases["champion"] == "2"


def test_a_lock_that_another_took_over_is_not_ours_to_let_go(client: Registry) -> None:
    with lock.locked(client):
        client.models[LOCK]["token"] = "another's"
    assert client.models[LOCK]["token"] == "another's"
    del client.models[LOCK]
    with lock.locked(client):
        del client.models[LOCK]  # it was taken for a killed one's, and let go
    assert LOCK not in client.models


def test_a_store_that_breaks_while_locking_is_told_as_it_is(client: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise MlflowException("no space left")

    monkeypatch.setattr(client, "create_registered_model", broken)
    with pytest.raises(MlflowException, match="no space left"):
        promote("2", RESULTS, against=None)
    assert client.aliases == {}


def test_a_promotion_says_why_on_the_version_and_moves_the_alias_before_the_history(client: Registry) -> None:
    _serving(client, "1")
    long = RuleResult("a|rule", True, "f" * 500, "w|x")
    promote("2", [*RESULTS, long], against="1", forced="y" * 2_000)
    told = client.versions["2"]
    assert told.tags["gate"] == "promoted"
    assert told.tags["gate.forced"] == "y" * 1_000
    assert [v["passed"] for v in json.loads(told.tags["gate.verdicts"])] == [True, False, True]
    assert json.loads(told.tags["gate.verdicts"])[2]["found"] == "f" * 160
    assert "| better | pass |" in told.description
    assert "| size | **refused** |" in told.description
    assert told.description.startswith("promoted ")
    assert "Forced: yyy" in told.description
    assert client.asked.index("move champion to 2") < client.asked.index(f"set {HISTORY}"), (
        "a kill between the two loses nothing"
    )
    refuse("3", RESULTS)
    assert client.versions["3"].tags["gate"] == "refused"
    assert "gate.forced" not in client.versions["3"].tags
    assert client.aliases["champion"] == "2"


@pytest.mark.parametrize(
    ("served", "champion", "new", "expected"),
    [
        ((), None, "1", ["1"]),
        (("1",), "1", "2", ["1", "2"]),
        (("1", "2"), "2", "1", ["2", "1"]),
        (("1",), "3", "2", ["1", "3", "2"]),
        ((), "3", "2", ["3", "2"]),
        (("1", "2", "3"), "3", "4", ["1", "2", "3", "4"]),
    ],
    ids=[
        "the first",
        "the second",
        "once more",
        "after an alias moved by hand",
        "before there was a history",
        "the fourth",
    ],
)
def test_history_has_each_version_once_the_present_one_last(
    client: Registry, served: tuple[str, ...], champion: str | None, new: str, expected: list[str]
) -> None:
    client.models[MODEL][HISTORY] = json.dumps(served)
    if champion is not None:
        client.aliases["champion"] = champion
    promote(new, RESULTS, against=champion)
    assert history() == expected


@pytest.mark.parametrize(
    ("served", "champion", "deleted", "expected"),
    [
        (("1", "2", "3"), "3", (), ("3", "2", ["1", "2"])),
        (("1", "2", "3"), "2", (), ("2", "1", ["1"])),
        (("1", "2", "3"), "3", ("2",), ("3", "1", ["1"])),
        (("1", "2"), "4", (), ("4", "2", ["1", "2"])),
        (("1",), "1", (), None),
        (("1", "2"), "2", ("1",), None),
        ((), None, (), None),
    ],
    ids=[
        "the last",
        "not the last",
        "the one before was deleted",
        "moved by hand",
        "only one",
        "none is left",
        "none serves",
    ],
)
def test_what_served_before_the_champion_and_is_still_there_serves_again(
    client: Registry,
    served: tuple[str, ...],
    champion: str | None,
    deleted: tuple[str, ...],
    expected: tuple[str, str, list[str]] | None,
) -> None:
    client.models[MODEL][HISTORY] = json.dumps(served)
    if champion is not None:
        client.aliases["champion"] = champion
    for number in deleted:
        del client.versions[number]
    if expected is None:
        with pytest.raises(InputError) as caught:
            rollback()
        assert caught.value.rule == "no-history"
        assert client.aliases.get("champion") == champion
    else:
        assert rollback() == expected[:2]
        assert client.aliases["champion"] == expected[1]
        assert history() == expected[2]
        assert [number for number, found in client.versions.items() if "rolled_back" in found.tags] == [expected[0]]
    assert LOCK not in client.models


def test_a_bundle_is_registered_once_and_the_alias_follows(registered: Registry, tmp_path: Path) -> None:
    again = register("models:/m-1", bundle_version="v", alias="tried")
    assert (again.version, again.was_new, again.uri) == ("4", False, f"models:/{MODEL}@tried")
    assert registered.aliases == {"champion": "1", "tried": "4"}
    write_text(tmp_path / "bundle/bundle.json", "{}")
    outcome = Outcome(tmp_path, {}, "run", "models:/m-2", "w", "c", "s")
    new = register_outcome(outcome)
    assert (new.version, new.was_new, registered.aliases["challenger"]) == ("5", True, "5")
    assert registered.versions["5"].tags == {
        "bundle.version": "w",
        "corpus.sha256": "c",
        "split.sha256": "s",
        "run": "run",
        "bundle.sha256": hashlib.sha256(b"{}").hexdigest(),
    }
    assert registered.versions["5"].source == "models:/m-2"


def test_the_first_version_makes_the_registered_model(registered: Registry) -> None:
    del registered.models[MODEL]
    registered.aliases.clear()
    assert register("models:/m-1", bundle_version="v").version == "5", "what versions there were went with their model"
    assert MODEL in registered.models


def test_a_version_is_found_by_its_alias_or_its_number(client: Registry) -> None:
    _serving(client, "2")
    assert (version("champion").version, version("3").version) == ("2", "3")
    assert version_of("challenger") is None
    for name in ("9", "nobody"):
        with pytest.raises(InputError, match=f"no version or alias '{name}'"):
            version(name)
