"""What the two scripts share. Each folder is a room with one task; `leakage` needs none of them."""
