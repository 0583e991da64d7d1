"""An ensemble is the mean of its families: in what it says, in what it ships, and in what it may be made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.configs import ConfigMaker
from tests.helpers.pages import make_page
from tests.helpers.paths import ROOT
from train.config import load_config
from train.corpus.page import Page
from train.corpus.training import TrainingPages
from train.errors import InputError
from train.files import read_json, write_json
from train.models.ensemble import EnsembleFamily, best_shares
from train.models.family import Log, certain_states
from train.recipe import fit
from train.runtime import BundleError, Labeler
from train.runtime.decoding import Decoder
from train.runtime.ensemble import Ensemble, StoryEnsemble, ensemble_of
from train.runtime.labeler import SCHEMA, version_of
from train.runtime.reading import ROLES, clean


class Fixed:
    """A reader that says the same of every segment."""

    topics = ("business", "sport")

    def __init__(self, states: Sequence[float], logits: Sequence[float] | None) -> None:
        self._states, self._logits = states, logits

    def states(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        told = None if self._logits is None else [np.tile(self._logits, (len(page), 1)) for page in pages]
        return [np.tile(self._states, (len(page), 1)) for page in pages], told


class FixedStories(Fixed):
    """The same, with topics of whole stories."""

    def __init__(self, states: Sequence[float], topics: Sequence[float]) -> None:
        super().__init__(states, None)
        self._topics = topics

    def story_topics(self, stories: Sequence[str]) -> np.ndarray:
        return np.tile(self._topics, (len(stories), 1))


def test_states_and_topics_are_means_whichever_way_topics_are_read() -> None:
    by_story = FixedStories([0.8, 0.2, 0.0, 0.0], [0.9, 0.1])
    by_segment = Fixed([0.4, 0.6, 0.0, 0.0], np.log([0.3, 0.7]).tolist())
    both = ensemble_of({"baseline": by_story, "hierarchical": by_segment})
    states, logits = both.states([["a", "b"], []])
    assert [len(page) for page in states] == [2, 0]
    assert states[0] == pytest.approx(np.tile([0.6, 0.4, 0.0, 0.0], (2, 1)))
    assert logits is not None
    labeler = Labeler(both, Decoder.from_states([], weight=0.0), "", "", "ensemble", both.topics)
    assert labeler.story_topics([["a", "b"]], [[0, 0]])[0][0] == pytest.approx([0.6, 0.4])
    assert next(labeler.label([("p", ["a", "b"])]))["stories"][0]["topic"] == "business"


def test_it_reads_whole_stories_only_when_a_reader_does() -> None:
    neural, lexical = Fixed([1, 0, 0, 0], [0.0, 1.0]), FixedStories([1, 0, 0, 0], [1.0, 0.0])
    assert type(ensemble_of({"encoder": neural, "hierarchical": neural})) is Ensemble
    assert type(ensemble_of({"baseline": lexical, "hierarchical": neural})) is StoryEnsemble
    assert ensemble_of({"baseline": lexical, "x": lexical}).states([["a"]])[1] is None


def test_the_bundle_answers_by_the_mean_of_its_members_that_lie_in_it(make_config: ConfigMaker) -> None:
    outcome = fit(make_config("pages-ensemble"))
    bundle = outcome.output / "bundle"
    manifest = read_json(bundle / "bundle.json")
    assert list(manifest["members"]) == ["baseline", "hierarchical"]
    assert {"baseline/model.skops", "baseline/trees.npz", "hierarchical/page.onnx", "hierarchical/segments.onnx"} <= set(manifest["files"])
    needed = (bundle / "requirements.txt").read_text()
    assert all(f"{name}==" in needed for name in ("skops", "onnxruntime", "tokenizers"))
    assert needed.count("numpy==") == 1
    assert "the mean of (1) TF-IDF" in (bundle / "MODEL_CARD.md").read_text()
    reader = Labeler.load(bundle).reader
    assert isinstance(reader, StoryEnsemble)
    pages = [[clean(text) for text in make_page("unseen", n).texts] for n in range(3)]
    shares = manifest["shares"]
    assert sum(shares.values()) == pytest.approx(1)
    apart = [member.states(pages)[0] for member in reader.readers.values()]
    for together, a, b in zip(reader.states(pages)[0], *apart, strict=True):
        assert np.abs(a - b).max() > 1e-3, "members that say the same are no test"
        assert together == pytest.approx(shares["baseline"] * a + shares["hierarchical"] * b)


def test_a_share_is_a_readers_say_in_roles_not_in_topics() -> None:
    members = {"baseline": Fixed([0.8, 0.2, 0.0, 0.0], [0.0, 1.0]), "hierarchical": Fixed([0.4, 0.6, 0.0, 0.0], [1.0, 1.0])}
    states, logits = ensemble_of(members, {"hierarchical": 3.0, "baseline": 1.0}).states([["a"]])
    assert states[0][0] == pytest.approx([0.5, 0.5, 0, 0])
    assert logits is not None
    assert logits[0][0] == pytest.approx([0.5, 1.0])


def test_readers_of_whole_stories_are_averaged_too_and_each_share_goes_to_its_own_reader() -> None:
    a, b = FixedStories([0.8, 0.2, 0.0, 0.0], [0.9, 0.1]), FixedStories([0.0, 0.2, 0.4, 0.4], [0.3, 0.7])
    both = ensemble_of(
        {"baseline": a, "encoder": b, "hierarchical": Fixed([0.0, 1.0, 0.0, 0.0], None)}, {"baseline": 2, "encoder": 1, "hierarchical": 1}
    )
    assert isinstance(both, StoryEnsemble)
    assert both.story_topics(["x", "y"]) == pytest.approx(np.array([[0.6, 0.4], [0.6, 0.4]]))
    assert both.states([["a"]])[0][0][0] == pytest.approx([0.4, 0.4, 0.1, 0.1])


class Telling(Fixed):
    """Tells the role of each segment, as sure of it as it is told to be; or says main of all."""

    def __init__(self, pages: Sequence[Page], sure: float, *, right: bool) -> None:
        super().__init__([], None)
        self.known = {tuple(clean(text) for text in page.texts): [s.role for s in page.segments] for page in pages}
        self.sure, self.right = sure, right

    def states(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        roles = [self.known[tuple(page)] for page in pages]
        found = [certain_states([str(role) if self.right else "main" for role in page]) for page in roles]
        return [self.sure * states + (1 - self.sure) / 4 for states in found], None


def test_validation_pages_choose_each_readers_say() -> None:
    pages = [make_page("a", n) for n in range(3)]
    right, sure, wrong = (Telling(pages, 0.5, right=True), Telling(pages, 0.9, right=True), Telling(pages, 0.7, right=False))
    assert best_shares({"baseline": wrong, "hierarchical": right}, pages) == {"baseline": 0.25, "hierarchical": 0.75}
    assert best_shares({"baseline": right, "hierarchical": sure}, pages) == {"baseline": 0.5, "hierarchical": 0.5}, "nothing to choose"
    three = best_shares({"baseline": wrong, "encoder": right, "hierarchical": right}, pages)
    assert three["baseline"] == min(three.values())
    assert sum(three.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "shares", [{"baseline": 1.0}, {"baseline": 1.0, "hierarchical": 0.0}, {"baseline": 1.0, "hierarchical": "x"}, [1.0, 1.0]]
)
def test_a_bundle_with_shares_that_are_none_is_refused(tmp_path: Path, shares: Any) -> None:
    manifest = {
        "schema": SCHEMA, "roles": list(ROLES), "family": "ensemble", "members": {"baseline": {}, "hierarchical": {}}, "shares": shares, "files": {},
        "name": "x", "topics": [], "decoder": {},
    }  # fmt: skip
    write_json(tmp_path / "bundle.json", {"version": version_of(manifest), **manifest, "documents": {}})
    with pytest.raises(BundleError, match=r"has shares .*, expected one above 0 for each member"):
        Labeler.load(tmp_path)


@pytest.mark.parametrize("name", ["../baseline", "ensemble", ""])
def test_a_bundle_whose_members_are_no_families_is_refused(tmp_path: Path, name: str) -> None:
    manifest = {
        "schema": SCHEMA, "roles": list(ROLES), "family": "ensemble", "members": {name: {}}, "files": {}, "name": "x", "topics": [], "decoder": {},
    }  # fmt: skip
    write_json(tmp_path / "bundle.json", {"version": version_of(manifest), **manifest, "documents": {}})
    with pytest.raises(BundleError, match=r"has a member .*, expected baseline, encoder, hierarchical"):
        Labeler.load(tmp_path)


def test_int8_weights_of_a_member_name_no_version_and_can_be_passed_over(make_config: ConfigMaker) -> None:
    outcome = fit(make_config("pages-ensemble", "hierarchical.int8=true"))
    manifest = read_json(outcome.output / "bundle" / "bundle.json")
    assert "hierarchical/int8.json" in manifest["documents"]
    assert "hierarchical/int8.json" not in manifest["files"]
    kept = read_json(outcome.output / "bundle" / "hierarchical" / "int8.json")["kept"]
    assert manifest["members"]["hierarchical"]["int8"] is kept
    assert Labeler.load(outcome.output / "bundle", precision="float32").version == outcome.version


def test_step_metrics_of_two_members_stay_apart() -> None:
    class Losing(EnsembleFamily):
        def __init__(self, loss: float) -> None:
            super().__init__({})
            self.loss = loss

        def fit(self, pages: TrainingPages, log: Log) -> None:
            log({"train/loss": self.loss}, 1)
            log({"train/loss": self.loss / 2}, 2)

    seen: list[tuple[dict[str, float], int]] = []
    EnsembleFamily({"encoder": Losing(1.0), "hierarchical": Losing(4.0)}).fit(
        TrainingPages([]), lambda metrics, step: seen.append((metrics, step))
    )
    assert seen == [
        ({"train/loss": 1.0}, 1), ({"train/loss": 0.5}, 2), ({"train/hierarchical_loss": 4.0}, 1), ({"train/hierarchical_loss": 2.0}, 2),
    ]  # fmt: skip


def test_an_ensemble_of_one_is_refused() -> None:
    with pytest.raises(InputError, match="1 filled, expected at least 2"):
        load_config(Path(ROOT / "configs/pages-ensemble.yaml"), ["hierarchical=null"])
