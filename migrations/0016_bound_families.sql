-- Refresh tokens of public clients that are bound to a certificate: RFC 8705 section 4.

-- Proof-of-possession binding, as JSON: RFC 7800; none for a client that authenticates.
ALTER TABLE families ADD COLUMN cnf TEXT;
