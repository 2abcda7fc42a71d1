"""What every attribution method stands on: the model seen as scores and gradients, nothing else."""
