"""What can be done in the playground: each function changes the model and emits what happened."""
