"""The application of one library, for a WSGI server to import: the environment says which."""

import json
import logging
import os

from benchmarks.compare import catalogue

# waitress would write a line for each request that waits, and 64 connections wait all the time.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)

app = catalogue.find(*json.loads(os.environ["BENCHMARK_APP"])).make(json.loads(os.environ["BENCHMARK_ADDRESSES"]))
