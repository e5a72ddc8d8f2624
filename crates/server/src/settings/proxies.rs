//! The peers whose forwarding headers count: C098. By default none does.

use std::net::IpAddr;

/// Addresses and prefixes of the proxies in front of us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Prefix>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Prefix {
    network: IpAddr,
    bits: u32,
}

impl TrustedProxies {
    /// A comma-separated list of addresses and prefixes, or `none`.
    ///
    /// # Errors
    /// What is wrong with the first bad entry.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::default());
        }
        text.split(',')
            .map(|entry| Prefix::parse(entry.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|prefix| prefix.contains(address))
    }
}

impl Prefix {
    fn parse(text: &str) -> Result<Self, String> {
        let wanted = || format!("{text:?} must be an IP address or a prefix like 10.0.0.0/8");
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(address, bits)| (address, Some(bits)));
        let network: IpAddr = address.parse().map_err(|_| wanted())?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().map_err(|_| wanted())?,
            Some(_) => return Err(wanted()),
        };
        if bits > width {
            return Err(wanted());
        }
        if bits == 0 {
            return Err(format!(
                "{text:?} would let everybody say who they are; name the proxies"
            ));
        }
        if network.to_canonical() != network {
            return Err(format!("{text:?} must be written as an IPv4 address or prefix"));
        }
        let prefix = Self { network, bits };
        if masked(network, bits) != as_bits(network) {
            return Err(format!("{text:?} has bits set beyond its prefix"));
        }
        Ok(prefix)
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.network.is_ipv4() == address.is_ipv4() && masked(address, self.bits) == as_bits(self.network)
    }
}

/// The address as a number, its first bit the highest.
fn as_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn masked(address: IpAddr, bits: u32) -> u128 {
    as_bits(address) & u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_holds_its_own_family_only() {
        let proxies = TrustedProxies::parse("10.1.0.0/16, 192.0.2.7,2001:db8::/32,::1").unwrap();
        for (address, trusted) in [
            ("10.1.0.0", true),
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("::1", true),
            ("127.0.0.1", false),
            ("::ffff:10.1.2.3", true),
        ] {
            assert_eq!(proxies.contains(address.parse().unwrap()), trusted, "{address}");
        }
        // 2001:db8::/32 and 32.1.13.184 have the same first bits.
        assert!(!proxies.contains("32.1.13.184".parse().unwrap()));
        assert!(!TrustedProxies::default().contains("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn entries_that_mean_something_else_than_they_say_are_refused() {
        for text in [
            "",
            "proxy.internal",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "10.0.0.0/8/8",
            "::/129",
            "0.0.0.0/0",
            "::/0",
            "::ffff:10.0.0.1",
            "10.0.0.1,",
            "none,10.0.0.1",
            "*",
        ] {
            assert!(TrustedProxies::parse(text).is_err(), "{text:?}");
        }
    }
}
