"""A training step of an LSTM language model, nanollm against PyTorch, both on the CPU.

    python tests/bench/torch_lstm.py [--width 256] [--batch 32] [--context 64]

Embedding → LSTM → Linear → cross-entropy, clipping and AdamW, the same weights and the same batch.
The sides are processes that take turns (bench.py says how); the ratio is how many times the time of
PyTorch's better side, eager or compiled, is ours.
"""

import argparse
from statistics import median

import torch
import torch.nn.functional as F
from torch import nn


class LanguageModel(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, vocab)

    def forward(self, ids, targets):
        y, _ = self.lstm(self.embedding(ids))                   # (B, T, C)
        return F.cross_entropy(self.head(y).flatten(0, 1), targets.flatten())


def load(model, weights):
    """Copy the weights {path: NumPy array} of our_lstm.LanguageModel into `model`."""
    ours = {path: torch.from_numpy(w) for path, w in weights.items()}
    theirs = {"embedding.weight": ours["embedding.w"], "head.weight": ours["head.w"].T,
              "head.bias": ours["head.b"], "lstm.weight_ih_l0": ours["lstm.cells.0.w"].T,
              "lstm.weight_hh_l0": ours["lstm.cells.0.u"].T,
              "lstm.bias_ih_l0": ours["lstm.cells.0.b"],
              "lstm.bias_hh_l0": torch.zeros_like(ours["lstm.cells.0.b"])}
    model.load_state_dict({name: w.contiguous() for name, w in theirs.items()})


def main():
    from bench import Side, in_turns, machine
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vocab", type=int, default=65)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="steps in a turn")
    args = parser.parse_args()
    print(", ".join(f"{key} {value}" for key, value in machine(args.threads).items()), flush=True)
    config = {"vocab": args.vocab, "width": args.width, "context": args.context}
    sides, others = in_turns(
        "lstm", ["eager", "compiled", "numba"],
        {"config": config, "batch": args.batch, "rounds": args.rounds}, args.steps,
        {"threads": args.threads})
    first = {name: side.results[:3] for name, side in sides.items()}
    if max(abs(a - b) for losses in first.values() for a, b in zip(losses, first["eager"])) > 1e-3:
        raise SystemExit(f"torch_lstm: these are not the same training: first losses {first}")
    best = min(sides["eager"], sides["compiled"], key=Side.seconds)
    for name, side in sides.items():
        print(f"{name:9} {1e3 * side.seconds():7.1f} ms a step, turns "
              + " ".join(f"{1e3 * median(turn):.1f}" for turn in side.turns))
    print(f"ratio     {sides['numba'].ratio(best):7.2f} times PyTorch's speed ({best.name}); "
          f"others used at most {others:.0%}")


if __name__ == "__main__":
    main()
