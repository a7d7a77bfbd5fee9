"""Public names equal the checked-in list."""

import pcl_backbones

NAMES = """LoadReport MinkUNet14A OffsetHead ProjectionHead ProposalEncoder Res16UNet14A
Res16UNet18A Res16UNet34C SPVCNN SemanticHead SpUNet SparseTensor SubmanifoldUNet __version__
add_low_rank checkpoint_activations load_published_checkpoint load_weights merge_low_rank
predict_tiled read_card save_weights sparse use_engine"""
SPARSE = (
    "BatchNorm Conv3d ConvNorm ConvTranspose3d GlobalPool MaxPool3d ReLU cat conv_norm kernel_map"
)


def test_public_names():
    assert sorted(pcl_backbones.__all__) == NAMES.split()
    assert all(hasattr(pcl_backbones, name) for name in pcl_backbones.__all__)
    assert all(hasattr(pcl_backbones.sparse, name) for name in SPARSE.split())
