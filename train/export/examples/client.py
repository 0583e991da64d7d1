"""Asks the server that `make serve` starts for a page's main story.

Start: python client.py PAGE.txt   (URL= names another server's /invocations)
"""

import json
import os
import sys
import urllib.request

URL = os.environ.get("URL", "http://127.0.0.1:5001/invocations")

with open(sys.argv[1], encoding="utf-8") as file:
    lines = [line.strip() for line in file if line.strip()]
body = json.dumps({"dataframe_records": [{"page_id": sys.argv[1], "segments": lines}]}).encode()
request = urllib.request.Request(URL, body, {"Content-Type": "application/json"})
with urllib.request.urlopen(request) as response:
    (record,) = json.load(response)["predictions"]
print("\n".join(segment["text"] for segment in record["segments"] if segment["role"] == "main"))
