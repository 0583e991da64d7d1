"""Run by Label Studio's own Python: are these tasks, annotations and predictions what Label Studio itself accepts?

Usage: python label_studio_check.py TASKS.json INTERFACE.xml; prints how many of each were accepted, or what was not.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from label_studio_sdk.label_interface import LabelInterface

interface = LabelInterface(Path(sys.argv[2]).read_text(encoding="utf-8"))
interface.validate()
counts: Counter[str] = Counter()
for task in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
    if not interface.validate_task({"data": task["data"]}):
        sys.exit(f"not a task: {str(task)[:300]}")
    counts["tasks"] += 1
    for kind in ("annotations", "predictions"):
        for one in task.get(kind, ()):
            if errors := interface.validate_prediction(one, return_errors=True):
                sys.exit(f"{kind}: {errors[0]}")
            counts[kind] += 1
spoilt = {
    "result": [
        {
            "id": "a",
            "from_name": "role",
            "to_name": "page",
            "type": "paragraphlabels",
            "value": {"start": "0", "paragraphlabels": ["headline"]},
        }
    ]
}
if interface.validate_prediction(spoilt):
    sys.exit("the check accepts anything")
print(json.dumps(counts))
