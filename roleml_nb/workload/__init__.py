"""Models, data sets and partitioners.

Importing this room imports NumPy, and not torch, which the first model imports.
"""

from roleml_nb.role.checks.arguments import check_types

from .adapters import from_arrays, from_frame, from_torch
from .cifar_10 import (
    CiFar10Dataset,
    CiFar10SlicedDataset,
    combine,
    load_array_from_files,
    slice_cifar_10_dataset,
    transform_torch,
)
from .datasets import ArrayDataset, SimpleDataset, XYDataset
from .dealing import PARTITIONS, SKEWS, Samples, check_partition, dealt
from .images import cifar10, fashion_mnist, mnist
from .lenet import LeNet5Model, LeNet5RGBModel, lenet5, lenet5_rgb
from .mnist_1d import mnist1d
from .models import TorchClassifier, cnn1d, logistic_regression, mlp
from .partition_picture import draw_partition
from .partitions import by_key, dirichlet, iid, label_skew, quantity_skew, shards
from .samplers import (
    BUILTIN_SAMPLERS,
    IndexSampler,
    RandomOneOffIndexSampler,
    RandomReplaceIndexSampler,
    SequentialCycleIndexSampler,
    SequentialOneOffIndexSampler,
)
from .synthetic import synthetic
from .tables import breast_cancer, diabetes, digits, digits_test, iris, wine
from .templates import (
    SimpleTorchGradientsOperableModel,
    SimpleTorchModel,
    SimpleTorchXYModel,
    SimpleTorchXYTestableModel,
    SimpleTorchXYTrainableModel,
)
from .vgg import VGGLiteModel, VGGModel, vgg, vgg_lite
from .views import DatasetBatchView, DatasetPointView, DatasetView, DatasetViewFactory

__all__ = [
    "BUILTIN_SAMPLERS",
    "PARTITIONS",
    "SKEWS",
    "ArrayDataset",
    "CiFar10Dataset",
    "CiFar10SlicedDataset",
    "DatasetBatchView",
    "DatasetPointView",
    "DatasetView",
    "DatasetViewFactory",
    "IndexSampler",
    "LeNet5Model",
    "LeNet5RGBModel",
    "RandomOneOffIndexSampler",
    "RandomReplaceIndexSampler",
    "Samples",
    "SequentialCycleIndexSampler",
    "SequentialOneOffIndexSampler",
    "SimpleDataset",
    "SimpleTorchGradientsOperableModel",
    "SimpleTorchModel",
    "SimpleTorchXYModel",
    "SimpleTorchXYTestableModel",
    "SimpleTorchXYTrainableModel",
    "TorchClassifier",
    "VGGLiteModel",
    "VGGModel",
    "XYDataset",
    "breast_cancer",
    "by_key",
    "check_partition",
    "cifar10",
    "cnn1d",
    "combine",
    "dealt",
    "diabetes",
    "digits",
    "digits_test",
    "dirichlet",
    "draw_partition",
    "fashion_mnist",
    "from_arrays",
    "from_frame",
    "from_torch",
    "iid",
    "iris",
    "label_skew",
    "lenet5",
    "lenet5_rgb",
    "load_array_from_files",
    "logistic_regression",
    "mlp",
    "mnist",
    "mnist1d",
    "quantity_skew",
    "shards",
    "slice_cifar_10_dataset",
    "synthetic",
    "transform_torch",
    "vgg",
    "vgg_lite",
    "wine",
]

check_types(globals())
