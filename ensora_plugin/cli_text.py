"""What the command line says in words and tables, of the same data that --json prints."""

from __future__ import annotations

from typing import Any

from .history import Verified
from .kinds import KINDS
from .models import RunCount
from .rotating import SEALED, Rotated
from .window.overview import KindOverview

_NUMBERS = {
    "pull": ("fetched", "new", "changed", "unchanged", "set_aside"),
    "automap": ("mapped", "ambiguous"),
    "render": ("rendered", "refused"),
}


def numbers_of(row: RunCount, step: str) -> dict[str, int]:
    """Return the numbers that belong to a step, of what a run did with a kind."""
    return {name: getattr(row, name) for name in _NUMBERS[step]}


def run_lines(data: dict[str, Any], step: str) -> list[str]:
    """Return the lines that tell a run: a kind each, then whether anything changed."""
    lines = []
    for kind in KINDS:
        numbers = data["kinds"].get(kind.name)
        if numbers is not None:
            told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in numbers.items())
            lines.append(f"{kind.plural}: {told}.")
    done = sum(
        sum(numbers.get(name, 0) for name in _CHANGES[step]) for numbers in data["kinds"].values()
    )
    return [*lines, "Nothing changed." if done == 0 else f"Done in {data['seconds']:.1f} s."]


_CHANGES = {
    "pull": ("new", "changed", "set_aside"),
    "automap": ("mapped",),
    "render": ("rendered", "refused"),
}


def rotated_lines(rotated: Rotated) -> list[str]:
    """Return the lines that tell what was sealed anew."""
    told = ", ".join(
        f"{count:,} {column.one if count == 1 else column.many}"
        for column in SEALED
        if (count := rotated.done[column.many])
    )
    first = f"Sealed anew with key {rotated.key}: {told}." if told else "Nothing to do."
    return [first, f"No value needs another key than {rotated.key} any more."]


def verified_line(found: Verified) -> str:
    """Return the line that tells whether an account's history holds."""
    if found.broken is not None:
        return (
            f"{found.account}: row {found.broken} does not hold; the {found.rows:,} before it do. "
            "It was changed, or rows before it were put in or taken away."
        )
    told = f"{found.account}: {found.rows:,} rows hold"
    if found.unchained:
        told += f", behind {found.unchained:,} from before there was a chain"
    return told + (f"; the last one's hash is {found.head}" if found.rows else "")


def status_lines(report: dict[str, Any]) -> list[str]:
    """Return the lines that tell where an account stands."""
    head = f"{report['account']}: {report['state']}"
    if report["organization"]:
        head += f" to {report['organization']}"
    lines = [head]
    if report["error"]:
        since = report["failing_since"]
        head = f"failed, {report['failures']} in a row"
        head += f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""
        lines.append(f"  {head}: {report['error']}")
    if report["held_at"]:
        lines.append(
            f"  mapping and rendering wait since {report['held_at']:%Y-%m-%d %H:%M} UTC until "
            f"somebody agrees (`flask ensora agree {report['account']}`):"
        )
        lines += [f"    {sentence}" for sentence in report["held"]]
    lines += [f"  {line}" for line in overview_table([KindOverview(**k) for k in report["kinds"]])]
    return lines


def overview_table(kinds: list[KindOverview]) -> list[str]:
    """Return the lines of a table: a kind each, then why the rest is not mapped or rendered, and
    how many records could not be read.
    """
    columns = ("pulled", "auto", "user", "ignored", "to_map", "rendered", "refused")
    head = f"{'':14}" + "".join(f"{name.replace('_', ' '):>9}" for name in columns)
    lines = [head]
    for kind, row in zip(KINDS, kinds, strict=True):
        numbers = "".join(
            f"{getattr(row, name):>9}"
            if name not in ("rendered", "refused") or kind is KINDS[-1]
            else f"{'':9}"
            for name in columns
        )
        lines.append(f"{kind.plural:14}{numbers}".rstrip())
    for kind, row in zip(KINDS, kinds, strict=True):
        for title, reasons in (("to map", row.reasons), ("refused", row.refusals)):
            if reasons:
                told = ", ".join(
                    f"{code.replace('_', ' ')} {count}"
                    for code, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
                )
                lines.append(f"{kind.plural}, {title}: {told}")
        if row.set_aside:
            lines.append(f"{kind.plural}, set aside: {row.set_aside}")
    return lines
