"""Small helpers for several rooms: the command line, folders for new files, figures in notebooks."""
