"""The key pair of a host: others know the host by the public half; the secret half never leaves the
process.
"""

from __future__ import annotations

import hashlib
import hmac

import zmq
from nacl.public import Box, PrivateKey, PublicKey
from zmq.utils import z85

__all__ = ["KeyPair"]


class KeyPair:
    """A CurveZMQ key pair. `KeyPair.token` authenticates a host where CurveZMQ is not used.

    Attributes
    ----------
    public
        40 bytes, in the encoding Z85.
    """

    def __init__(self) -> None:
        self.public, self._secret = zmq.curve_keypair()

    def secure(self, socket: zmq.Socket) -> None:
        """Have a socket use this key pair for all addresses that it binds or connects to from now
        on.
        """
        socket.curve_publickey, socket.curve_secretkey = self.public, self._secret

    def token(self, peer: bytes, sender: str, receiver: str) -> bytes:
        """Return the 32 bytes by which the host `sender` proves to `receiver` who it is.

        One of them has this key pair, the other one that with the public half `peer`. Both find the
        same token (X25519, then HMAC-SHA256), nobody else does, and it need not be handed out.
        """
        box = Box(PrivateKey(z85.decode(self._secret)), PublicKey(z85.decode(peer)))
        return hmac.digest(box.shared_key(), f"{sender}|{receiver}".encode(), hashlib.sha256)
