-- SHA-256 of the cookie of the flows in which the account was last signed in to there: who sends a form twice has no other
-- mark yet, and an identifier of the flow can be in two browsers.
ALTER TABLE devices ADD COLUMN met_in TEXT;
