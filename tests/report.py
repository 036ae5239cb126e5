"""The counts of all test environments, as the last lines of ``make test``."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree


def main(folder: str) -> int:
    passed = failed = skipped = 0
    for path in sorted(Path(folder).glob("*.xml")):
        for suite in ElementTree.parse(path).iter("testsuite"):
            tests, errors, failures, skips = (
                int(suite.get(name, 0)) for name in ("tests", "errors", "failures", "skipped")
            )
            good = tests - errors - failures - skips
            print(f"{path.stem}: {good} passed, {errors + failures} failed, {skips} skipped")
            passed, failed, skipped = passed + good, failed + errors + failures, skipped + skips
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return int(failed > 0 or passed == 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
