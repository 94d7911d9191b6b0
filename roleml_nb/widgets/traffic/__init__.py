"""Traffic: messages as they travel."""
