"""Images in, losses out."""
