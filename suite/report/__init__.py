"""Findings in, tables and figures out."""
