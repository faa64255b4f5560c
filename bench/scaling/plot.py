"""Draws the running workers and the waiting tasks over time: plot.py CSV PNG."""

import csv
import sys

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402

KINDS = ("small", "large")


def main() -> None:
    table, picture = sys.argv[1:]
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 6), sharex=True, sharey="row")
    for column, kind in enumerate(KINDS):
        of_kind = [row for row in rows if row["tasks"] == kind]
        series = {name: [float(row[name]) for row in of_kind] for name in rows[0] if name != "tasks"}
        seconds = series["seconds"]
        workers, tasks = axes[0][column], axes[1][column]
        workers.fill_between(seconds, series["workers"], step="post", alpha=0.25)
        workers.step(seconds, series["workers"], where="post")
        workers.set_title(f"{kind} tasks")
        tasks.step(seconds, series["tasks_waiting"], where="post", label="tasks waiting")
        tasks.step(seconds, series["tasks_running"], where="post", label="tasks claimed by a worker")
        tasks.set_xlabel("seconds")
        for axis in (workers, tasks):
            axis.set_ylim(bottom=0)
            axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("workers running")
    axes[1][0].set_ylabel("tasks")
    axes[1][1].legend(loc="upper right")
    figure.tight_layout()
    # Without metadata such as the time, the same figures always make the same file.
    figure.savefig(picture, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
