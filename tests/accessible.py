"""What axe-core finds against WCAG 2.2 AA in the plugin's part of a page, or in all of it."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

AXE = Path(__file__).parent / "axe" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: What is on its way from one colour to another has no contrast that counts.
STILL = "for (const one of document.getAnimations()) one.finish()"


def findings(page: Page, within: str = "#ensora") -> list[str]:
    """Return each rule that the page breaks, with the elements that break it."""
    page.wait_for_load_state()  # what is seen may not have its style sheet yet
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)
    page.evaluate(STILL)
    found = page.evaluate(
        "([within, tags]) => axe.run(within, {runOnly: tags, resultTypes: ['violations']})",
        [within, TAGS],
    )
    return [
        f"{broken['id']}: {node['html'][:160]} ({node['failureSummary'][:300]})"
        for broken in found["violations"]
        for node in broken["nodes"][:3]
    ]
