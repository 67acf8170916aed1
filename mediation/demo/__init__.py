"""A demonstration: cases to look at in an empty home, and one quarrel played from the claim to the refund over HTTP."""
