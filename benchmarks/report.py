"""The tables that a person reads, and the same figures as JSON."""

import statistics

from benchmarks.race import ratio


def races_table(results):
    """One row a task, with a column a contender: median time of a step, and its ratio to PyTorch eager.

    `results` is a list of pairs: the task and its times, as `race.run` gives them.
    """
    names = list(dict.fromkeys(["needle", *(name for _, times in results for name in times)]))
    rows = [["task", *names, "to reach", "reached"]]
    for task, times in results:
        cells = [task.name, *(time_cell(times, name) for name in names)]
        for reach in task.reaches:
            rows.append([*cells, f"{reach.contender} ≤ {reach.at_most} × {reach.peer}", verdict(reach, times)])
            cells = [""] * len(cells)
    return table(rows)


def time_cell(times, name):
    if name not in times:
        return ""
    time = duration(statistics.median(times[name]))
    return f"{time} ({ratio(times, name, 'torch'):.2f})" if "torch" in times else time


def verdict(reach, times):
    if reach.contender not in times or reach.peer not in times:
        return "not measured"
    value = ratio(times, reach.contender, reach.peer)
    return f"{'yes' if value <= reach.at_most else 'NO'}: {value:.2f}"


def duration(seconds):
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def figures_table(figures):
    """One row a figure measured in fresh processes."""
    rows = [["task", "contender", "figure", "measured", "to reach", "reached"]]
    for figure in figures:
        limit = "" if figure.at_most is None else f"≤ {figure.at_most:.3g} {figure.unit}"
        reached = "" if figure.at_most is None else "yes" if figure.reached else "NO"
        value = f"{figure.value:.3g} {figure.unit}"
        rows.append([figure.task, figure.contender, figure.quantity, value, limit, reached])
    return table(rows)


def table(rows):
    """Rows of text in aligned columns, the first row underlined."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def as_json(machine, results, figures):
    """Everything measured, for a program: seconds, ratios to PyTorch eager, and what was to be reached."""
    return {
        "machine": machine,
        "races": {
            task.name: {
                "summary": task.summary,
                "seconds": {name: statistics.median(values) for name, values in times.items()},
                "ratio_to_torch": {name: ratio(times, name, "torch") for name in times} if "torch" in times else {},
                "rounds": times,
                "reaches": [
                    {"contender": r.contender, "peer": r.peer, "at_most": r.at_most, "verdict": verdict(r, times)}
                    for r in task.reaches
                ],
            }
            for task, times in results
        },
        "figures": [{**vars(figure), "reached": figure.reached} for figure in figures],
    }
