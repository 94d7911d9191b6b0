"""Links: how bytes get from one host to another, and who may connect."""
