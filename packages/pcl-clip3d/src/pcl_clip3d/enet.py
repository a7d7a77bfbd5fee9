"""ENet, a small network that segments images, as far as its encoder goes.

Paszke et al., "ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation", 2016,
Table 1 up to bottleneck 3.8, with one linear layer of classes on top: the network that Dai and
Niessner, "3DMV", ECCV 2018, sec. 5, trained on the images of ScanNet. The modules are numbered as in
their weights, so that these load.
"""

from os import PathLike

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

ENET_MEAN = (0.496342, 0.466664, 0.440796)
"""Mean of the pixels that the weights of 3DMV were trained on."""
ENET_STD = (0.277856, 0.28623, 0.291129)
"""Their standard deviation."""
ENET_SIZE = (256, 328)
"""Height and width of the images that they were trained on, pixels; the output is 32 x 41."""

_STAGE = (1, 2, 0, 4, 1, 8, 0, 16)  # dilations; 0: a 1x5 after a 5x1 kernel
_EPSILON = 1e-3


class ENet(nn.Sequential):
    """Logits of classes for each 8 x 8 pixels of an image.

    Args:
        n_classes: 41 for the weights of 3DMV: NYU40, with 0 for what has no label.

    Raises:
        ValueError: in `forward`, if a side of the image is no multiple of 8.

    Example:
        >>> import torch
        >>> ENet(5).eval()(torch.zeros(1, 3, 16, 24)).shape
        torch.Size([1, 5, 2, 3])
    """

    def __init__(self, n_classes: int = 41) -> None:
        super().__init__(
            _Start(nn.Conv2d(3, 13, 3, stride=2, padding=1)),
            nn.Identity(),
            nn.BatchNorm2d(16, _EPSILON),
            nn.PReLU(16),
            _Bottleneck(16, 64, dropout=0.01, stride=2),
            *(_Bottleneck(64, 64, dropout=0.01) for _ in range(4)),
            _Bottleneck(64, 128, dropout=0.1, stride=2),
            *(_Bottleneck(128, 128, dropout=0.1, dilation=step) for step in 2 * _STAGE),
            nn.Sequential(nn.Conv2d(128, n_classes, 1, bias=False)),
        )

    def forward(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n k a b"]:
        """The logits on a grid of an eighth of the size."""
        if any(side % 8 for side in pixels.shape[2:]):
            got = tuple(pixels.shape[2:])
            raise ValueError(f"pixels must have height and width of multiples of 8, got {got}")
        return super().forward(pixels)


def load_enet(path: str | PathLike[str]) -> ENet:
    """ENet with the weights of a file, in evaluation.

    Raises:
        ValueError: naming the file, if it does not hold the weights of an ENet of this layout.
    """
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        network = ENet(len(weights["26.0.weight"]))
        # Files of before PyTorch 0.4.1 do not count the batches of batch normalisation.
        counts = {name: n for name, n in network.state_dict().items() if "num_batches" in name}
        network.load_state_dict(counts | weights)
    except FileNotFoundError:
        raise
    except Exception as error:  # what is no state dict fails in many ways
        raise ValueError(f"{path} must hold the weights of an ENet, got: {error}") from error
    return network.eval()


class _Start(nn.Sequential):
    """The convolved and the pooled image side by side."""

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.cat([super().forward(pixels), functional.max_pool2d(pixels, 2)], dim=1)


class _Bottleneck(nn.Sequential):
    """A residual of a quarter of the width, or of an eighth where the image shrinks."""

    def __init__(
        self, inside: int, outside: int, *, dropout: float, stride: int = 1, dilation: int = 1
    ) -> None:
        width = outside // 4
        branch = nn.Sequential(
            nn.Conv2d(inside, width, stride, stride=stride, bias=False),
            nn.BatchNorm2d(width, _EPSILON),
            nn.PReLU(width),
            *_kernel(width, dilation),
            nn.BatchNorm2d(width, _EPSILON),
            nn.PReLU(width),
            nn.Conv2d(width, outside, 1, bias=False),
            nn.BatchNorm2d(outside, _EPSILON),
            _SpatialDropout(dropout),
        )
        super().__init__(nn.Sequential(branch), nn.Identity(), nn.PReLU(outside))
        self.stride, self.further = stride, outside - inside

    def forward(self, features: Tensor) -> Tensor:
        skipped = features if self.stride == 1 else functional.max_pool2d(features, 2)
        skipped = functional.pad(skipped, (0, 0, 0, 0, 0, self.further))  # channels of zeros
        return self[2](self[0](features) + skipped)


def _kernel(width: int, dilation: int) -> list[nn.Module]:
    if dilation:
        return [nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)]
    return [
        nn.Conv2d(width, width, (1, 5), padding=(0, 2), bias=False),
        nn.Conv2d(width, width, (5, 1), padding=(2, 0)),
    ]


class _SpatialDropout(nn.Dropout2d):
    """Dropout of channels as the first Torch had it: scaled in evaluation, not in training."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) * (1 - self.p)
