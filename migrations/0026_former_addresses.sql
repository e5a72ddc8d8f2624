-- Addresses that accounts had until a moment ago: for some days, whoever reads the mail of one has the account back.
CREATE TABLE former_addresses (
    sub              TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    -- As the person wrote it, and as it is compared.
    email            TEXT NOT NULL,
    email_canonical  TEXT NOT NULL,
    -- Of the user from that change on: says which change came first, also within a second.
    epoch            BIGINT NOT NULL,
    left_at          BIGINT NOT NULL,
    PRIMARY KEY (sub, email_canonical)
);
CREATE INDEX former_addresses_by_address ON former_addresses (email_canonical, left_at);
CREATE INDEX former_addresses_by_end ON former_addresses (left_at);
