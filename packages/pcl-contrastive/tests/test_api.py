"""The public names, so that none changes unnoticed."""

import pcl_contrastive

PUBLIC = """
__version__
"""


def test_public_names():
    assert sorted(pcl_contrastive.__all__) == sorted(PUBLIC.split())
    assert all(hasattr(pcl_contrastive, name) for name in pcl_contrastive.__all__)
