"""Source: a Hugging Face data set, by Hub id or local folder, one page or one segment a row.

Only tables are read (Parquet, Arrow, JSON, CSV). A data set that is code, images or WebDataset archives is refused: nothing
of a data set is ever run or unpickled, and `trust_remote_code` does not exist here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from train.corpus.naming import Naming
from train.corpus.sources.rows import Row, check_columns, pages
from train.errors import InputError

TABLES = ("parquet", "arrow", "json", "csv")
_KINDS = {".parquet": "parquet", ".arrow": "arrow", ".json": "json", ".jsonl": "json", ".csv": "csv"}


def rows(path: Path, naming: Naming) -> Iterator[tuple[int, Any]]:
    """Yields `(row number from 1, page record)`: rows with `segments` are pages, rows with `page_id` and `text` are segments.

    Args:
        path: `FOLDER` (saved by `save_to_disk`, or holding table files), `ID`, with `@REVISION` and `#SPLIT` (default train).
        naming: Renames columns, e.g. `{"blocks": "segments"}`.
    """
    try:
        yield from _rows(path, naming)
    except InputError:
        raise
    except Exception as error:  # the library's own errors are of many kinds
        raise InputError(
            f"the data set cannot be read: {type(error).__name__}: {_first_line(error)}",
            expected="a data set of tables (Parquet, Arrow, JSON or CSV)",
            remedy="check the id, revision and split; a Hub id needs network and HF_HUB_OFFLINE unset",
            path=path,
            rule="broken-dataset",
        ) from None


def _rows(path: Path, naming: Naming) -> Iterator[tuple[int, Any]]:
    data = open_table(path)
    columns = data.column_names or list(next(iter(data), {}))
    numbered = enumerate((names_for_numbers(row, data.features) for row in data), start=1)
    if "segments" in {naming.columns.get(column, column) for column in columns}:
        yield from ((number, naming.page(row)) for number, row in numbered)
    else:
        check_columns(columns, path, naming)
        yield from pages(((number, Row(row)) for number, row in numbered), path, naming)


def open_table(path: Path) -> Any:
    """Opens a data set without loading it into memory.

    Raises:
        InputError: It is not made of tables.
    """
    import datasets

    datasets.disable_progress_bars()
    location, revision, split = parse(path)
    folder = Path(location)
    if not folder.is_dir():
        if Path(location).is_absolute() or location.startswith(".") or location.count("/") > 1:
            raise InputError("no such folder", expected="a folder, or a Hub id OWNER/NAME", remedy="check it", path=path, rule="no-file")
        builder = datasets.load_dataset_builder(location, revision=revision)
        _require_table(builder.name if builder.name in TABLES else getattr(builder, "builder_name", "?"), path)
        return datasets.load_dataset(location, revision=revision, split=split, streaming=True)
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        loaded = datasets.load_from_disk(str(folder))
        return _part(loaded, split, path) if isinstance(loaded, Mapping) else loaded
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink() and p.suffix in _KINDS and p.name[0] != ".")
    own = [p for p in files if p.stem.startswith(split)] or files
    kinds = {_KINDS[p.suffix] for p in own}
    if len(kinds) != 1:
        found = "no table file" if not kinds else f"files of {len(kinds)} kinds ({', '.join(sorted(kinds))})"
        raise InputError(found, expected=f"files of one kind: {', '.join(_KINDS)}", remedy="keep one kind", path=path, rule="no-table")
    return datasets.load_dataset(kinds.pop(), data_files={split: [str(p) for p in own]}, split=split, streaming=True)


def parse(path: Path) -> tuple[str, str | None, str]:
    """`ID@REVISION#SPLIT` -> id or folder, revision, split."""
    rest, _, split = str(path).partition("#")
    location, _, revision = rest.partition("@")
    return location, revision or None, split or "train"


def fingerprint(path: Path) -> list[str | None]:
    """What names a Hub data set's content: its id, the commit its revision stands for, and the split."""
    location, revision, split = parse(path)
    from huggingface_hub import dataset_info

    try:
        return [location, dataset_info(location, revision=revision).sha, split]
    except Exception as error:
        raise InputError(
            f"the Hub does not tell its commit: {_first_line(error)}", expected="a data set on the Hub", remedy="check id and network",
            path=path, rule="broken-dataset",
        ) from None  # fmt: skip


def _part(loaded: Mapping[str, Any], split: str, path: Path) -> Any:
    if split not in loaded:
        raise InputError(
            f"no split {split!r}; there are {', '.join(loaded)}", expected="one of them", remedy=f"name it: dataset:{path}#SPLIT",
            path=path, rule="no-split",
        )  # fmt: skip
    return loaded[split]


def _require_table(kind: str, path: Path) -> None:
    if kind not in TABLES:
        raise InputError(
            f"a data set read by {kind!r}",
            expected=f"tables: {', '.join(TABLES)}",
            remedy="convert it to Parquet",
            path=path,
            rule="no-table",
        )


def names_for_numbers(row: Mapping[str, Any], features: Any) -> dict[str, Any]:
    """A row with class numbers (`ClassLabel`) replaced by their names."""
    if not features:
        return dict(row)
    return {key: _named(value, features.get(key)) for key, value in row.items()}


def _named(value: Any, feature: Any) -> Any:
    names = getattr(feature, "names", None)
    if names and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) and feature else None)
    if isinstance(inner, Mapping) and isinstance(value, list):
        return [{k: _named(v, inner.get(k)) for k, v in item.items()} if isinstance(item, Mapping) else item for item in value]
    return value


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:300]
