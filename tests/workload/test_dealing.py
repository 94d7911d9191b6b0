"""All data sets are dealt out by the same arguments."""

import random

import numpy as np
import pytest

from roleml_nb.workload import (
    PARTITIONS,
    breast_cancer,
    diabetes,
    digits,
    draw_partition,
    from_arrays,
    from_frame,
    from_torch,
    iris,
    mnist1d,
    synthetic,
    wine,
)

CLASSIFIED = {
    "digits": (digits, 64, 10),
    "mnist1d": (mnist1d, 40, 10),
    "iris": (iris, 4, 3),
    "wine": (wine, 13, 3),
    "breast_cancer": (breast_cancer, 30, 2),
    "synthetic": (synthetic, 60, 10),
}


def rows(*parts):
    return sorted(
        bytes(x) + bytes(y) for part in parts for x, y in zip(part.x, part.y, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "partition"),
    [
        (name, partition)
        for name in CLASSIFIED
        for partition in PARTITIONS
        if partition != "natural" and (name, partition) != ("synthetic", "label_skew")
    ],
)
def test_the_parts_of_each_are_the_split_together(name, partition):
    make, features, classes = CLASSIFIED[name]
    # (a class of few samples there cannot be shared evenly)
    more = {"devices": 4} if make is synthetic else {}
    for split in ("train", "test"):
        parts = [
            make(part, 5, partition=partition, split=split, seed=5, **more) for part in range(5)
        ]
        whole = make(0, 1, split=split, partition="iid", **more)
        assert rows(*parts) == rows(whole)
        assert whole.x.shape == (len(whole), features) and whole.x.dtype == np.float32
        assert whole.y.dtype == np.int64 and whole.y.min() >= 0 and whole.y.max() < classes


def test_each_device_of_synthetic_is_a_part():
    parts = [synthetic(part, 4) for part in range(4)]
    assert rows(*parts) == rows(synthetic(0, 1, devices=4))


@pytest.mark.parametrize("partition", ["dirichlet", "shards", "label_skew"])
def test_a_node_is_tested_on_classes_that_it_learns(partition):
    for part in range(8):
        train, test = (
            np.bincount(digits(part, 8, partition=partition, seed=1, split=split).y, minlength=10)
            for split in ("train", "test")
        )
        assert (np.abs(test - train / 4) <= 1.5).all()


def test_a_key_is_on_one_node_in_both_splits():
    keys = np.arange(60) % 6
    for part in range(4):
        how = {"keys": keys, "test": 0.3, "partition": "natural"}
        train, test = (
            from_arrays(keys, keys % 2, part, 4, split=split, **how) for split in ("train", "test")
        )
        assert set(test.x) <= set(train.x)


def test_splits_do_not_share_samples():
    for make, _, _ in CLASSIFIED.values():
        whole = {} if make is not synthetic else {"devices": 3}
        train, test = (
            make(0, 1, split=split, partition="iid", **whole) for split in ("train", "test")
        )
        assert 0.05 < len(test) / (len(train) + len(test)) < 0.25
        assert make in (wine, iris) or not set(rows(train)) & set(rows(test))


@pytest.mark.parametrize(
    ("make", "load"),
    [
        (iris, "load_iris"),
        (wine, "load_wine"),
        (breast_cancer, "load_breast_cancer"),
        (diabetes, "load_diabetes"),
    ],
)
def test_tables_are_scikit_learns(make, load):
    from sklearn import datasets

    train, test = make(), make(split="test")
    known = getattr(datasets, load)(**{"scaled": False} if make is diabetes else {})
    assert len(train) + len(test) == len(known.target)
    assert np.allclose(train.x.mean(0), 0, atol=1e-4) and np.allclose(train.x.std(0), 1, atol=1e-4)
    # standardising is affine, so each column keeps its correlation with itself, once rows are in
    # one order
    ours, theirs = np.concatenate([train.x, test.x]), known.data
    for column in range(theirs.shape[1]):
        assert np.corrcoef(np.sort(ours[:, column]), np.sort(theirs[:, column]))[
            0, 1
        ] == pytest.approx(1, abs=1e-5)
    if make is not diabetes:
        assert sorted(np.concatenate([train.y, test.y])) == sorted(known.target)


def test_the_targets_of_diabetes_are_numbers():
    assert diabetes(1, 3, partition="quantity_skew").y.dtype == np.float32
    with pytest.raises(
        ValueError,
        match=(
            r"'shards' goes by classes, but the targets of diabetes are numbers \(float32\):"
            r" use one"
        ),
    ):
        diabetes(0, 3, partition="shards")


def test_mnist1d_is_the_packages_and_global_generators_are_as_they_were():
    from mnist1d.data import get_dataset_args, make_dataset

    from roleml_nb.workload import mnist_1d

    np.random.seed(7)
    random.seed(7)
    before = np.random.get_state()[1].copy(), random.getstate()
    mnist_1d._mnist1d.cache_clear()
    train, test = mnist1d(), mnist1d(split="test")
    assert (np.random.get_state()[1] == before[0]).all() and random.getstate() == before[1]
    known = make_dataset(get_dataset_args())
    assert (train.x == known["x"].astype(np.float32)).all() and (test.y == known["y_test"]).all()
    assert len(train) == 4000 and len(test) == 1000


def test_synthetic_devices_are_the_same_however_many_there_are():
    assert rows(synthetic(2, 5)) == rows(synthetic(2, 9))
    assert rows(synthetic(2, 5)) != rows(synthetic(2, 5, data_seed=1))


def test_synthetic_differs_as_alpha_and_beta_say():
    def centres(**how):
        return np.stack([synthetic(device, 30, **how).x.mean(0) for device in range(30)])

    assert centres(identical=True).std(0).mean() < 0.2 < 0.8 < centres(beta=0.0).std(0).mean()
    assert centres(beta=3.0).mean(1).std() > 4 * centres(beta=0.0).mean(1).std()


def test_inputs_of_synthetic_have_the_variances_of_the_paper():
    """Σ = diag(j^−1.2) around a centre with v ~ N(B, 1), B ~ N(0, β)."""
    x = np.concatenate([synthetic(device, 60, identical=True).x for device in range(60)])
    np.testing.assert_allclose(x.var(0), np.arange(1, 61) ** -1.2, rtol=0.1)
    centres = np.stack([synthetic(device, 60, beta=3.0).x.mean(0) for device in range(60)])
    assert centres.mean(1).std() == pytest.approx(3, rel=0.3)
    assert (centres - centres.mean(1, keepdims=True)).std() == pytest.approx(1, rel=0.1)


def test_identical_devices_share_one_linear_model():
    rng = np.random.default_rng([4])  # data_seed
    weights, bias = rng.normal(0, 1, (60, 10)), rng.normal(0, 1, 10)

    def agree(**how):
        return np.mean(
            [
                ((one.x @ weights + bias).argmax(1) == one.y).mean()
                for one in (synthetic(device, 6, data_seed=4, **how) for device in range(6))
            ]
        )

    assert agree(identical=True) > 0.999 > 0.5 > agree()


def test_noise_grows_from_node_to_node():
    plain = digits(0, 4, partition="noise", scale=0.25)
    assert rows(plain) == rows(digits(0, 4))
    for part in range(1, 4):
        noisy, clean = digits(part, 4, partition="noise", scale=0.25), digits(part, 4)
        assert (noisy.y == clean.y).all()
        assert (noisy.x - clean.x).var() == pytest.approx(0.25 * part / 4, rel=0.05)


def test_images_turn_by_quarters_without_a_change_of_pixels():
    for part in range(4):
        turned, straight = digits(part, 4, partition="rotation"), digits(part, 4)
        expected = np.rot90(straight.x.reshape(-1, 8, 8), part, axes=(1, 2)).reshape(-1, 64)
        assert (turned.x == expected).all() and (turned.y == straight.y).all()


def test_a_small_turn_goes_the_same_way_as_a_quarter():
    x = np.zeros((1, 9, 9), np.float32)
    x[0, 4, 8] = 1  # a point to the right of the centre goes up
    turned = from_arrays(np.repeat(x, 8, 0), np.arange(8), 1, 8, partition="rotation").x
    assert np.unravel_index(turned[0].argmax(), (9, 9)) in [(1, 7), (1, 6), (2, 7), (2, 6)]
    with pytest.raises(
        ValueError, match=r"rotation needs square images, and inputs of shape \(13,\) are none"
    ):
        wine(0, 2, partition="rotation")


def test_arrays_torch_data_sets_and_frames_give_the_same_parts():
    import pandas as pd
    import torch

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)).astype(np.float32), np.repeat(["ant", "bee"], 20)
    codes = np.repeat([0, 1], 20)
    frame = pd.DataFrame(x, columns=list("abc")).assign(
        kind=y, site=np.tile(["s1", "s2", "s3", "s4"], 10)
    )
    for part in range(4):
        how = {"partition": "dirichlet", "alpha": 0.3, "seed": 2, "test": 0.25}
        arrays = from_arrays(x, codes, part, 4, **how)
        dataset = from_torch(
            torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(codes)),
            part,
            4,
            **how,
        )
        table = from_frame(frame, "kind", part, 4, features=["a", "b", "c"], **how)
        assert (arrays.x == dataset.x).all() and (arrays.x == table.x).all()
        assert (arrays.y == dataset.y).all() and (arrays.y == table.y).all()
        site = from_frame(frame, "kind", part, 4, key="site", partition="natural")
        assert rows(site) == rows(from_arrays(x[part::4], codes[part::4]))
    assert len(from_arrays(x, codes, split="test", test=0.25)) == 10


def test_a_partition_of_ones_own_is_checked():
    def halves(labels, parts, seed):
        return np.array_split(np.arange(len(labels)), parts)

    assert len(digits(1, 2, partition=halves)) == len(digits()) // 2
    with pytest.raises(ValueError, match="no partition of .* samples: .* lost"):
        digits(1, 2, partition=lambda labels, parts, seed: [np.arange(3), np.arange(3, 9)])
    with pytest.raises(ValueError, match="the partition must return 2 parts, it returned 1"):
        digits(1, 2, partition=lambda labels, parts, seed: [np.arange(len(labels))])


def test_the_picture_shows_the_classes_of_each_node():
    parts = [digits(part, 5, partition="shards") for part in range(5)]
    figure = draw_partition(parts, names=[f"client{part}" for part in range(5)])
    assert len(figure.data) == 10 and figure.layout.barmode == "stack"
    for part in range(5):
        assert [bar.y[part] for bar in figure.data] == np.bincount(
            parts[part].y, minlength=10
        ).tolist()
    by_index = draw_partition([[0, 1], [2]], labels=[7, 7, 9])
    assert [(bar.name, list(bar.y)) for bar in by_index.data] == [("7", [2, 0]), ("9", [0, 1])]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: digits(partition="shard"), "no partition is named 'shard'; did you mean 'shards'"),
        (
            lambda: digits(partition="shards", shard_per_part=3),
            "'shards' has no option 'shard_per_part'; did you mean 'shards_per_part'",
        ),
        (lambda: digits(alpha=0.3), "partition 'iid' has no option 'alpha'; it takes no options"),
        (lambda: digits(split="tset"), "no split is named 'tset'; did you mean 'test'"),
        (
            lambda: digits(partition="natural"),
            "digits has no natural key; data sets that have one: synthetic",
        ),
        (lambda: synthetic(alpha=-1), "alpha must be 0 or more, got -1"),
        (lambda: synthetic(devices=0), "there must be 1 device or more, got 0"),
        (lambda: digits(0, 2, partition="noise", scale=-1), "scale must be 0 or more, got -1"),
        (
            lambda: from_arrays(np.zeros(3), np.zeros(4)),
            "inputs, targets and keys must be equally many, got 3, 4",
        ),
        (
            lambda: from_arrays(np.zeros(3), np.zeros(3), test=1),
            "test must be from 0 to less than 1, .* got 1",
        ),
        (lambda: draw_partition([]), "there are no parts to draw"),
        (lambda: draw_partition([diabetes()]), "the targets are numbers, not classes"),
        (
            lambda: draw_partition([digits()], names=["a", "b"]),
            "a name per part: 1 parts, but 2 names",
        ),
        (
            lambda: draw_partition([[1, 2]]),
            "a list has no targets y: give a data set, or arrays of indices and labels",
        ),
    ],
)
def test_errors_name_the_value_and_what_is_allowed(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_errors_of_adapters():
    import pandas as pd

    frame = pd.DataFrame({"a": [1.0, None], "b": ["x", "y"], "kind": [0, 1]})
    with pytest.raises(ValueError, match="the frame has no column 'knid'; did you mean 'kind'"):
        from_frame(frame, "knid")
    with pytest.raises(ValueError, match="column 'a' has gaps: fill or drop them"):
        from_frame(frame, "kind", features=["a"])
    with pytest.raises(ValueError, match="column 'b' holds no numbers"):
        from_frame(frame, "kind", features=["b"])
    with pytest.raises(TypeError, match="from_torch takes a data set with len"):
        from_torch(iter([]))
    with pytest.raises(ValueError, match="the list is empty"):
        from_torch([])
    with pytest.raises(TypeError, match=r"the samples of list must be pairs \(x, y\)"):
        from_torch([1, 2])
    with pytest.raises(ValueError, match="the samples of list differ in shape"):
        from_torch([([1.0], 0), ([1.0, 2.0], 1)])


def test_parts_of_a_skewed_data_set_on_nodes(bed):
    from roleml_nb import Each, impl
    from roleml_nb.library import EpochTrainer
    from roleml_nb.workload import mlp

    nodes = bed.spawn("dealt-{1..3}")
    nodes.assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(mlp, 64, 10),
            "dataset": impl(
                digits, part=Each(range(3)), parts=3, partition="quantity_skew", alpha=2.0
            ),
        },
    )
    sizes = bed.call("dealt-*/trainer", "get-data-size")
    assert list(sizes.values()) == [
        len(digits(part, 3, partition="quantity_skew", alpha=2.0)) for part in range(3)
    ]


def test_a_zero_with_a_sign_is_a_zero():
    plain, signed = (synthetic(part=0, parts=3, alpha=zero, beta=zero) for zero in (0.0, -0.0))
    assert np.array_equal(plain.x, signed.x) and np.array_equal(plain.y, signed.y)
