"""The user's own modules: their texts in the notebook, and their versions on engines."""
