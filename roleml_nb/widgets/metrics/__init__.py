"""Metrics: curves that grow while cells run."""
