"""Models leave the house: the bundle, its MLflow flavor."""
