"""open_clip, which the extra `[clip]` of this package installs."""

from types import ModuleType

from pcl_clip3d.torchvision_operators import import_with_torchvision


def import_open_clip() -> ModuleType:
    """The module open_clip, also beside a torchvision whose compiled operators cannot load.

    Raises:
        ImportError: if open_clip cannot be imported; the message names the extra.

    Example:
        >>> import_open_clip().__name__
        'open_clip'
    """
    return import_with_torchvision("open_clip", "pcl-clip3d[clip]")
