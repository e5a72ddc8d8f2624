//! What an access token costs to sign and to verify, by algorithm: `cargo bench -p countersign-jose`. One element is
//! one token, so the throughput is operations per second of one core.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made has to fail")]

use std::hint::black_box;

use countersign_jose::SigningKey;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jws::{KeySet, Meant, Unverified, VerifyingKey};
use protocol::access_token::{Audience, Claims, TYP};
use protocol::{Scope, SigningAlg, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "https://api.example.com/";

fn claims() -> Claims {
    Claims {
        iss: ISSUER.to_owned(),
        sub: "3q2-7wAAAAAAAAAAAAAAAA".into(),
        aud: Audience::One(AUDIENCE.to_owned()),
        exp: Timestamp::from_secs(NOW.as_secs() + 900),
        iat: NOW,
        jti: "AAAAAAAAAAAAAAAAAAAAAA".into(),
        client_id: "BBBBBBBBBBBBBBBBBBBBBB".into(),
        scope: Scope::parse("read write").unwrap(),
        approval: "CCCCCCCCCCCCCCCCCCCCCC".into(),
        client_generation: 1,
        auth_time: Some(NOW),
        acr: Some("pwd".to_owned()),
        roles: Vec::new(),
        cnf: None,
    }
}

fn sign(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sign");
    group.throughput(Throughput::Elements(1));
    let claims = claims();
    for alg in SigningAlg::ALL {
        let key = SigningKey::generate(*alg).unwrap();
        group.bench_function(BenchmarkId::from_parameter(alg), |bencher| {
            bencher.iter(|| key.sign(TYP, black_box(&claims)).unwrap());
        });
    }
}

fn verify(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify");
    group.throughput(Throughput::Elements(1));
    for alg in SigningAlg::ALL {
        let key = SigningKey::generate(*alg).unwrap();
        let keys: KeySet = [VerifyingKey::from_jwk(&key.public_jwk(), None).unwrap()]
            .into_iter()
            .collect();
        let token = key.sign(TYP, &claims()).unwrap();
        group.bench_function(BenchmarkId::from_parameter(alg), |bencher| {
            bencher.iter(|| {
                let token = Unverified::parse(black_box(&token)).unwrap();
                jws::access_token::verify(&token, &keys, ISSUER, Meant::For(AUDIENCE), NOW).unwrap()
            });
        });
    }
}

criterion_group!(tokens, sign, verify);
criterion_main!(tokens);
