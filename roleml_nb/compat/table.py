"""The names in RoleML's modules, and our modules that define them.

Each name is our own object, not a copy. ``name=other`` gives our `other` the name that RoleML has
for it.
"""

from __future__ import annotations

__all__ = ["MODULES", "PACKAGES", "REPLACED"]

Sources = dict[str, str]
"""{our module: names}"""

ROLE = "roleml_nb.role"
COMPAT = "roleml_nb.compat"
ACTOR = "roleml_nb.actor"
LIBRARY = "roleml_nb.library"
WORKLOAD = "roleml_nb.workload"

_MESSAGE_TYPES = "Args Payloads MyArgs MyPayloads"
_ELEMENT_SPECS = "ElementImplementationSpec ParsedElementImplementationSpec"
_MERGERS = (
    "ValueMerger ListValueMerger CumulativeValueMerger CumulativeAddingValueMerger KeyValueMerger"
    " DictKeyValueMerger KeyAgnosticKeyValueMerger make_kv_merger"
)
_SEQUENTIAL = "SequentialCycleIndexSampler SequentialOneOffIndexSampler"
_RANDOM = "RandomOneOffIndexSampler RandomReplaceIndexSampler"
_VIEWS = "DatasetBatchView DatasetPointView DatasetView DatasetViewFactory"
_ESSENTIALS: Sources = {
    ROLE: (
        "ConstructStrategy Element Event EventHandler EventSubscriptionMode Factory"
        " InitializeStrategy Message Role PluginAttribute RoleInstanceID RoleInstanceIDTuple"
        f" Service Task TaskInvocation attribute {_MESSAGE_TYPES}"
    ),
    ACTOR: "Actor BaseActor=Actor",
    f"{COMPAT}.actors": "ActorBuilder",
    f"{COMPAT}.specs": (
        f"ActorBootstrapSpec LogConsoleType RoleDescriptor RoleSpec {_ELEMENT_SPECS}"
    ),
}

MODULES: dict[str, Sources] = {
    "": {f"{COMPAT}.specs": "LOG_LEVEL_INTERNAL __version__=MODEL_VERSION"},
    "essentials": _ESSENTIALS,
    "kits.main": _ESSENTIALS,
    "kits.interfaces": {ROLE: "Deserializable Runnable Serializable"},
    "core.context": {
        ROLE: (
            "ActorNotFoundError ActorProfile Contacts Context Relationships RoleInstanceID"
            " RoleInstanceIDTuple parse_instances"
        ),
        f"{COMPAT}.specs": "ActorProfileSpec",
    },
    "core.status": {
        ROLE: (
            "RoleOffloadedError=RoleMoved Status StatusControl=Lifecycle StatusError "
            "StatusTransferCallbackError=StatusError"
        )
    },
    "core.role.base": {ROLE: "Role"},
    "core.role.channels": {ROLE: "Event EventHandler Service Task attribute"},
    "core.role.elements": {
        ROLE: "ConstructStrategy Element ElementImplementation Factory InitializeStrategy"
    },
    "core.role.exceptions": {
        ROLE: (
            "CallerError ChannelNotFoundError HandlerError InternalError NoSuchEventError"
            " NoSuchRoleError RoleInteractionError TaskResultTimeoutError"
        )
    },
    "core.role.helpers": {ROLE: "require_relationship"},
    "core.role.naming": {ROLE: "to_standardized_name=standard_name"},
    "core.role.types": {
        ROLE: f"EventSubscriptionMode Message PluginAttribute TaskInvocation {_MESSAGE_TYPES}"
    },
    "core.messaging.types": {ROLE: _MESSAGE_TYPES, f"{COMPAT}.specs": "Tags"},
    "core.messaging.exceptions": {
        ROLE: (
            "HandshakeError=RoleInteractionError HandwaveError=RoleInteractionError"
            " InvalidInvokerError=CallerError InvocationAbortError=CallerError"
            " InvocationFailedError=HandlerError InvocationRedirectError=RoleMoved"
            " InvocationRefusedError=CallerError MessagingError=RoleInteractionError"
            " MsgConnectionError=NodeLost ProcedureInvokerError=CallerError"
            " ProcedureNotFoundError=ChannelNotFoundError"
        )
    },
    "core.actor.base": {ACTOR: "BaseActor=Actor"},
    "core.actor.default.bootstrap": {f"{COMPAT}.actors": "ActorBuilder"},
    "core.actor.default.impl": {ACTOR: "Actor"},
    "core.actor.default.managers.element": {ROLE: "ElementInstance"},
    "core.actor.default.native": {ACTOR: "NativeRole"},
    "core.actor.group.helpers": {
        ROLE: "ErrorHandlingStrategy scatter_arg scatter_args_and_payloads scatter_payloads"
    },
    "core.actor.group.makers": {ROLE: "ActorGroup Relationship RoleInstances"},
    "core.actor.group.util.collections": {
        ROLE: (
            "AsynchronousKeyValueMerger DataFilter FilteredOut MergerTimeoutError"
            " MergingFailedError TaskResultCollector TaskResultFilter"
        )
    },
    "core.actor.group.impl.null": {f"{COMPAT}.components": "CollectiveImplementorDisabled"},
    "core.actor.group.impl.sequential": {f"{COMPAT}.components": "SequentialCollectiveImplementor"},
    "core.actor.group.impl.threaded": {f"{COMPAT}.components": "ThreadedCollectiveImplementor"},
    "core.messaging.null": {
        f"{COMPAT}.components": (
            "MessagingComponentDisabled ProcedureInvokerDisabled ProcedureProviderDisabled"
        )
    },
    "extensions.messaging.comb.grpc.component": {f"{COMPAT}.components": "GRPCMessagingComponent"},
    "extensions.messaging.default.comb": {
        f"{COMPAT}.components": "DefaultMessagingComponent=GRPCMessagingComponent"
    },
    "extensions.messaging.default.separate": {
        f"{COMPAT}.components": (
            "DefaultProcedureInvoker=RequestsProcedureInvoker "
            "DefaultProcedureProvider=FlaskProcedureProvider"
        )
    },
    "extensions.messaging.invokers.requests": {f"{COMPAT}.components": "RequestsProcedureInvoker"},
    "extensions.messaging.providers.flask": {f"{COMPAT}.components": "FlaskProcedureProvider"},
    "core.builders.actor": {
        f"{COMPAT}.actors": "BaseActorBuilder=ActorBuilder",
        f"{COMPAT}.specs": "ActorBootstrapSpec LogConsoleType",
    },
    "core.builders.element": {
        f"{ROLE}.serialization": "register_deserializer register_initializer register_serializer",
        f"{COMPAT}.specs": _ELEMENT_SPECS,
    },
    "core.builders.role": {f"{COMPAT}.specs": "RoleDescriptor RoleSpec"},
    "shared.interfaces": {ROLE: "Deserializable Runnable Serializable"},
    "shared.types": {
        f"{ROLE}.merging": "Key Value",
        f"{COMPAT}.specs": "LOG_LEVEL_INTERNAL LogLevel T",
    },
    "shared.collections.merger": {ROLE: _MERGERS, f"{ROLE}.merging": "MergedValue"},
    "shared.collections.segmentation": {f"{COMPAT}.segments": "SegmentedList"},
    "shared.aop": {f"{COMPAT}.aspects": "InvocationActivity after aspect before catch"},
    "shared.importing": {
        f"{COMPAT}.importing": (
            "AnyCallable AnyType Descriptor LoadCompatible Loadable Spec as_class as_definition "
            "as_function is_spec load load_definition"
        )
    },
    "shared.util": {f"{COMPAT}.importing": "load_bytes resolve_host_port"},
    "shared.yml": {f"{COMPAT}.documents": "ObjectFromYAML=load_yaml load_yaml save_yaml"},
    "shared.multithreading.management": {f"{COMPAT}.threads": "ReturnStrategy ThreadManager"},
    "shared.multithreading.util.limiters": {
        f"{COMPAT}.threads": "CallAtMostOnceLimiter at_most_once"
    },
    "shared.multithreading.util.timers": {f"{COMPAT}.threads": "TimerLocal"},
    "shared.multithreading.synchronization.simple": {f"{COMPAT}.locks": "Locked synchronized"},
    "shared.multithreading.synchronization.rw": {
        f"{COMPAT}.locks": "RWLocked read_lock synchronized_read synchronized_write write_lock"
    },
    "extensions.plugins.partner.base": {ROLE: "Partner"},
    "kits.workload": {
        ROLE: "Dataset TestableModel TrainableModel",
        WORKLOAD: f"SimpleDataset XYDataset {_VIEWS}",
    },
    "library.roles.initiator.client": {LIBRARY: "ClientInitiator"},
    "library.roles.initiator.server": {LIBRARY: "ServerInitiator"},
    "library.roles.trainer.base": {f"{COMPAT}.trainers": "BaseModelMaintainer"},
    "library.roles.trainer.epoch": {
        f"{COMPAT}.trainers": "EpochTrainer",
        LIBRARY: "FixedTrainingPlanner TrainingPlanner",
    },
    "library.roles.trainer.gradient": {f"{COMPAT}.trainers": "GradientsTrainer"},
    "library.workload.models.bases": {
        f"{ROLE}.workload": (
            "DataBlock_contra GradientLRApplicable Gradients GradientsApplicable"
            " GradientsComputable GradientsOperableModel Gradients_co Gradients_contra LR_contra"
            " Parameters ParametersAccessible ParametersReadable ParametersWriteable Parameters_co"
            " Parameters_contra Predictable Testable TestableModel Trainable TrainableModel"
            " X_contra Y_co"
        )
    },
    "library.workload.models.templates.torch.base": {WORKLOAD: "SimpleTorchModel"},
    "library.workload.models.templates.torch.classification": {
        WORKLOAD: (
            "SimpleTorchGradientsOperableModel SimpleTorchXYModel SimpleTorchXYTestableModel "
            "SimpleTorchXYTrainableModel"
        )
    },
    "library.workload.models.templates.torch.helpers.apply_gradients": {
        f"{WORKLOAD}.steps": "XYApplyGradientsFunction default_xy_apply_gradients"
    },
    "library.workload.models.templates.torch.helpers.compute_gradients": {
        f"{WORKLOAD}.steps": (
            "RetrieveGradientsFunction XYComputeGradientsFunction XYComputeGradientsImplFunction "
            "default_xy_compute_gradients default_xy_compute_gradients_impl retrieve_gradients"
        )
    },
    "library.workload.models.templates.torch.helpers.test": {
        f"{WORKLOAD}.steps": "XYTestFunction default_xy_test"
    },
    "library.workload.models.templates.torch.helpers.train": {
        f"{WORKLOAD}.steps": "XYTrainFunction default_xy_train"
    },
    "library.workload.models.zoo.torch.cnn.lenet_5": {
        WORKLOAD: "LeNet5Model LeNet5RGBModel lenet5 lenet5_rgb"
    },
    "library.workload.models.zoo.torch.cnn.vgg": {
        f"{WORKLOAD}.vgg": "VGGArchType VGGLiteModel VGGModel vgg vgg_arch vgg_block vgg_lite"
    },
    "library.workload.datasets.bases": {
        f"{ROLE}.workload": (
            "DataBatch DataBatch_co DataCombiner DataModifier DataPoint DataPoint_co"
            " DataPoint_contra DataStreams Dataset DatasetConverter DatasetType DatasetType_co"
            " DatasetType_contra IterableDataset"
        ),
        WORKLOAD: "IndexSampler",
    },
    "library.workload.datasets.templates": {f"{WORKLOAD}.datasets": "SimpleDataset X XYDataset Y"},
    "library.workload.datasets.views": {WORKLOAD: _VIEWS},
    "library.workload.datasets.samplers": {WORKLOAD: f"BUILTIN_SAMPLERS {_SEQUENTIAL} {_RANDOM}"},
    "library.workload.datasets.samplers.random": {WORKLOAD: _RANDOM},
    "library.workload.datasets.samplers.sequential": {WORKLOAD: _SEQUENTIAL},
    "library.workload.datasets.zoo.image.cifar_10.functions": {WORKLOAD: "combine transform_torch"},
    "library.workload.datasets.zoo.image.cifar_10.impl": {
        WORKLOAD: "CiFar10Dataset CiFar10SlicedDataset"
    },
    "library.workload.datasets.zoo.image.cifar_10.splitter": {
        f"{WORKLOAD}.cifar_10": "slice_cifar_10_dataset slice_cifar_10_dataset_from_cli"
    },
    "library.workload.datasets.zoo.image.cifar_10.util": {
        f"{WORKLOAD}.cifar_10": "load_array_from_files unpickle"
    },
    "library.workload.util.collections.merger.base": {
        LIBRARY: "DefaultWeightedMerger WeightedMerger"
    },
    "library.workload.util.collections.merger.torch": {
        LIBRARY: "TorchStateDictAverager TorchStateDictCumulator WeightedTorchStateDictAverager"
    },
}
"""{module, without the leading "roleml.": the sources of its names}"""

REPLACED = {
    "core.actor.group.base": "calls of a group always go out at the same time",
    "core.actor.default.managers.event": "what a manager does, the actor does",
    "core.actor.default.managers.service": "what a manager does, the actor does",
    "core.actor.default.managers.task": "what a manager does, the actor does",
    "core.actor.manager": "what a manager does, the actor does",
    "core.actor.status": "an actor knows the lifecycle of each of its roles",
    "core.messaging.base": "messages travel over ipyparallel's engines",
    "extensions.messaging.util": "messages travel over ipyparallel's engines",
    "extensions.containerization": "a role moves by Testbed.migrate",
    "extensions.plugins.partner.manager": "a Partner works without a manager",
    "library.roles.conductor": "the notebook conducts: Testbed.from_spec(file), or %rml load",
    "scripts": "actors run on a Testbed: Testbed.from_spec(file), or %rml load",
    "shared.cli": "the notebook gives the commands: %rml call",
}
"""{module that cannot be imported: the text of the error, which names its replacement}"""


def _children() -> dict[str, tuple[str, ...]]:
    """Return the modules and packages of each package."""
    found: dict[str, set[str]] = {"": set()}
    for replaced in REPLACED:
        found.setdefault(replaced.rpartition(".")[0], set())
    for path in [*MODULES, *found]:
        package = ""
        for child in path.split(".") if path else []:
            found.setdefault(package, set()).add(child)
            package = f"{package}.{child}".lstrip(".")
    return {package: tuple(sorted(names)) for package, names in found.items()}


PACKAGES = _children()
"""{package: its modules and packages}"""
