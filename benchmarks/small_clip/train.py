"""Train the small CLIP from boxes of images and captions alone.

    python benchmarks/small_clip/train.py --shards SHARDS --out RUN  # and settings, as steps=2000
    python benchmarks/small_clip/train.py --out RUN --resume         # goes on, exactly
    python benchmarks/small_clip/train.py --out RUN --export FOLDER  # of the newest checkpoint

The loss is that of Radford et al., "Learning Transferable Visual Models From Natural Language
Supervision", ICML 2021, Fig. 3, of boxes in the crops in place of whole images: a box is the mean
of its patches. To the caption of each box come the names of all classes that a box of the batch
shows, which match every box that shows them. A caption that was made for another box but is true of
this one too is neither a match of it nor a mismatch, and is left out of the sum. What is exported
is the moving average of the weights.
"""

import argparse
import copy
from pathlib import Path
from typing import Literal

import torch
from crops import CaptionedCrops, Shards
from jaxtyping import Float, Int
from network import IMAGE_SIZE, build, model_config, normalized, tokenizer, write_folder
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from pcl_run.checkpoint import load_checkpoint, newest_checkpoint
from pcl_run.cli import boundary
from pcl_run.config import Config
from pcl_run.loop import LoopOptions, fit
from pcl_run.seeding import seed_everything
from pcl_run.start import Start

STAGE = "contrast"


class Settings(Config):
    """How the small CLIP is trained."""

    shards: Path
    seed: int = 0
    steps: int = Field(9000, ge=1)
    batch: int = Field(64, ge=1, description="crops")
    boxes: int = Field(4, ge=1, description="of a crop")
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    warmup: int = Field(100, ge=1, description="steps")
    average: float = Field(0.995, ge=0, lt=1, description="share of the old average a step")
    width: int = 192
    layers: int = 4
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    workers: int = Field(1, ge=0)
    checkpoint_every: int = Field(200, ge=1)


def contrastive_loss(
    boxes: Float[Tensor, "b d"],
    texts: Float[Tensor, "t d"],
    fit: Int[Tensor, "b t"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Mean of two cross-entropies: of the captions of each box, and of the boxes of each caption.

    Args:
        boxes: of length 1.
        texts: of length 1.
        fit: 1 for the captions of the box, 0 for a wrong one, -1 for one to leave out.
        scale: factor of the cosines.
    """
    logits = (scale * boxes @ texts.T).masked_fill(fit == -1, -torch.inf)
    own = fit == 1

    def cross_entropy(dim: int) -> Tensor:
        chance = logits.log_softmax(dim).masked_fill(~own, 0)
        return -(chance.sum(dim) / own.sum(dim)).mean()

    return (cross_entropy(1) + cross_entropy(0)) / 2


def encode_boxes(visual: nn.Module, batch: dict[str, Tensor]) -> Float[Tensor, "b d"]:
    """The mean of the patches of each box; of a whole image it is what `visual` returns."""
    visual.output_tokens = True
    _, patches = visual(normalized(batch["images"]))  # (images, p, c)
    means = torch.einsum("bp,bpc->bc", batch["weights"].to(patches), patches[batch["image"]])
    return means @ visual.proj


def encode_texts(model: nn.Module, tokens: Int[Tensor, "t l"]) -> Float[Tensor, "t d"]:
    """What `model.encode_text` returns, without the padding: texts of about one length together.

    What follows the end of a text changes nothing, as no word sees the words after it.
    """
    length = tokens.argmax(dim=1) + 1  # the end has the highest number
    order = length.argsort(stable=True)
    parts = []
    for rows in order.chunk(4):
        longest = int(length[rows].max())
        words = model.token_embedding(tokens[rows, :longest]) + model.positional_embedding[:longest]
        words = model.transformer(words, attn_mask=model.attn_mask[:longest, :longest])
        parts.append(model.ln_final(words[torch.arange(len(rows)), length[rows] - 1]))
    return torch.cat(parts)[order.argsort()] @ model.text_projection


def schedule(warmup: int, step: int, n_steps: int) -> float:
    """Rises for `warmup` steps, then falls evenly to zero."""
    return min(1.0, (step + 1) / warmup) * (1 - step / n_steps)


class Training:
    """The network, the moving average of its weights, and a step of both."""

    def __init__(self, settings: Settings) -> None:
        seed_everything(settings.seed)
        self.settings = settings
        self.config = model_config(settings.width, settings.layers)
        model = build(self.config)
        self.modules = nn.ModuleDict(
            {"clip": model, "average": copy.deepcopy(model).requires_grad_(False)}
        )

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Muon for the matrices of the transformers, AdamW for what is left.

        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the two
        tables of places and all vectors do not decay.
        """
        hidden, matrices, others = [], [], []
        for name, weight in self.modules["clip"].named_parameters():
            if weight.ndim == 2 and "resblocks" in name:
                hidden.append(weight)
            elif weight.ndim > 1 and "embedding" not in name:
                matrices.append(weight)
            else:
                others.append(weight)
        rate, decay = self.settings.learning_rate, self.settings.weight_decay
        groups = [
            {"params": matrices, "weight_decay": decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return {
            "hidden": torch.optim.Muon(
                hidden, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
            ),
            "others": torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98)),
        }

    def step(self, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        """Loss, and how often the best caption of a box in the batch is right of it."""
        self._move_average(step)
        model = self.modules["clip"]
        with sdpa_kernel(SDPBackend.MATH):  # on a CPU five times as fast in bfloat16
            boxes = functional.normalize(encode_boxes(model.visual, batch).float())
            texts = functional.normalize(encode_texts(model, batch["tokens"]).float())
        scale = model.logit_scale.exp().clamp(max=100)
        with torch.autocast(boxes.device.type, enabled=False):
            loss = contrastive_loss(boxes, texts, batch["fit"], scale)
        best = (boxes @ texts.T).argmax(dim=1, keepdim=True)
        right = batch["fit"].gather(1, best).ne(0).float().mean()
        return {"loss": loss, "right": right.detach(), "scale": scale.detach()}

    @torch.no_grad()
    def _move_average(self, step: int) -> None:
        """Towards the weights, by a share that begins at 1."""
        share = max(1 - self.settings.average, 1 / (step + 1))
        pairs = zip(
            self.modules["average"].parameters(), self.modules["clip"].parameters(), strict=True
        )
        for mean, weight in pairs:
            mean.lerp_(weight, share)


def train(start: Start, settings: Settings) -> None:
    """Train, or go on."""
    training, shards = Training(settings), Shards(settings.shards)
    sizes = {
        "batch": settings.batch,
        "boxes": settings.boxes,
        "size": IMAGE_SIZE,
        "seed": settings.seed,
    }
    batches = CaptionedCrops(shards, tokenizer(), **sizes)
    run = start.open_run("small_clip", settings)
    names = [path.name for path in shards.paths]
    if run.recall("shards", names) != names:
        raise ValueError(f"shards must be those the run began with, got {len(names)} others")
    run.remember("shards", names)
    fit(
        run,
        start.fabric(settings.precision),
        stage=STAGE,
        modules=training.modules,
        optimizers=training.optimizers(),
        batches=batches,
        training_step=training.step,
        n_steps=settings.steps,
        schedule=lambda step, n_steps: schedule(settings.warmup, step, n_steps),
        seed=settings.seed,
        options=LoopOptions(settings.workers, 20, settings.checkpoint_every),
    )


def export(run: Path, settings: Settings, folder: Path) -> int:
    """Write the averaged weights of the newest checkpoint; the steps that it has done."""
    training = Training(settings)
    path = newest_checkpoint(run, STAGE)
    if path is None:
        raise ValueError(f"--out must hold a checkpoint, got {run}")
    meta = load_checkpoint(path, training.modules)
    write_folder(folder, training.config, training.modules["average"])
    return meta["stage_step"]


@boundary()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--shards", type=Path, help="folder that render.py wrote")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--export", type=Path, help="write the newest checkpoint to this folder")
    parser.add_argument("settings", nargs="*", metavar="key=value")
    given = parser.parse_args()
    overrides = [*given.settings, *([f"shards={given.shards}"] if given.shards else [])]
    resume = given.resume or given.export is not None
    start = Start(overrides=overrides, out=given.out, resume=resume)
    settings = start.settings(Settings, {"quick": {}})
    if given.export is None:
        train(start, settings)
    else:
        print(f"step {export(given.out, settings, given.export)} of {settings.steps}")


if __name__ == "__main__":
    main()
