-- Pairwise names of people: OpenID Connect Core section 8.1.

-- What the client calls the user; none where it is the user's own sub. Written once: an approval names its user alike
-- for as long as it lives.
ALTER TABLE approvals ADD COLUMN known_as TEXT;
