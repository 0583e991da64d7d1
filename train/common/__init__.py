"""What every room uses: errors, files, signals, the console, the environment."""
