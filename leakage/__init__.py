"""Losses in, findings out, for anybody's model."""
