-- Which of the mails that wait go first: the lowest. What concerns an account is 0, what a stranger asks for is 1.
ALTER TABLE mails ADD COLUMN place BIGINT NOT NULL DEFAULT 0;
