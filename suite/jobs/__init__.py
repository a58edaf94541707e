"""Calls made side by side, and kept when they are finished."""
