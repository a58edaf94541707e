"""Where the data of the two studies come from."""
