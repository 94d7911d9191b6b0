"""The programming model: roles, channels, elements, relationships, identities, lifecycle, errors. Pure Python."""

from .access import require_relationship
from .base import Role
from .channels import Event, EventHandler, Service, Task, attribute
from .collectors import (
    AsynchronousKeyValueMerger,
    DataFilter,
    FilteredOut,
    MergerTimeoutError,
    MergingFailedError,
    TaskResultCollector,
    TaskResultFilter,
)
from .context import Contacts, Context
from .elements import (
    ConstructStrategy,
    Element,
    ElementImplementation,
    ElementInstance,
    Factory,
    InitializeStrategy,
)
from .errors import (
    ActorNotFoundError,
    CallerError,
    CallTimeout,
    ChannelNotFoundError,
    ElementError,
    HandlerError,
    InternalError,
    LinkFailed,
    NodeLost,
    NoSuchEventError,
    NoSuchRoleError,
    RoleDefinitionError,
    RoleInteractionError,
    RoleMLError,
    StatusError,
    TaskResultTimeoutError,
    TestbedError,
)
from .groups import ActorGroup, Relationship, RoleInstances
from .identity import NATIVE, ActorProfile, RoleInstanceID, RoleInstanceIDTuple, parse_instances
from .interfaces import Deserializable, Runnable, Serializable
from .lifecycle import Lifecycle, Status
from .merging import (
    CumulativeAddingValueMerger,
    CumulativeValueMerger,
    DictKeyValueMerger,
    KeyAgnosticKeyValueMerger,
    KeyValueMerger,
    ListValueMerger,
    ValueMerger,
    make_kv_merger,
)
from .message import (
    Args,
    ErrorHandlingStrategy,
    EventSubscriptionMode,
    Message,
    MyArgs,
    MyPayloads,
    Payloads,
    TaskInvocation,
    scatter_arg,
    scatter_args_and_payloads,
    scatter_payloads,
)
from .names import did_you_mean, natural_key, standard_name
from .relationships import Relationships
from .workload import (
    Dataset,
    DataStreams,
    GradientsOperableModel,
    IterableDataset,
    Testable,
    TestableModel,
    TrainableModel,
)

__all__ = [
    "NATIVE", "ActorGroup", "ActorNotFoundError", "ActorProfile", "Args", "AsynchronousKeyValueMerger", "CallTimeout",
    "CallerError", "ChannelNotFoundError", "ConstructStrategy", "Contacts", "Context", "CumulativeAddingValueMerger",
    "CumulativeValueMerger", "DataFilter", "DataStreams", "Dataset", "Deserializable", "DictKeyValueMerger", "Element",
    "ElementError", "ElementImplementation", "ElementInstance", "ErrorHandlingStrategy", "Event", "EventHandler",
    "EventSubscriptionMode", "Factory", "FilteredOut", "GradientsOperableModel", "HandlerError", "InitializeStrategy",
    "InternalError", "IterableDataset", "KeyAgnosticKeyValueMerger", "KeyValueMerger", "Lifecycle", "LinkFailed",
    "ListValueMerger", "MergerTimeoutError", "MergingFailedError", "Message", "MyArgs", "MyPayloads",
    "NoSuchEventError", "NoSuchRoleError", "NodeLost", "Payloads", "Relationship", "Relationships", "Role",
    "RoleDefinitionError", "RoleInstanceID", "RoleInstanceIDTuple", "RoleInstances", "RoleInteractionError",
    "RoleMLError", "Runnable", "Serializable", "Service", "Status", "StatusError", "Task", "TaskInvocation",
    "TaskResultCollector", "TaskResultFilter", "TaskResultTimeoutError", "Testable", "TestableModel", "TestbedError",
    "TrainableModel", "ValueMerger", "attribute", "did_you_mean", "make_kv_merger", "natural_key", "parse_instances",
    "require_relationship", "scatter_arg", "scatter_args_and_payloads", "scatter_payloads", "standard_name",
]
