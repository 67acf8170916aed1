"""The dossier: a case in one sealed file, written once (`writing`) and verified by anyone (`verifying`).

docs/dossier.md is its format. What verifies needs no more than cryptography, joserfc, orjson and rfc8785.
"""
