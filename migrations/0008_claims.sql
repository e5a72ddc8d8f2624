-- Claims that requests ask for by name: OpenID Connect Core section 5.5.

-- What is to be told beyond the scope, as JSON; none for an approval that names no claim.
ALTER TABLE approvals ADD COLUMN claims TEXT;

-- JSON array of the claims that were allowed by name.
ALTER TABLE consents ADD COLUMN claims TEXT NOT NULL DEFAULT '[]';
