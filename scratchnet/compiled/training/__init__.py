"""What surrounds the layers in a training step: `augment`, `losses`, `optimizers`."""
