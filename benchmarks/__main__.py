"""`python -m benchmarks`: run the tasks, print the tables, say which figures are reached."""

import argparse
import json
import pathlib
import sys
import traceback

from benchmarks import compiled, function_overhead, machine, race, report
from benchmarks.fresh import cold_start, first_call, long_chain, peak_memory
from benchmarks.tasks import TASKS

FIGURES = (cold_start, first_call, long_chain, peak_memory, function_overhead)
PEERS = ("torch", "autograd", "jax", "numpy")


def main():
    options = parse()
    machine.keep_to_two_cores()
    if machine.is_busy():
        print("Other programs keep this machine busy: two threads suffer most, and ratios cannot be trusted")
    for name in ("needle", *options.peers):
        if not race.importable(name):
            print(f"{name} is not installed: its columns stay empty (pip install 'needle-autodiff[bench]')")

    results, figures, failed = [], [], []
    for task in (task for task in TASKS if wanted(task.name, options)):
        print(f"{task.name}: {task.summary} …", file=sys.stderr)
        try:
            results.append((task, race.run(task, options.peers, options.rounds, options.skip)))
        except Exception:
            failed.append(task.name)
            traceback.print_exc()
    for module in (module for module in FIGURES if wanted(module.NAME, options)):
        print(f"{module.NAME}: {module.SUMMARY} …", file=sys.stderr)
        contenders = [name for name in module.CONTENDERS if race.takes_part(name, options.peers, options.skip)]
        try:
            figures.extend(module.measure(contenders, options.rounds))
        except Exception:
            failed.append(module.NAME)
            traceback.print_exc()

    figures += compiled.figures(results)
    line = machine.describe()
    print(f"\n{line}\n")
    if results:
        print("Median time of a step (in brackets: divided by PyTorch's in the same round)\n")
        print(report.races_table(results), end="\n\n")
    if figures:
        print("Single figures, most of them from fresh processes\n")
        print(report.figures_table(figures), end="\n\n")
    if options.json:
        options.json.write_text(json.dumps(report.as_json(line, results, figures), indent=1))
    if failed:
        sys.exit(f"Not measured, for the errors above: {', '.join(failed)}")


def parse():
    names = [task.name for task in TASKS] + [module.NAME for module in FIGURES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split(": ")[1])
    parser.add_argument("--only", action="append", metavar="TASK", choices=names, help=f"one of: {', '.join(names)}")
    parser.add_argument("--peers", type=peers, default=PEERS, help="comma-separated; by default " + ",".join(PEERS))
    parser.add_argument("--skip", action="append", default=[], metavar="NAME", help="a contender: torch.compile, say")
    parser.add_argument("--rounds", type=int, default=15, help="how often each contender has its turn (15)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all figures there as well")
    return parser.parse_args()


def peers(text):
    chosen = tuple(name for name in text.split(",") if name)
    unknown = set(chosen) - set(PEERS)
    if unknown:
        raise argparse.ArgumentTypeError(f"no peer named {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    return chosen


def wanted(name, options):
    return not options.only or name in options.only


main()
