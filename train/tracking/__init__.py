"""What MLflow is told, also when it is away."""
