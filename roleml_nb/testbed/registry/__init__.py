"""The notebook's knowledge of a deployment: nodes, roles, relationships, and versions of code."""
