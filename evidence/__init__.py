"""Evidence: bytes in, facts out.

What a dispute stands on enters here once and is never changed: files are admitted by their content
(`admission`), chat logs are read into one normal form (`transcripts`), everything private is bound by salted
commitments (`commitments`, `leaves`), messages by a Merkle tree (`merkle`), the docket by a hash chain (`chain`),
its head by an Ed25519 signature (`sealing`), quotes by position (`quotes`), and bytes rest under a key that is
written once (`store`).

The package is a leaf. It knows neither the web nor the database, reads no clock and no environment: time is always a
parameter. Everything it refuses is an error of `errors`, with a code, the field at fault and a sentence for a person.
"""
