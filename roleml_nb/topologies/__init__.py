"""Topologies: graphs over nodes, their mixing weights, and reports on them; no engine is needed."""
