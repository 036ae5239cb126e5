"""What axe-core finds on a page that would keep somebody from using it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

RUN = """async ([only, skipped, within]) => {
  const rules = Object.fromEntries(skipped.map(rule => [rule, {enabled: false}]));
  const options = {preload: false, resultTypes: ["violations"], rules, ...(only.length && {runOnly: only})};
  const {violations} = await axe.run(within.length ? {include: within} : document, options);
  return violations.flatMap(({id, nodes}) => nodes.map(({html}) => `${id}: ${html.slice(0, 200)}`));
}"""


def violations(page: Page, *only: str, skipped: Sequence[str] = (), within: Sequence[str] = ()) -> list[str]:
    """The rules that the page violates, or those of these, with the element that does.

    ``within``: selectors of all that is looked at.
    """
    from axe_playwright_python.base import AXE_SCRIPT

    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(RUN, [only, skipped, within])
    return found
