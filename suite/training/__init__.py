"""Training: images in, losses out. The only room that uses TensorFlow."""
