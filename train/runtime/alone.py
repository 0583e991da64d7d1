"""Refuses, before a bundle imports anything, what Python would import from it in place of what is meant.

Helps against accidents and planted modules, not against who may change this file: `Labeler.load` of a loader that is
installed apart runs nothing of a bundle.
"""

import os

_CODE = (".py", ".pyc", ".so", ".pyd")
"""Endings of what Python imports."""
_HERE = os.path.dirname(os.path.abspath(__file__))


def planted(package: str) -> list[str]:
    """What lies in a bundle and would be imported, but for its reading code; nothing where `package`, the folder of
    reading code, does not lie in a bundle."""
    bundle = os.path.dirname(package)
    if not os.path.isfile(os.path.join(bundle, "bundle.json")):
        return []
    beside = [
        entry.path
        for entry in os.scandir(bundle)
        if entry.path != package and (entry.is_dir() or entry.name.endswith(_CODE))
    ]
    within = [entry.path for entry in os.scandir(package) if entry.is_dir() or entry.name.endswith(_CODE[1:])]
    return beside + within


_FOUND = planted(_HERE)
if _FOUND:
    raise ImportError(
        f"{min(_FOUND)} is no part of the bundle. Delete it when you know where it is from, or copy again."
    )
