"""What is written from the schema: the comments of the shipped YAML files, and the reference of all keys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from train.common.errors import InputError
from train.common.markdown import table
from train.config.fields import Key, keys_of
from train.config.older_keys import GONE, OFF, RENAMED
from train.config.schema import Config

COLUMN = 30
"""Where the comments of a YAML file begin, where its values leave room."""
START = """# Configs

One complete YAML file a run: every key is in it, so a run has no hidden defaults. What was tried for the values is in
[the log](LOG.md).

- **Start** from the file that is nearest to what you want: `demo-*.yaml` train on the embedded corpus, `pages-*.yaml`
  on your own pages: `make train CONFIG=configs/pages-encoder.yaml SET="corpus.path=my-pages.jsonl"`.
- **Override** single keys by `SET="key=value …"`; values are YAML, e.g. `corpus.languages=[en]` or
  `encoder.patience=null`.
- **Older names** of keys are read, with a warning that tells the new one; the last section lists them.
- A mistake is answered with the file, the line, what is expected there, and the nearest key.

This file and the comments of the YAML files are made from the schema (`train/config/schema.py`,
`train/registry/gate.py`) by `python -m train configs`.
"""


def documents(folder: Path, gate: type) -> dict[Path, str]:
    """The files that are made from the schema, and what they must hold.

    Args:
        folder: The shipped configs, with `registry/gate.yaml` below.
        gate: The dataclass of the gate's limits.

    Raises:
        InputError: There are no configs.
    """
    configs = sorted(folder.glob("*.yaml"))
    gate_path = folder / "registry/gate.yaml"
    if not configs or not gate_path.is_file():
        raise InputError(
            "no configs",
            expected="the shipped YAML files, and registry/gate.yaml",
            remedy="run it in a checkout",
            path=folder,
            rule="no-config",
        )
    texts = {path: commented(Config, path.read_text(encoding="utf-8")) for path in configs}
    gate_text = commented(gate, gate_path.read_text(encoding="utf-8"))
    values = {path.stem: yaml.safe_load(text) for path, text in texts.items()}
    parts = (reference(values), _gate_reference(gate, yaml.safe_load(gate_text)), _older_keys())
    return {**texts, gate_path: gate_text, folder / "README.md": "\n".join(parts)}


def commented(kind: type, text: str) -> str:
    """A YAML file of settings with each key's comment anew: the first sentence of its meaning.

    Lines that hold no key stay as they are, such as how to start the run.

    Args:
        kind: The dataclass that the file is read into.
        text: The file.
    """
    lines = text.splitlines()
    for dotted, row, end in _places(yaml.compose(text, Loader=yaml.SafeLoader)):
        key = _key_at(kind, dotted)
        if key is not None:
            lines[row] = f"{lines[row][:end]:<{COLUMN - 1}} # {_comment(key)}"
    return "\n".join(lines) + "\n"


def _comment(key: Key) -> str:
    """The first sentence of a key's meaning, without its full stop; after its choices, where it has some."""
    sentence = re.split(r"(?<=\.) ", key.meaning, maxsplit=1)[0].removesuffix(".")
    return f"{' | '.join(key.choices)}: {sentence[0].lower()}{sentence[1:]}" if key.choices else sentence


def _places(node: yaml.Node | None, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """The keys of a YAML mapping, with the line from 0 and the column where the value ends, or a section's colon;
    without those whose value has several lines."""
    assert isinstance(node, yaml.MappingNode)
    for name, value in node.value:
        dotted = (*prefix, str(name.value))
        nested = isinstance(value, yaml.MappingNode) and not value.flow_style
        if nested or value.end_mark.line == name.start_mark.line:
            yield dotted, name.start_mark.line, name.end_mark.column + 1 if nested else value.end_mark.column
        if nested:
            yield from _places(value, dotted)


def _key_at(kind: type, dotted: tuple[str, ...]) -> Key | None:
    key, keys = None, keys_of(kind)
    for name in dotted:
        key = keys.get(name)
        keys = keys_of(key.section) if key is not None and key.section else {}
    return key


def reference(configs: Mapping[str, Mapping[str, Any]]) -> str:
    """The reference of a config's keys, a table for each section.

    Args:
        configs: The name of each shipped config -> its values, nested.
    """
    sections = {name: key for name, key in keys_of(Config).items() if key.section}
    alone = [key for name, key in keys_of(Config).items() if name not in sections]
    text = f"{START}\n## The run\n\n{_table(alone, configs)}"
    for name, key in sections.items():
        assert key.section is not None
        filled = {config: values[name] for config, values in configs.items() if values[name] is not None}
        text += f"\n## {name}\n\n{_about(key)}\n\n{_table(list(keys_of(key.section).values()), filled)}"
    return text


def _gate_reference(gate: type, values: Mapping[str, Any]) -> str:
    return (
        f"## registry/gate.yaml\n\n{gate.__doc__} A new version must keep to them before it becomes the champion "
        f"(`make promote`).\n\n{_table(list(keys_of(gate).values()), {'gate': values})}"
    )


def _older_keys() -> str:
    now = {
        **{old: f"`{new}`" for old, new in RENAMED.items()},
        **{old: f"gone: {why}" for old, why in (OFF | GONE).items()},
    }
    rows = [[f"`{old}`", new] for old, new in now.items()]
    return f"## Older names\n\n{table(['before', 'now'], rows)}"


def _about(key: Key) -> str:
    about = str(key.section.__doc__)
    more = key.meaning.rstrip(".")
    return f"{about} {key.meaning}" if more not in about else about


def _table(keys: list[Key], configs: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for key in keys:
        shipped = _shipped({config: values[key.name] for config, values in configs.items()})
        cells = (f"`{key.name}`", key.meaning, key.expected, key.unit, shipped)
        rows.append([cell.replace("|", "\\|") for cell in cells])
    return table(["key", "meaning", "value", "unit", "shipped"], rows)


def _shipped(values: Mapping[str, Any]) -> str:
    """The value in the shipped configs: that of most of them, and those of the others by name."""
    shown = {config: f"`{_flow(value)}`" for config, value in values.items()}
    usual, count = Counter(shown.values()).most_common(1)[0]
    if count == 1 and len(shown) > 1:
        return ", ".join(f"{config}: {value}" for config, value in shown.items())
    others = [f"{config}: {value}" for config, value in shown.items() if value != usual]
    return "; ".join([usual, *others])


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
