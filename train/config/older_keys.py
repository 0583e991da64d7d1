"""Configs of older versions: what was renamed is read with a warning, what is gone is refused. Nothing is misread in
silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from train.common.console import console
from train.common.errors import InputError

Error = Callable[[str, str, str, str], InputError]
"""Makes an error at a dotted key: found, expected, remedy."""
RENAMED = {
    "hierarchical": "encoder",
    "encoder.piece_segments": "encoder.chunk_segments",
    "encoder.batch_pieces": "encoder.batch_chunks",
    "corpus.also": "corpus.auxiliary",
    "encoder.also_epochs": "encoder.auxiliary_epochs",
    "encoder.topic_regularisation": "encoder.topic_C",
    "baseline.also_weight": "baseline.auxiliary_weight",
    "baseline.regularisation": "baseline.C",
    "baseline.topic_regularisation": "baseline.topic_C",
    "baseline.second_reading": "baseline.stacking_neighbours",
}
"""Sections and keys, dotted -> their names now; sections first."""
FAMILIES_RENAMED = {"hierarchical": "encoder"}
OFF = {"encoder.recombined": "pages are not recombined any more: it was worse"}
"""Keys that are passed over where they say no -> why there are none now."""
GONE = {
    "encoder.members": "one network is trained, whose pretrained layers learn: it is as accurate as three were",
    "evaluation.learning_curve": "`make curve` draws scores by training sites, cross-validated",
}
"""Keys that are passed over whatever they say -> why."""
ADDED = {"encoder.pretrained": None}
"""Keys that older configs do not have -> what they mean by it."""
PACKED = frozenset(
    {
        "window_tokens",
        "overlap",
        "freeze_embeddings",
        "batch_windows",
        "head_learning_rate",
        "layer_decay",
        "topic_weight",
        "checkpoints",
        "bf16",
        "fp16",
    }
)
"""Keys of `encoder` when it was another model, one that read packed pages."""
START = "start from configs/pages-encoder.yaml"


def new_name(dotted: str) -> str:
    """What a dotted key is called now; a warning tells when it was called otherwise."""
    name = dotted
    for old, new in RENAMED.items():
        if name == old or name.startswith(f"{old}."):
            name = new + name.removeprefix(old)
    if name != dotted:
        _warn(f"{dotted} is called {name} now, and read as such")
    return name


def names_below(section: str) -> dict[str, str]:
    """The older names of a section's keys -> their names now, both without the section."""
    parted = ((old.rpartition("."), new.rpartition(".")) for old, new in RENAMED.items())
    return {old[2]: new[2] for old, new in parted if section and old[0] == section}


def rename(values: dict[str, Any], lines: dict[str, int], error: Error) -> None:
    """Gives a config file's sections and keys their names of now.

    Args:
        values: The file's values, nested; changed in place.
        lines: Dotted key -> its line in the file, from 1; changed in place.
        error: Makes an error at a dotted key.

    Raises:
        InputError: Something is there under both names.
    """
    for old, new in RENAMED.items():
        section, _, key = old.rpartition(".")
        at, name = values.get(section) if section else values, new.rpartition(".")[2]
        if not isinstance(at, dict) or key not in at:
            continue
        if at[key] is not None and at.get(name) is not None:
            raise error(
                old, f"{old} beside {new}", f"{new} alone, which {old} is called now", f"keep one of them, as {new}"
            )
        _warn(f"{old} is called {new} now, and read as such")
        found = at.pop(key)
        if found is None and name in at:
            continue
        at[name] = found
        lines.update(
            {
                new + where.removeprefix(old): line
                for where, line in lines.items()
                if where == old or where.startswith(f"{old}.")
            }
        )


def refuse(values: dict[str, Any], error: Error) -> None:
    """Takes out of a config what says no to something that is gone.

    Args:
        values: The config's values, nested, under their names of now; changed in place.
        error: Makes an error at a dotted key.

    Raises:
        InputError: The config asks for something that is gone.
    """
    family = values.get("family")
    if family == "ensemble":
        raise error(
            "family",
            "family is ensemble",
            "baseline or encoder: ensembles are gone",
            f"{START}: it is as accurate alone",
        )
    if isinstance(family, str) and family in FAMILIES_RENAMED:
        values["family"] = FAMILIES_RENAMED[family]
        _warn(f"family {family} is called {values['family']} now, and read as such")
    encoder = values.get("encoder")
    if isinstance(encoder, Mapping) and (packed := [key for key in encoder if key in PACKED]):
        raise error(
            f"encoder.{packed[0]}",
            f"encoder holds {', '.join(packed)}: these are keys of the packed encoder, which is gone",
            "the keys of the encoder that there is now",
            START,
        )
    if isinstance(encoder, dict) and (isinstance(encoder.get("layers"), list) or "role_layers" in encoder):
        _one_layer(encoder, error)
    for dotted, why in (GONE | OFF).items():
        section, _, key = dotted.rpartition(".")
        at = values.get(section)
        if isinstance(at, dict) and key in at:
            if at[key] and dotted in OFF:
                raise error(dotted, f"{dotted} is {at[key]}", f"no such key: {why}", "delete it")
            del at[key]
            _warn(f"{dotted} is passed over: {why}")
    for dotted, value in ADDED.items():
        section, _, key = dotted.rpartition(".")
        at = values.get(section)
        if isinstance(at, dict) and key not in at:
            at[key] = value
            _warn(f"{dotted} is missing, and read as {value or 'null'}: there was no such key before")


def _one_layer(encoder: dict[str, Any], error: Error) -> None:
    """Segments were once read by several layers, roles by some of them; `layers` was a list."""
    layers, roles = encoder.get("layers"), encoder.pop("role_layers", None)
    read = roles or layers
    if isinstance(read, list) and len(read) != 1:
        raise error(
            "encoder.layers",
            f"roles are to be read from layers {read}",
            "one: how many of the backbone's layers read a segment",
            f"set encoder.layers to one of {', '.join(map(str, read)) or '3'}, and delete encoder.role_layers",
        )
    encoder["layers"] = read[0] if isinstance(read, list) else layers
    _warn(
        f"encoder.layers is a number now, and read as {encoder['layers']}; encoder.role_layers is gone: topics are "
        "read from the same layer"
    )


def _warn(text: str) -> None:
    console.print(f"warning: {text}", style="yellow", markup=False)
