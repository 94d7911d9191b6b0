"""Serialization: from values to frames and back."""
