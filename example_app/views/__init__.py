"""What the application answers, a module for each topic."""
