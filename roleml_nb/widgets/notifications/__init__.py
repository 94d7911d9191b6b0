"""Notifications: the run bar, progress bars, and cards in the corner of the page."""
