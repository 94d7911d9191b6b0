"""One node at work: its roles, its context, dispatch to handlers, group calls, the native role."""

from .actor import Actor
from .calls import Invocation
from .host import ActorHost
from .native import NativeRole

__all__ = ["Actor", "ActorHost", "Invocation", "NativeRole"]
