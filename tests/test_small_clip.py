"""The small CLIP of `benchmarks/small_clip/`: what its captions say, and how it learns."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_data.label_set import SCANNET20

FOLDER = Path(__file__).parents[1] / "benchmarks" / "small_clip"
MODULES = ("mentions", "captions", "crops", "render", "network", "train", "evaluate")


@pytest.fixture(scope="module")
def small_clip():
    """The modules, as the scripts import each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})


def label(name):
    return SCANNET20.names.index(name)


@pytest.fixture
def view():
    """A red striped chair on the left, a small wooden table on the right, on a gray floor."""
    frame = np.zeros((60, 80, 6), np.uint8)
    frame[...] = (120, 120, 120, label("floor"), 0, 0)
    frame[10:50, 0:32] = (192, 24, 24, label("chair"), 1, 4)
    frame[30:50, 60:80] = (128, 80, 40, label("table"), 2, 1)
    frame[0:10, 70:80, 3:] = 255
    return frame


@pytest.fixture
def shards(small_clip, view, tmp_path):
    np.save(tmp_path / "living-1000-0000.npy", np.stack([view, view[:, ::-1]]))
    return small_clip.crops.Shards(tmp_path)


def mention(small_clip, name, share=0.3, color="red", pattern="plain", center=(0.5, 0.5)):
    return small_clip.mentions.Mention(label(name), share, color, pattern, center)


@pytest.mark.parametrize(
    ("rgb", "word"),
    [
        ((20, 20, 20), "black"),
        ((125, 120, 122), "gray"),
        ((240, 240, 240), "white"),
        ((200, 30, 30), "red"),
        ((235, 130, 20), "orange"),
        ((235, 220, 40), "yellow"),
        ((40, 140, 40), "green"),
        ((30, 60, 190), "blue"),
        ((110, 70, 40), "brown"),
        ((205, 180, 145), "beige"),
    ],
)
def test_colors_have_their_words(small_clip, rgb, word):
    assert small_clip.mentions.color_words(np.array([rgb], float)) == [word]


def test_lab_of_the_primaries(small_clip):
    rgb = np.array([[255.0, 255, 255], [255, 0, 0], [0, 0, 0]])
    # white is (100, 0, 0) by definition; red of sRGB under D65 is (53.2, 80.1, 67.2)
    expected = [[100, 0, 0], [53.2, 80.1, 67.2], [0, 0, 0]]
    assert small_clip.mentions._lab(rgb) == pytest.approx(np.array(expected), abs=0.1)


def test_what_is_seen_of_a_crop(small_clip, view):
    floor, chair, table = small_clip.mentions.mentions(view[..., :3], view[..., 3:])
    assert (floor.label, chair.label, table.label) == (1, label("chair"), label("table"))
    assert chair.share == 40 * 32 / 4800  # the pixels without label count as well
    assert (chair.color, chair.pattern) == ("red", "stripes")
    assert chair.center == pytest.approx((16 / 80, 30 / 60))
    assert (table.color, table.pattern) == ("brown", "wood")
    assert table.center == pytest.approx((70 / 80, 40 / 60))


def test_specks_are_not_seen(small_clip, view):
    view[..., 3:] = (1, 0, 0)
    view[0, :47, 3:] = (4, 1, 0)  # 47 of 4800 pixels are less than a hundredth
    (floor,) = small_clip.mentions.mentions(view[..., :3], view[..., 3:])
    assert floor.label == 1
    view[0, :48, 3:] = (4, 1, 0)
    assert len(small_clip.mentions.mentions(view[..., :3], view[..., 3:])) == 2


def test_a_mixed_object_has_no_pattern(small_clip, view):
    view[10:30, 0:32, 5] = 3  # half tiles, half stripes
    seen = small_clip.mentions.mentions(view[..., :3], view[..., 3:])
    assert seen[1].pattern == "plain"


@pytest.mark.parametrize(
    ("center", "words"),
    [
        ((0.1, 0.5), "left"),
        ((0.9, 0.6), "right"),
        ((0.5, 0.2), "above"),
        ((0.4, 0.9), "below"),
        ((0.6, 0.4), "near"),
    ],
)
def test_where_a_thing_is(small_clip, center, words):
    one = mention(small_clip, "chair", center=center)
    assert small_clip.captions.relation(one, mention(small_clip, "table")) == words


@given(seed=st.integers(0, 2**32), data=st.data())
def test_captions_are_true_and_of_known_words(small_clip, seed, data):
    module = small_clip.captions
    one = st.builds(
        small_clip.mentions.Mention,
        st.integers(0, len(small_clip.mentions.CLASSES) - 1),
        st.floats(module.NAMED, 1),
        st.sampled_from(list(small_clip.mentions.COLORS)),
        st.sampled_from(small_clip.mentions.PATTERNS),
        st.tuples(st.floats(0, 1), st.floats(0, 1)),
    )
    seen, place = data.draw(st.lists(one, min_size=1)), data.draw(st.sampled_from([*module.PLACES]))
    pair = module.captions(seen, place, seen[-1].label, np.random.default_rng(seed))
    assert len(pair) == 2
    for caption in pair:
        assert caption.atoms <= module.truths(seen, place)
    tokens = small_clip.network.tokenizer()([caption.text for caption in pair])
    assert tokens.shape == (2, module.CONTEXT_LENGTH)


def test_captions_say_what_their_atoms_say(small_clip):
    module, rng = small_clip.captions, np.random.default_rng(0)
    bed = mention(small_clip, "bed", color="blue", pattern="checks", center=(0.2, 0.5))
    wall = mention(small_clip, "wall", color="white", center=(0.8, 0.5))
    for _ in range(200):
        short, other = module.captions([bed, wall], "bedroom", bed.label, rng)
        for text, atoms in (short, other):
            words = set(module.words_of(text))
            assert ("blue" in words) == any(atom[1:2] == ("blue",) for atom in atoms)
            assert ("left" in words) == ((bed.label, "left", wall.label) in atoms)
            assert ("bedroom" in words) == (("place", "bedroom") in atoms)
            assert bool(words & {"checked", "checkered"}) == any(
                a[2:] == ("checks",) for a in atoms
            )
            assert ("bed" in words) == any(atom[0] == bed.label for atom in atoms)


def test_the_first_of_two_things_is_where_the_caption_says(small_clip):
    module, rng = small_clip.captions, np.random.default_rng(0)
    bed = mention(small_clip, "bed", center=(0.5, 0.8))
    wall = mention(small_clip, "wall", center=(0.5, 0.2))
    for _ in range(20):
        words = module.words_of(module.placed_caption([bed, wall], rng).text)
        is_above = bool({"above", "over"} & set(words))
        assert (words.index("wall") < words.index("bed")) == is_above


def test_every_name_and_prompt_can_be_read(small_clip):
    module = small_clip.captions
    texts = [template.format("red wooden chair") for template in module.PROMPT_TEMPLATES]
    tokens = small_clip.network.tokenizer()([*texts, *small_clip.mentions.CLASSES])
    assert len(tokens) == 85 + 39
    assert len(module.vocabulary()) == len(set(module.vocabulary())) < 300


def test_small_things_are_not_spoken_of(small_clip):
    module, rng = small_clip.captions, np.random.default_rng(0)
    seen = [mention(small_clip, "bed", 0.9), mention(small_clip, "sink", 0.04)]
    texts = [
        one.text for _ in range(50) for one in module.captions(seen, "bedroom", label("sink"), rng)
    ]
    assert not any({"sink", "basin"} & set(module.words_of(text)) for text in texts)


def test_captions_that_fit_by_chance_are_left_out(small_clip):
    crops, module, rng = small_clip.crops, small_clip.captions, np.random.default_rng(0)
    seen = [
        [mention(small_clip, "chair", color="red"), mention(small_clip, "wall", color="white")],
        [mention(small_clip, "chair", color="red")],
        [mention(small_clip, "chair", color="blue"), mention(small_clip, "bed", color="red")],
    ] * 8
    boxes = [(one, "office") for one in seen]
    texts = [
        module.captions(one, "office", label("chair"), rng)[k % 2] for k, one in enumerate(seen)
    ]
    classes = [label(name) for name in ("wall", "chair", "bed")]
    texts += [module.named(one, rng) for one in classes]
    found = crops.caption_fit(boxes, texts, classes)
    for i, one in enumerate(seen):
        for j, caption in enumerate(texts[: len(seen)]):
            true = caption.atoms <= module.truths(one, "office")
            assert found[i, j] == (1 if j == i else -1 if true else 0)
    assert {*found[:, : len(seen)].ravel().tolist()} == {-1, 0, 1}
    assert found[:3, len(seen) :].tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 1]]


def test_a_class_that_is_hardly_seen_is_no_match_and_no_mismatch(small_clip):
    crops, module = small_clip.crops, small_clip.captions
    seen = [mention(small_clip, "wall", 0.9), mention(small_clip, "chair", 0.03)]
    texts = [module.long_caption(seen[:1], "office", np.random.default_rng(0))]
    classes = [label(name) for name in ("wall", "chair", "bed")]
    texts += [module.named(one, np.random.default_rng(0)) for one in classes]
    assert crops.caption_fit([(seen, "office")], texts, classes).tolist() == [[1, 1, -1, 0]]


def test_loss_is_that_of_clip(small_clip):
    generator = torch.Generator().manual_seed(0)
    images, texts = (
        torch.nn.functional.normalize(torch.randn(n, 5, generator=generator), dim=1) for n in (3, 6)
    )
    fit = torch.tensor([[1, 1, 0, 0, -1, 0], [0, 0, 1, 1, 0, -1], [0, -1, 0, 0, 1, 1]])
    found = small_clip.train.contrastive_loss(images, texts, fit, torch.tensor(3.0))
    product, total = (3 * images @ texts.T).exp().tolist(), 0.0
    for i in range(3):
        among = sum(product[i][j] for j in range(6) if fit[i, j] >= 0)
        own = [np.log(product[i][j] / among) for j in range(6) if fit[i, j] == 1]
        total -= np.mean(own) / 3 / 2
    for j in range(6):
        among = sum(product[i][j] for i in range(3) if fit[i, j] >= 0)
        total -= np.log(product[j // 2][j] / among) / 6 / 2
    assert float(found) == pytest.approx(total, rel=1e-6)


def test_texts_without_padding_are_the_same(small_clip):
    torch.manual_seed(0)
    model = small_clip.network.build(small_clip.network.model_config(32, 1))
    texts = ["a chair", "a photo of a red chair in a living room", "wall", "the bed", "a bed"]
    tokens = small_clip.network.tokenizer()(texts)
    found = small_clip.train.encode_texts(model, tokens)
    assert torch.allclose(found, model.encode_text(tokens), atol=1e-5)


def test_a_box_of_the_whole_image_is_the_image(small_clip):
    torch.manual_seed(0)
    visual = small_clip.network.build(small_clip.network.model_config(32, 2)).visual.eval()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    weights = torch.zeros(3, 64)
    weights[:2], weights[2, 9] = 1 / 64, 1
    batch = {"images": images, "image": torch.tensor([0, 1, 1]), "weights": weights}
    whole, patches = visual(small_clip.network.normalized(images)), None
    found = small_clip.train.encode_boxes(visual, batch)
    assert torch.allclose(found[:2], whole, atol=1e-5)
    _, patches = visual(small_clip.network.normalized(images))
    assert torch.allclose(found[2], patches[1, 9] @ visual.proj, atol=1e-5)


def test_a_batch_depends_on_its_step_alone(small_clip, shards):
    batches = small_clip.crops.CaptionedCrops(
        shards, small_clip.network.tokenizer(), batch=3, boxes=4, size=16, seed=1
    )
    first, again, other = batches[5], batches[5], batches[6]
    n_boxes = len(first["image"])
    assert first["images"].shape == (3, 3, 16, 16)
    n_texts = len(first["tokens"])
    assert first["fit"].shape == (n_boxes, n_texts)
    assert n_boxes < n_texts <= n_boxes + 3  # and the classes that are seen
    assert (first["fit"] == 1).any(dim=0).all()
    assert first["image"].unique().tolist() == [0, 1, 2]
    assert torch.allclose(first["weights"].sum(dim=1), torch.ones(n_boxes))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["images"], other["images"])


def test_crops_show_their_object(small_clip, shards):
    rng = np.random.default_rng(0)
    for crop in (shards.crop(64, 4, rng) for _ in range(100)):
        assert crop.image.shape == (64, 64, 3)
        assert crop.place == "living"
        assert crop.subject in shards.labels == [label(n) for n in ("floor", "chair", "table")]
        assert 1 <= len(crop.boxes) <= 4
        whole = [box for box in crop.boxes if box.rows == box.columns == slice(0, 8)]
        (seen,) = {tuple(box.seen) for box in whole}
        assert crop.subject in {one.label for one in seen}


def test_a_box_tells_what_is_in_it(small_clip, shards):
    rng = np.random.default_rng(0)
    colors = {label("floor"): 120, label("chair"): 192, label("table"): 128}
    for crop in (shards.crop(64, 4, rng) for _ in range(50)):
        for box in crop.boxes:
            rows, columns = (slice(8 * s.start, 8 * s.stop) for s in (box.rows, box.columns))
            reds = np.unique(crop.image[rows, columns, 0])
            plain = {k for k, red in colors.items() if red in reds}
            assert {one.label for one in box.seen if one.share > 0.5} <= plain | {0}


def test_shards_must_be_there(small_clip, tmp_path):
    with pytest.raises(ValueError, match="folder of shards must hold some, got"):
        small_clip.crops.Shards(tmp_path)


def test_maps_number_the_objects_of_a_view(small_clip):
    labels, instances = np.array([4, 4, -1, 0, 0, 4]), np.array([7, 8, 7, -1, -1, 7])
    maps = small_clip.render._maps(labels, instances, np.array([1, 2, 3, 4, 5, 6]))
    assert maps[:, 0].tolist() == [4, 4, 255, 0, 0, 4]
    assert maps[:, 2].tolist() == [1, 2, 255, 4, 5, 6]
    wall, chair, other = maps[3, 1], maps[0, 1], maps[1, 1]
    assert maps[:, 1].tolist() == [chair, other, 255, wall, wall, chair]
    assert sorted([wall, chair, other]) == [0, 1, 2]


def test_the_average_moves_by_its_share(small_clip):
    settings = small_clip.train.Settings(shards=Path("x"), average=0.75, width=32, layers=1)
    training = small_clip.train.Training(settings)
    clip, mean = (training.modules[key].logit_scale for key in ("clip", "average"))
    found = []
    for step, value in enumerate((2.0, 4.0, 8.0, 8.0, 12.0)):
        clip.data.fill_(value)
        training._move_average(step)
        found.append(float(mean))
    # shares 1, 1/2, 1/3, 1/4, 1/4
    assert found == pytest.approx([2, 3, 14 / 3, 5.5, 7.125])


def test_scores_of_a_confusion(small_clip):
    confusion = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    found = small_clip.evaluate.scores(confusion, ("a", "b", "c"))
    assert found["pixel_accuracy"] == 7 / 8
    assert found["iou"] == {"a": 3 / 4, "b": 4 / 5}
    assert found["miou"] == pytest.approx(0.775)


def test_an_exported_folder_gives_the_same_features(small_clip, tmp_path):
    config = small_clip.network.model_config(32, 1)
    torch.manual_seed(0)
    model = small_clip.network.build(config).eval()
    small_clip.network.write_folder(tmp_path, config, model)
    clip = small_clip.evaluate.DenseClip.load(str(tmp_path))
    texts = ["a red chair", "the wall"]
    found = clip.encode_text(texts)
    expected = model.encode_text(small_clip.network.tokenizer()(texts), normalize=True)
    assert torch.allclose(found, expected, atol=2e-3)  # float16 keeps three digits
