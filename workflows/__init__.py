"""The rules of procedure: who may move a dispute where, and why not.

A leaf: it knows neither the web nor the database. The time is always passed in.
"""
