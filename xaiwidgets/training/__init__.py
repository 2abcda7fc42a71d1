"""Which training examples made the model say so: an index of per-example gradients, and questions to it."""
