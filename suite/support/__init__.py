"""What both studies need and neither is about: the command line's manners, and saving figures whole."""
