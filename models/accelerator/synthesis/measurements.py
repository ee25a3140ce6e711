"""What was measured, as JSON: one record a line, kept when the same command is given again."""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.accelerator.synthesis.points import Point, digest
from models.files import write_atomically

RESULTS = Path(__file__).parent / "results"

Record = Mapping[str, float]
Measure = Callable[[Point], Record]


@dataclass(frozen=True, slots=True)
class Measurements:
    """Records by point, with the RTL that each block had."""

    records: Mapping[Point, Record]
    rtl: Mapping[str, str]  #: digest of the sources, by block
    meta: Mapping[str, Any]  #: commit, date, versions, library, command

    @property
    def stale_blocks(self) -> tuple[str, ...]:
        """Blocks whose RTL is no longer the one that was measured."""
        return tuple(block for block, measured in self.rtl.items() if measured != digest(block))


def load(path: Path) -> Measurements:
    """What a results file holds; nothing where there is none."""
    if not path.exists():
        return Measurements({}, {}, {})
    stored = json.loads(path.read_text())
    meta = stored["_meta"]
    return Measurements(dict(map(_read, stored["points"])), meta.pop("rtl"), meta)


def _read(row: dict[str, Any]) -> tuple[Point, Record]:
    point = Point(row.pop("block"), tuple(row.pop("parameters").items()), row.pop("effort"))
    return point, row


def save(path: Path, found: Measurements) -> None:
    """Write all records in order of their points, in one step."""
    records = found.records
    head = json.dumps({**found.meta, "rtl": found.rtl}, indent=1)
    rows = ",\n".join(json.dumps(_row(point, records[point])) for point in sorted(records))
    write_atomically(path, f'{{"_meta": {head},\n"points": [\n{rows}\n]}}\n')


def _row(point: Point, record: Record) -> dict[str, Any]:
    return {
        "block": point.block,
        "effort": point.effort,
        "parameters": point.values,
        **{name: round(value, 6) for name, value in record.items()},
    }


def run(
    points: Iterable[Point],
    measure: Measure,
    path: Path,
    meta: Mapping[str, Any],
    report: Callable[[str], None],
    workers: int = 2,
) -> None:
    """Measure the points that the file lacks, or whose RTL has changed, and drop all others.

    Raises:
        RuntimeError: the RTL changed during the run; what was measured before is in the file.
    """
    before = load(path)
    wanted = tuple(points)
    rtl = {block: digest(block) for block in sorted({point.block for point in wanted})}
    current = {p: r for p, r in before.records.items() if before.rtl[p.block] == rtl.get(p.block)}
    kept = {point: current[point] for point in wanted if point in current}
    missing = [point for point in wanted if point not in kept]
    if len(kept) < len(before.records):
        save(path, Measurements(kept, rtl, meta))
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(measure, point): point for point in missing}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                point = futures[future]
                kept[point] = future.result()
                _check_unchanged(point, rtl)
                save(path, Measurements(kept, rtl, meta))
                report(f"{done} of {len(missing)}: {point.block} {point.values}")
        finally:
            pool.shutdown(cancel_futures=True)  # one that fails ends the run


def _check_unchanged(point: Point, rtl: Mapping[str, str]) -> None:
    if digest(point.block) != rtl[point.block]:
        raise RuntimeError(f"{point.block}: its RTL changed while {point.values} was measured")
