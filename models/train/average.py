"""Averages the weights of several runs into one checkpoint.

    python models/train/average.py --out <file> --stretch <factor> <checkpoint> <checkpoint> ...

Runs from the same base that differ in their seed end in the same basin. The mean of their weights is as fast as one
run, and has fewer errors, much like an ensemble (Wortsman et al., "Model soups", 2022, arXiv:2203.05482). All runs have
equal weight, and none is left out for its accuracy, so no part of the data is used for choosing.

The mean is less confident than each run. Its logit is multiplied by the factor for which its probabilities fit the
ratings of dev best (Guo et al., "On Calibration of Modern Neural Networks", 2017, arXiv:1706.04599). That does not
change the sign, and so not the accuracy.
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--stretch", type=float, default=1.0, help="the factor for the logit")
    options = parser.parse_args()
    states = [load_file(path) for path in options.checkpoints]
    mean = {name: np.mean([state[name] for state in states], axis=0) for name in states[0]}
    for name in ("head.weight", "head.bias"):
        mean[name] *= np.float32(options.stretch)
    save_file(mean, options.out)


if __name__ == "__main__":
    main()
