"""Values of tensors, checked where that costs next to nothing: on a CPU."""

from torch import Tensor


def check_ids(low: int, high: int, **ids: Tensor) -> None:
    """Return quietly if the ids, by their names, are on a GPU or lie in [low, high).

    Raises:
        ValueError: naming the first ones that do not.
    """
    for name, values in ids.items():
        if values.device.type == "cpu" and values.numel():
            least, most = (int(value) for value in values.aminmax())
            if least < low or most >= high:
                raise ValueError(f"{name} must lie in [{low}, {high}), got [{least}, {most}]")


def check_finite(**tensors: Tensor) -> None:
    """Return quietly if the tensors, by their names, are on a GPU or finite.

    Raises:
        ValueError: naming the first one that is not.
    """
    for name, values in tensors.items():
        if values.device.type == "cpu" and not values.isfinite().all():
            raise ValueError(f"{name} must be finite, got NaN or infinity")
