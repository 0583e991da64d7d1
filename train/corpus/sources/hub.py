"""Source: a Hugging Face data set, by Hub id or local folder, one page or one segment a row.

Only tables are read (Parquet, Arrow, JSON, CSV). A data set that is code, images or WebDataset archives is refused:
nothing of a data set is ever run or unpickled, and `trust_remote_code` does not exist here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.common.files import digest_of, read_json
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.parquet import with_segments
from train.corpus.sources.rows import Row, check_columns, pages
from train.corpus.sources.table_folder import TableFolder, digest, names_for_numbers

TABLES = ("parquet", "arrow", "json", "csv")


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(row number from 1, page record)`: rows with `segments` are pages, rows with `page_id` and `text` are
    segments.

    Args:
        path: `FOLDER` (saved by `save_to_disk`, or holding table files), `ID`, with `@REVISION` and `#SPLIT`, which is
            needed where there are several.
        naming: Renames columns, e.g. `{"blocks": "segments"}`.

    Raises:
        InputError: The data set cannot be loaded or read.
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


def _rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    data = open_table(path)
    columns = data.column_names or list(next(iter(data), {}))
    if isinstance(data, TableFolder):
        numbered = data.rows()
    else:
        numbered = enumerate((names_for_numbers(row, data.features) for row in data), start=1)
    if "segments" in {naming.columns.get(column, column) for column in columns}:
        yield from (
            (n, row if isinstance(row, InputError) else naming.page(with_segments(row, naming))) for n, row in numbered
        )
    else:
        check_columns(columns, path, naming)
        yield from pages(((n, _row(row)) for n, row in numbered), path, naming)


def _row(row: Any) -> Row:
    return Row({}, row) if isinstance(row, InputError) else Row(row)


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
        if folder.is_absolute() or location.startswith(".") or location.count("/") > 1 or folder.exists():
            raise InputError(
                "no such folder",
                expected="a folder, or a Hub id OWNER/NAME",
                remedy="check it",
                path=path,
                rule="no-file",
            )
        builder = datasets.load_dataset_builder(location, revision=revision)
        _require_table(builder.name if builder.name in TABLES else getattr(builder, "builder_name", "?"), path)
        loaded = datasets.load_dataset(location, revision=revision, streaming=True)
        return _plain(_part(loaded, split, path), path)
    if _saved(folder):
        _stay_inside(folder, path)
        loaded = datasets.load_from_disk(str(folder))
        if isinstance(loaded, Mapping):
            return _plain(_part(loaded, split, path), path)
        if split is not None:
            raise InputError(
                "a data set without splits", expected="no #SPLIT", remedy="leave it out", path=path, rule="no-split"
            )
        return _plain(loaded, path)
    return TableFolder(folder, split, path)


def _saved(folder: Path) -> bool:
    """Whether a folder is what `save_to_disk` writes."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def _stay_inside(folder: Path, path: Path) -> None:
    """Refuses a saved data set whose parts lie elsewhere: `state.json` names them, and nobody checks it."""
    root = folder.resolve()
    for state in (folder / "state.json", *folder.glob("*/state.json")):
        if not state.is_file():
            continue
        named = read_json(state).get("_data_files") or []
        parts = [state, *(state.parent / str(part.get("filename")) for part in named if isinstance(part, dict))]
        outside = [part for part in parts if not part.resolve().is_relative_to(root)]
        if outside:
            raise InputError(
                f"{state.parent.name}/{state.name} names {outside[0]}, which lies outside the folder",
                expected="parts inside it",
                remedy="do not use this data set",
                path=path,
                rule="outside-folder",
            )


def _plain(data: Any, path: Path) -> Any:
    """The data set, unless a column holds pictures or sound, which are read from the paths that rows name."""
    media = [
        name
        for name, feature in (data.features or {}).items()
        if type(feature).__name__ in ("Image", "Audio", "Video", "Pdf", "Nifti")
    ]
    if media:
        raise InputError(
            f"the column {media[0]!r} holds files",
            expected="columns of text and numbers",
            remedy="remove it",
            path=path,
            rule="no-table",
        )
    return data


def parse(path: Path) -> tuple[str, str | None, str | None]:
    """`ID@REVISION#SPLIT` -> id or folder, revision, split; a folder may have `@` and `#` in its own name."""
    if path.is_dir():
        return str(path), None, None
    rest, _, split = str(path).partition("#")
    if Path(rest).is_dir():
        return rest, None, split or None
    location, _, revision = rest.partition("@")
    return location, revision or None, split or None


def fingerprint(path: Path) -> list[str | None]:
    """What names a data set's content: the commit of a Hub id, or the hash of a folder's files; and the split.

    Raises:
        InputError: The Hub does not answer, or has no such data set.
    """
    location, revision, split = parse(path)
    folder = Path(location)
    if folder.is_dir():
        return [digest_of(folder) if _saved(folder) else digest(folder, path), None, split]
    from huggingface_hub import dataset_info

    try:
        return [location, dataset_info(location, revision=revision).sha, split]
    except Exception as error:
        raise InputError(
            f"the Hub does not tell its commit: {_first_line(error)}",
            expected="a data set on the Hub",
            remedy="check id and network",
            path=path,
            rule="broken-dataset",
        ) from None


def _part(loaded: Mapping[str, Any], split: str | None, path: Path) -> Any:
    if split is None and len(loaded) > 1:
        raise InputError(
            f"the splits {', '.join(loaded)}, and none named",
            expected="the name of one",
            remedy=f"name it: dataset:{path}#{next(iter(loaded))}",
            path=path,
            rule="no-split",
        )
    split = split or "train"
    if split not in loaded:
        raise InputError(
            f"no split {split!r}; there are {', '.join(loaded)}",
            expected="one of them",
            remedy=f"name it: dataset:{path}#SPLIT",
            path=path,
            rule="no-split",
        )
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


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:300]
