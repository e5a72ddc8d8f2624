//! As much of DER (X.690) as it takes to see what a private key is, and to write down an RSA key that came in numbers.
//! Nothing is decided by it but which parser gets the key, and what an operator is told.

/// What a PKCS#8 key says it is.
pub(super) enum Kind<'d> {
    /// With the PKCS#1 key inside.
    Rsa(&'d [u8]),
    P256,
    Ed25519,
    /// By its object identifier.
    Other(String),
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// [0] of SEC1.
const PARAMETERS: u8 = 0xa0;

/// 1.2.840.113549.1.1.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1.
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7.
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.101.112.
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// RFC 5958 §2: version, algorithm, key.
pub(super) fn kind(pkcs8: &[u8]) -> Option<Kind<'_>> {
    let (whole, _) = element(pkcs8, SEQUENCE)?;
    let (_, rest) = element(whole, INTEGER)?;
    let (algorithm, rest) = element(rest, SEQUENCE)?;
    let (key, _) = element(rest, OCTETS)?;
    let (name, parameters) = element(algorithm, OBJECT)?;
    let curve = || element(parameters, OBJECT).map(|(curve, _)| curve);
    Some(match name {
        RSA => Kind::Rsa(key),
        ED25519 => Kind::Ed25519,
        EC if curve() == Some(P256) => Kind::P256,
        EC => Kind::Other(curve().map_or_else(|| "a curve".to_owned(), dotted)),
        other => Kind::Other(dotted(other)),
    })
}

/// The curve that a SEC1 key names, if it is another one: RFC 5915 §3.
pub(super) fn other_curve(sec1: &[u8]) -> Option<String> {
    let (whole, _) = element(sec1, SEQUENCE)?;
    let (_, rest) = element(whole, INTEGER)?;
    let (_, rest) = element(rest, OCTETS)?;
    let (parameters, _) = element(rest, PARAMETERS)?;
    match element(parameters, OBJECT)? {
        (P256, _) => None,
        (other, _) => Some(dotted(other)),
    }
}

/// Bits of the modulus of a PKCS#1 key: version, modulus, and so on.
pub(super) fn rsa_bits(pkcs1: &[u8]) -> Option<usize> {
    let (whole, _) = element(pkcs1, SEQUENCE)?;
    let (_, rest) = element(whole, INTEGER)?;
    let (modulus, _) = element(rest, INTEGER)?;
    let from = modulus.iter().position(|byte| *byte != 0)?;
    let (_, digits) = modulus.split_at(from);
    let zeros = digits.first()?.leading_zeros() as usize;
    Some(digits.len() * 8 - zeros)
}

/// A PKCS#1 key of these numbers: version 0, then n, e, d, p, q, dp, dq, qi.
pub(super) fn rsa(numbers: &[&[u8]]) -> Vec<u8> {
    let mut inner = vec![INTEGER, 1, 0];
    for number in numbers {
        let from = number.iter().position(|byte| *byte != 0);
        let (_, digits) = number.split_at(from.unwrap_or(number.len()));
        // None of them is negative.
        let sign: &[u8] = match digits.first() {
            Some(first) if *first < 0x80 => &[],
            _ => &[0],
        };
        inner.extend(tagged(INTEGER, &[sign, digits].concat()));
    }
    tagged(SEQUENCE, &inner)
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let bytes = len.to_be_bytes();
    let from = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let (_, digits) = bytes.split_at(from);
    let head = match (u8::try_from(len), u8::try_from(digits.len())) {
        (Ok(short), _) if short < 0x80 => vec![tag, short],
        (_, Ok(count)) => [&[tag, 0x80 | count], digits].concat(),
        // A length of 256 bytes there is not.
        (_, Err(_)) => vec![tag, 0],
    };
    [head.as_slice(), content].concat()
}

/// The content of the element with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    if *found != tag {
        return None;
    }
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        short @ 0..=0x7f => (usize::from(*short), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let len = digits.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
            (len, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// As people write an object identifier.
fn dotted(bytes: &[u8]) -> String {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0_u64;
    for byte in bytes {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let mut text: Vec<String> = Vec::new();
    for (at, number) in numbers.into_iter().enumerate() {
        match at {
            0 => {
                let first = (number / 40).min(2);
                text.push(first.to_string());
                text.push((number - first * 40).to_string());
            }
            _ => text.push(number.to_string()),
        }
    }
    text.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_identifier_is_read_as_people_write_it() {
        for (bytes, text) in [
            (RSA, "1.2.840.113549.1.1.1"),
            (P256, "1.2.840.10045.3.1.7"),
            (ED25519, "1.3.101.112"),
            (&[], ""),
        ] {
            assert_eq!(dotted(bytes), text);
        }
    }

    #[test]
    fn a_length_is_written_in_as_few_bytes_as_it_takes() {
        for (len, head) in [
            (0, [2, 0].as_slice()),
            (127, &[2, 127]),
            (128, &[2, 0x81, 128]),
            (256, &[2, 0x82, 1, 0]),
        ] {
            let content = vec![7; len];
            let whole = tagged(INTEGER, &content);
            assert_eq!(whole, [head, &content].concat());
            assert_eq!(
                element(&whole, INTEGER),
                Some((content.as_slice(), [].as_slice()))
            );
            if len > 0 {
                assert_eq!(element(&whole[..whole.len() - 1], INTEGER), None);
            }
        }
    }
}
