"""Calls of functions, made side by side; each result is kept in a file when it is finished."""
