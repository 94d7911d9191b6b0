"""Models, data sets and partitioners. Importing this room imports NumPy only; torch comes with the first model."""

from .cifar_10 import (
    CiFar10Dataset,
    CiFar10SlicedDataset,
    combine,
    load_array_from_files,
    slice_cifar_10_dataset,
    transform_torch,
)
from .datasets import ArrayDataset, SimpleDataset, XYDataset, digits, digits_test
from .lenet import LeNet5Model, LeNet5RGBModel, lenet5, lenet5_rgb
from .models import TorchClassifier, mlp
from .partitions import dirichlet, iid
from .samplers import (
    BUILTIN_SAMPLERS,
    IndexSampler,
    RandomOneOffIndexSampler,
    RandomReplaceIndexSampler,
    SequentialCycleIndexSampler,
    SequentialOneOffIndexSampler,
)
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
    "BUILTIN_SAMPLERS", "ArrayDataset", "CiFar10Dataset", "CiFar10SlicedDataset", "DatasetBatchView",
    "DatasetPointView", "DatasetView", "DatasetViewFactory", "IndexSampler", "LeNet5Model", "LeNet5RGBModel",
    "RandomOneOffIndexSampler", "RandomReplaceIndexSampler", "SequentialCycleIndexSampler",
    "SequentialOneOffIndexSampler", "SimpleDataset", "SimpleTorchGradientsOperableModel", "SimpleTorchModel",
    "SimpleTorchXYModel", "SimpleTorchXYTestableModel", "SimpleTorchXYTrainableModel", "TorchClassifier",
    "VGGLiteModel", "VGGModel", "XYDataset", "combine", "digits", "digits_test", "dirichlet", "iid", "lenet5",
    "lenet5_rgb", "load_array_from_files", "mlp", "slice_cifar_10_dataset", "transform_torch", "vgg", "vgg_lite",
]
