//! The lines of the feed, and the signature that closes an answer. A line names things by ids that mean nothing to
//! anybody else: no person, no scope, no reason.

use bytes::Bytes;
use events::revocations::{Kind, Record, State};
use keyring::Keyring;
use protocol::{Error, SigningAlg, Timestamp};
use serde::Serialize;

/// No other token of ours can stand in for it, nor it for another.
const TYP: &str = "revocations+jwt";

/// One record. Of the four names exactly one is there.
#[derive(Serialize)]
struct Line<'a> {
    n: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<i64>,
    until: Timestamp,
}

/// The JSON of a record, without an end of line.
pub(super) fn record(record: &Record) -> Bytes {
    let named = |kind: Kind| (record.kind == kind).then_some(record.subject.as_str());
    json(&Line {
        n: record.sequence,
        approval: named(Kind::Approval),
        client: named(Kind::Client),
        token: named(Kind::Token),
        key: named(Kind::Key),
        generation: record.generation,
        until: record.until,
    })
}

#[derive(Serialize)]
struct First<'a> {
    feed: &'a str,
    issuer: &'a str,
    after: i64,
    sequence: i64,
}

/// What an answer is about.
pub(super) fn first(issuer: &str, after: i64, state: &State) -> Bytes {
    json(&First {
        feed: &state.feed,
        issuer,
        after,
        sequence: state.sequence,
    })
}

/// What the signature is over.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: Timestamp,
    feed: &'a str,
    after: i64,
    sequence: i64,
    records: u64,
    /// Of every byte before the last line.
    digest: &'a str,
}

#[derive(Serialize)]
struct Last<'a> {
    records: u64,
    jws: &'a str,
}

/// The last line of an answer with this content.
pub(super) async fn last(
    issuer: &str,
    (after, state): (i64, &State),
    (records, digest): (u64, &str),
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Bytes, Error> {
    let claims = Claims {
        iss: issuer,
        iat: now,
        feed: &state.feed,
        after,
        sequence: state.sequence,
        records,
        digest,
    };
    let seat = keyring.seat(&[SigningAlg::Es256])?;
    let jws = keyring
        .sign(SigningAlg::Es256, (TYP, &claims), &seat, now)
        .await?;
    Ok(json(&Last { records, jws: &jws }))
}

/// `id` of an event: where to go on.
pub(super) fn event_id(feed: &str, sequence: i64) -> String {
    format!("{feed}.{sequence}")
}

#[derive(Serialize)]
struct Sequence {
    sequence: i64,
}

/// That the stream is alive, and how far it has come.
pub(super) fn beat(sequence: i64) -> Bytes {
    json(&Sequence { sequence })
}

#[derive(Serialize)]
struct Feed<'a> {
    feed: &'a str,
}

/// That another history has begun.
pub(super) fn reset(feed: &str) -> Bytes {
    json(&Feed { feed })
}

fn json(line: &impl Serialize) -> Bytes {
    // Texts and numbers alone: nothing that JSON could not hold.
    serde_json::to_vec(line).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_by_its_kind() {
        let line = |kind, subject: &str, generation| {
            let record = super::record(&Record {
                sequence: 17,
                kind,
                subject: subject.to_owned(),
                generation,
                until: Timestamp::from_secs(1_790_000_000),
            });
            String::from_utf8(record.to_vec()).unwrap()
        };
        assert_eq!(
            line(Kind::Approval, "a", None),
            r#"{"n":17,"approval":"a","until":1790000000}"#
        );
        assert_eq!(
            line(Kind::Client, "\"c\n", Some(3)),
            r#"{"n":17,"client":"\"c\n","generation":3,"until":1790000000}"#
        );
        assert_eq!(
            line(Kind::Token, "t", None),
            r#"{"n":17,"token":"t","until":1790000000}"#
        );
        assert_eq!(
            line(Kind::Key, "k", None),
            r#"{"n":17,"key":"k","until":1790000000}"#
        );
    }
}
