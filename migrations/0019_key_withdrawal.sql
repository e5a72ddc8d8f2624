-- Keys that leave at once, and master keys that follow each other.

-- A key that somebody else may know. Its row stays, without the private half: it is never published again, and nothing
-- that it signed is believed.
ALTER TABLE signing_keys ADD COLUMN withdrawn_at BIGINT;
ALTER TABLE decryption_keys ADD COLUMN withdrawn_at BIGINT;

-- From then on nothing is sealed under this master key. Its row stays, so that whoever starts with it is told why not.
ALTER TABLE master_keys ADD COLUMN retired_at BIGINT;
