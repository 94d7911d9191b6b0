"""The programming model: roles, channels, elements, relationships, identities, lifecycle, errors. Pure Python."""

from .base import Role
from .channels import Event, EventHandler, Service, Task, attribute
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
from .identity import NATIVE, ActorProfile, RoleInstanceID, RoleInstanceIDTuple, parse_instances
from .interfaces import Deserializable, Runnable, Serializable
from .lifecycle import Lifecycle, Status
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
from .workload import Dataset, IterableDataset, TestableModel, TrainableModel

__all__ = [
    "NATIVE", "ActorNotFoundError", "ActorProfile", "Args", "CallTimeout", "CallerError", "ChannelNotFoundError",
    "ConstructStrategy", "Contacts", "Context", "Dataset", "Deserializable", "Element", "ElementError",
    "ElementImplementation", "ElementInstance", "ErrorHandlingStrategy", "Event", "EventHandler",
    "EventSubscriptionMode", "Factory", "HandlerError", "InitializeStrategy", "InternalError", "IterableDataset",
    "Lifecycle", "LinkFailed", "Message", "MyArgs", "MyPayloads", "NoSuchEventError", "NoSuchRoleError", "NodeLost",
    "Payloads", "Relationships", "Role", "RoleDefinitionError", "RoleInstanceID", "RoleInstanceIDTuple",
    "RoleInteractionError", "RoleMLError", "Runnable", "Serializable", "Service", "Status", "StatusError", "Task",
    "TaskInvocation", "TaskResultTimeoutError", "TestableModel", "TestbedError", "TrainableModel", "attribute",
    "did_you_mean", "natural_key", "parse_instances", "scatter_arg", "scatter_args_and_payloads", "scatter_payloads",
    "standard_name",
]
