"""What a file must be, format by format. Each check reads an open file and raises NotAdmitted, or returns.

Every check is bounded in memory and time, whatever the file says about itself: the files come from people in a quarrel.
"""

FIELD = "file"
"""The field that refusals of a file's content name."""
