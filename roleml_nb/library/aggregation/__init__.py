"""Aggregation: one model out of many, and arithmetic of state dicts."""
