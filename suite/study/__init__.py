"""Statistics of finished trainings: each model described, two models compared, all as tables."""
