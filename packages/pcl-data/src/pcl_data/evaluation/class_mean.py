"""Means over the classes that have a value: over all of them, and over those of a frequency.

The benchmark of 200 classes scores its head, common and tail classes apart, as few training
instances are what makes a class hard: Rozenberszki et al., "Language-Grounded Indoor 3D Semantic
Segmentation in the Wild", ECCV 2022, section 3.
"""

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
from jaxtyping import Float

from pcl_data.label_set import Frequency


def class_mean(values: Float[np.ndarray, "..."]) -> float:
    """Mean of the entries that are not NaN; NaN, without a warning, if there are none.

    Example:
        >>> import numpy as np
        >>> class_mean(np.array([1.0, 0.5, np.nan]))
        0.75
    """
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def frequency_means(
    scores: Mapping[str, Float[np.ndarray, " c"]], frequency: Sequence[Frequency] | None
) -> dict[str, float]:
    """Mean of each score over the classes of each frequency; none where frequencies are unknown.

    Classes whose value is NaN are left out, as in `class_mean`: with m_f classes that have a
    value, the means of the frequencies f weighted by m_f give the mean over all.

    Args:
        scores: values of each class, by the name of the score.
        frequency: of each class.

    Returns:
        `ap_head`, `ap_common`, `ap_tail` of a score `ap`; NaN where no class has a value.

    Example:
        >>> import numpy as np
        >>> frequency_means({"ap": np.array([0.5, 0.25, 0.75])}, ("head", "tail", "head"))
        {'ap_head': 0.625, 'ap_common': nan, 'ap_tail': 0.25}
        >>> frequency_means({"ap": np.array([0.5])}, None)
        {}
    """
    if frequency is None:
        return {}
    of = np.array(frequency)
    return {
        f"{name}_{one}": class_mean(values[of == one])
        for name, values in scores.items()
        for one in get_args(Frequency)
    }
