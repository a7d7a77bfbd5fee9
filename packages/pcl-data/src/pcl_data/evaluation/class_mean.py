"""The mean over the classes that have a value."""

import numpy as np
from jaxtyping import Float


def class_mean(values: Float[np.ndarray, "..."]) -> float:
    """Mean of the entries that are not NaN; NaN, without a warning, if there are none.

    Example:
        >>> import numpy as np
        >>> class_mean(np.array([1.0, 0.5, np.nan]))
        0.75
    """
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
