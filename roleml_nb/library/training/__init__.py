"""Training on one node: models, optimizers, and the data they see."""
