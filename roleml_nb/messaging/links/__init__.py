"""Links: the ways of bytes from one host to another, and the keys that admit a host."""
