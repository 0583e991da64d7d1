"""Labels pages from Python with an exported bundle alone: neither this repository nor torch is needed.

First: make export MODEL=outputs/demo-encoder; pip install -r outputs/bundle/requirements.txt
Start: python label.py
"""

import sys

BUNDLE = "outputs/bundle"
sys.path.insert(0, BUNDLE)
from newsparts_runtime import Labeler  # noqa: E402

labeler = Labeler.load(BUNDLE)  # checks the hash of every file

record = labeler.label_text("A headline\nThe first paragraph of a story …\nRelated articles\nAnother headline")
print([(segment["role"], segment["text"]) for segment in record["segments"]])

# Any number of pages, streamed.
for record in labeler.label([("page-1", ["A headline", "Its text …"]), ("page-2", [])]):
    print(record["page_id"], len(record["segments"]))
