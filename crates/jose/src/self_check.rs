//! A second opinion on every RSA key before it signs anything: RFC 8017 §8.2, by an implementation that shares
//! nothing with the one that signs.
//!
//! A key broken in storage or by its generator would otherwise show when every relying party refuses our tokens,
//! or leak its factors through one faulty signature. Only public keys enter the rsa crate: RUSTSEC-2023-0071.

use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::sha2::{Digest as _, Sha256};
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, RsaPublicKey};

use crate::Error;
use crate::signer::sign_rsa;

const PROBE: &[u8] = b"self-check of a signing key";

/// Modulus and exponent of the public key (PKCS#1 DER), when it verifies what the private one signs.
pub(crate) fn public_numbers(pair: &RsaKeyPair, public: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let public =
        RsaPublicKey::from_pkcs1_der(public).map_err(|_| Error::SelfCheck("its public key is malformed"))?;
    let signature =
        sign_rsa(pair, &RSA_PKCS1_SHA256, PROBE).map_err(|_| Error::SelfCheck("it does not sign"))?;
    public
        .verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(PROBE), &signature)
        .map_err(|_| Error::SelfCheck("its signature does not verify"))?;
    Ok((public.n().to_bytes_be(), public.e().to_bytes_be()))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::KeyPair as _;

    use super::*;

    #[test]
    fn a_key_that_does_not_belong_to_its_public_half_is_caught() {
        let [own, other] = [0; 2].map(|_| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        assert!(public_numbers(&own, own.public_key().as_ref()).is_ok());

        let error = public_numbers(&own, other.public_key().as_ref()).unwrap_err();
        assert!(matches!(error, Error::SelfCheck("its signature does not verify")));
        let error = public_numbers(&own, b"no DER").unwrap_err();
        assert!(matches!(error, Error::SelfCheck("its public key is malformed")));
    }
}
