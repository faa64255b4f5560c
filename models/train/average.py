"""Averages the weights of several runs into one checkpoint.

    python models/train/average.py --out <file> <checkpoint> <checkpoint> ...

Runs that start from the same base and differ in their seed end in the same basin: the mean of their weights is as fast
as one of them and errs less, much as their vote would (Wortsman et al., "Model soups", 2022, arXiv:2203.05482). Every
run counts alike and none is left out for how it did, so nothing is chosen here by any part of the data.
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    options = parser.parse_args()
    states = [load_file(path) for path in options.checkpoints]
    save_file({name: np.mean([state[name] for state in states], axis=0) for name in states[0]}, options.out)


if __name__ == "__main__":
    main()
