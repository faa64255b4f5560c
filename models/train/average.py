"""Averages the weights of several runs into one checkpoint.

    python models/train/average.py --out <file> --stretch <factor> <checkpoint> <checkpoint> ...

Runs that start from the same base and differ in their seed end in the same basin: the mean of their weights is as fast
as one of them and errs less, much as their vote would (Wortsman et al., "Model soups", 2022, arXiv:2203.05482). Every
run counts alike and none is left out for how it did, so nothing is chosen here by any part of the data.

Such a mean is less sure of itself than each run. Its logit is stretched by the factor under which its probabilities fit
the ratings of dev best (Guo et al., "On Calibration of Modern Neural Networks", 2017, arXiv:1706.04599); that turns no
sign, so accuracy is not touched.
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--stretch", type=float, default=1.0, help="what the logit is multiplied by")
    options = parser.parse_args()
    states = [load_file(path) for path in options.checkpoints]
    mean = {name: np.mean([state[name] for state in states], axis=0) for name in states[0]}
    for name in ("head.weight", "head.bias"):
        mean[name] *= np.float32(options.stretch)
    save_file(mean, options.out)


if __name__ == "__main__":
    main()
