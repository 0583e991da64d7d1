"""Signs of a caption: what they see, that they stay at the ends of a text, and that older bundles are read as they were
made."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from train.config.schema import Config
from train.corpus.page import Page
from train.corpus.training_data import TrainingPages
from train.inference.explain import feature_names
from train.models.baseline import family as models
from train.runtime import encoder
from train.runtime.baseline import Baseline
from train.runtime.captions import _SIGNS, CAPTION_NAMES, END_CHARS, captions
from train.runtime.encoder import COUNTED_NAMES, Encoder, SegmentPlan, counted
from train.runtime.page_features import NUMERIC_NAMES, numeric_features
from train.runtime.text import clean


def signs(text: str) -> set[str]:
    return {name for name, value in zip(CAPTION_NAMES, captions([text])[0], strict=True) if value}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("The harbour on Monday. Photo: Ana Lind", {"names_picture", "gives_credit"}),
        ("Ministerin Voss im Hafen (Foto: dpa)", {"names_picture", "names_agency", "gives_credit", "ends_bracketed"}),
        ("Ferry crews, left, wait for the tide", {"points_at_picture"}),
        ("A crane is seen at the quay. Reuters/Jo Park", {"names_agency", "joins_names", "tells_a_scene"}),
        ("© 2031 Harbour Post", {"claims_copyright"}),
        ("The council will vote on the tariff on Friday.", set()),
        ("The imagery was photographed by nobody.", set()),
        ("", set()),
    ],
)
def test_signs_of_a_caption(text: str, seen: set[str]) -> None:
    assert signs(text) == seen


def test_only_the_ends_of_a_text_are_read() -> None:
    far = "word " * (END_CHARS // 5)
    assert signs(f"{far}Photo: Getty {far}") == set()
    assert signs(f"{far}Photo: Getty") == {"names_picture", "names_agency", "gives_credit"}


def test_a_quick_look_misses_nothing_that_a_sign_would_find() -> None:
    """Words and letters that must be there are looked for first; letters of any case, and of none, make no
    difference."""
    rng = random.Random(5)
    parts = [part for words, letters, _ in _SIGNS.values() for part in (*words.split(), *letters)]
    parts += [
        "by",
        ":",
        "from",
        "of",
        "is seen",
        "were pictured",
        "was shown",
        "A/B",
        "Bo-Li/Reuters",
        "photoby",
        "\u0131mage",
        "\u0130MAGO",
        "\u017fource: x",
    ]
    parts += ["sitter", "epicentre", "cents", "Strasse", "Stra\u00dfe", "pho\u0301to", "\u212aK"]
    joints = ["", " ", "  ", "-", ".", "/", "_", "\n", "\u00a0", "e"]
    for _ in range(20_000):
        text = "".join(
            rng.choice(parts).upper() if rng.random() < 0.2 else rng.choice(parts) + rng.choice(joints)
            for _ in range(rng.randrange(1, 5))
        )
        ends = f"{text[:END_CHARS]} {text[-END_CHARS:]}"
        expected = [re.search(sign, ends, re.IGNORECASE) is not None for _, _, sign in _SIGNS.values()]
        assert captions([text])[0][:-1].astype(bool).tolist() == expected, text


def test_counted_are_the_numbers_and_then_the_captions() -> None:
    texts = ["Ferries stay in port", "Photo: Ana Lind"]
    found = counted(texts)
    assert found.shape == (2, len(COUNTED_NAMES))
    assert found.dtype == np.float32
    assert np.array_equal(found[:, : len(NUMERIC_NAMES)], numeric_features(texts))
    assert found[1, COUNTED_NAMES.index("names_picture")] == 1
    assert counted([]).shape == (0, len(COUNTED_NAMES))


def test_a_bundle_made_without_captions_gets_the_numbers_it_knows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its network has an input of fewer numbers: it would refuse more."""
    given: list[np.ndarray] = []

    class Session:
        def get_inputs(self) -> list[Any]:
            return [
                SimpleNamespace(name="vectors", shape=[1, "n", 4]),
                SimpleNamespace(name="numbers", shape=[1, "n", len(NUMERIC_NAMES)]),
            ]

        def get_outputs(self) -> list[Any]:
            return [SimpleNamespace(name="states")]

        def run(self, _: None, fed: dict[str, np.ndarray]) -> list[np.ndarray]:
            given.append(fed["numbers"])
            return [np.full((1, fed["numbers"].shape[1], 4), 0.25, np.float32)]

    monkeypatch.setattr(encoder, "onnx_session", lambda path, threads: Session())
    monkeypatch.setattr(encoder, "load_tokenizer", lambda path: None)
    plan = SegmentPlan(head=4, tail=0, opening=1, closing=2, pad=0)
    reader = Encoder.load(tmp_path, {"segments": plan.to_json(), "topics": []})
    texts = ["Ferries stay in port", "Photo: Ana Lind"]
    reader.read(np.zeros((2, 4), np.float32), counted(texts))
    assert np.array_equal(given[0][0], numeric_features(texts))


@pytest.mark.parametrize("told", [True, False])
def test_a_baseline_made_without_captions_reads_on_without(
    make_config: Callable[..., Config], pages: list[Page], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: bool
) -> None:
    """A manifest of before says nothing of captions."""
    config = make_config("pages-baseline", "baseline.max_iterations=20").baseline
    assert config is not None
    monkeypatch.setattr(models, "Baseline", lambda *parts: replace(Baseline(*parts), captions=told))
    family = models.BaselineFamily(config, 13)
    family.fit(TrainingPages(pages[:48]), lambda metrics, step: None)
    manifest = family.write(tmp_path, pages[48:])
    assert manifest["baseline"]["captions"] is told
    if not told:
        del manifest["baseline"]["captions"]
    loaded, unseen = Baseline.load(tmp_path, manifest), [[clean(text) for text in page.texts] for page in pages[48:]]
    for again, before in zip(loaded.score_segments(unseen)[0], family.scorer().score_segments(unseen)[0], strict=True):
        assert np.array_equal(again, before)
    names = feature_names(loaded)
    assert len(names) == loaded.features(unseen).shape[1]
    assert set(CAPTION_NAMES).isdisjoint(names) is not told


def test_a_text_has_its_signs_wherever_it_stands(make_config: Callable[..., Config], pages: list[Page]) -> None:
    """Each text is looked at once, however many segments hold it."""
    config = make_config("pages-baseline", "baseline.max_iterations=20").baseline
    assert config is not None
    family = models.BaselineFamily(config, 13)
    family.fit(TrainingPages(pages[:48]), lambda metrics, step: None)
    read = [["Ferries stay in port", "Photo: Ana Lind", "Ferries stay in port"], [], ["Photo: Ana Lind"]]
    _, found = family.scorer().read(read)
    first = len(NUMERIC_NAMES)
    assert np.array_equal(
        found[:, first : first + len(CAPTION_NAMES)], captions([text for page in read for text in page])
    )
