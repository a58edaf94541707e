"""Computed results in; words, tables and figures out."""
