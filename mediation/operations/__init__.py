"""The verbs. Each takes a session whose transaction the caller owns, acts on a locked case, and never commits."""
