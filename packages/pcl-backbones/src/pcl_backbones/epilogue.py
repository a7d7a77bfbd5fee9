"""What follows a convolution in evaluation: normalisation, shortcut and ReLU."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Epilogue(NamedTuple):
    """out * scale + shift + shortcut, and its positive part.

    Attributes:
        scale: (b,) factor of each channel.
        shift: (b,) added to each channel.
        shortcut: (m, b) added to each row; None adds nothing.
        is_relu: whether negative values become 0.
    """

    scale: Tensor
    shift: Tensor
    shortcut: Tensor | None = None
    is_relu: bool = False

    def check(self, n_rows: int, n_channels: int) -> None:
        """Return quietly if it fits rows of an output.

        Raises:
            ValueError: naming the first part that does not.
        """
        row = (n_channels,)
        for name, wanted in {"scale": row, "shift": row, "shortcut": (n_rows, n_channels)}.items():
            values = getattr(self, name)
            if values is not None and values.shape != wanted:
                raise ValueError(f"{name} must have shape {wanted}, got {tuple(values.shape)}")

    def finish(self, rows: Float[Tensor, "m b"]) -> Float[Tensor, "m b"]:
        """The rest, in place, for rows that are scaled already."""
        rows.add_(self.shift.to(rows.dtype))
        if self.shortcut is not None:
            rows.add_(self.shortcut)
        return rows.relu_() if self.is_relu else rows
