"""What the other rooms need and none is about: the command line, folders for files, figures in notebooks."""
