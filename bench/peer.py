"""The Python peer of the benchmarks: onnxruntime and tokenizers with the same model file, on one thread.

    python bench/peer.py cold ASSETS TEXT              prints the first result, then the peak memory in KiB
    python bench/peer.py throughput ASSETS TEXTS SECONDS  prints {"batch": texts per second, ...} as JSON
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy
import onnxruntime
from tokenizers import Tokenizer

BATCHES = (1, 8, 32)


class Sentiment:
    def __init__(self, assets: Path) -> None:
        self.tokenizer = Tokenizer.from_file(str(assets / "models/minilm/tokenizer.json"))
        # The padding in the file would extend every text to a fixed length.
        self.tokenizer.enable_padding()
        self.tokenizer.enable_truncation(256)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model = assets / "models/sentiment/model.ort"
        self.session = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])

    def logits(self, texts: list[str]) -> numpy.ndarray:
        encodings = self.tokenizer.encode_batch_fast(texts)
        ids = numpy.array([encoding.ids for encoding in encodings], dtype=numpy.int64)
        mask = numpy.array([encoding.attention_mask for encoding in encodings], dtype=numpy.int64)
        return self.session.run(["logit"], {"input_ids": ids, "attention_mask": mask})[0]


def throughput(model: Sentiment, texts: list[str], seconds: float) -> dict[str, float]:
    rates = {}
    for batch in BATCHES:
        work = (texts * batch)[:batch]
        model.logits(work)
        runs, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            model.logits(work)
            runs += 1
        rates[str(batch)] = runs * batch / elapsed
    return rates


def main() -> None:
    command, assets, *rest = sys.argv[1:]
    model = Sentiment(Path(assets))
    if command == "cold":
        print(model.logits([rest[0]])[0], flush=True)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    else:
        texts = Path(rest[0]).read_text().splitlines()
        print(json.dumps(throughput(model, texts, float(rest[1]))))


if __name__ == "__main__":
    main()
