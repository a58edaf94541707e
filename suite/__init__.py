"""What the two scripts share, in rooms; `leakage` beside it stands alone."""
