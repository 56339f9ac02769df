//! Which addresses an allowed host may resolve to. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Why an address must not be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind}")]
pub struct Refused {
    /// The address.
    pub address: IpAddr,
    /// What it is, for example `a private address`.
    pub kind: &'static str,
}

/// Checks an address: public ones may be dialled, others only inside a named internal range.
///
/// # Errors
/// [`Refused`] saying what it is.
pub fn check(address: IpAddr, internal_ranges: &[IpNet]) -> Result<(), Refused> {
    let plain = unwrap(address);
    let named = internal_ranges
        .iter()
        .any(|range| range.contains(&address) || range.contains(&plain));
    match kind(plain) {
        Some(kind) if !named => Err(Refused { address, kind }),
        _ => Ok(()),
    }
}

/// Returns the IPv4 address inside an IPv6 one, where that is what would be reached.
fn unwrap(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let segments = v6.segments();
    let last = || {
        let [a, b] = segments[6].to_be_bytes();
        let [c, d] = segments[7].to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // ::ffff:0:0/96 mapped, ::ffff:0:0:0/96 translated (RFC 2765), ::/96 compatible,
        // 64:ff9b::/96 NAT64 (RFC 6052)
        [0, 0, 0, 0, 0, 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] => last(),
        [0, 0, 0, 0, 0, 0, ..] if v6 != Ipv6Addr::LOCALHOST && v6 != Ipv6Addr::UNSPECIFIED => {
            last()
        }
        // 2002::/16 6to4 (RFC 3056)
        [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => address,
    }
}

fn kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => kind_v4(v4),
        IpAddr::V6(v6) => kind_v6(v6),
    }
}

/// The special-purpose registry of RFC 6890, as it stands.
fn kind_v4(v4: Ipv4Addr) -> Option<&'static str> {
    let kind = match v4.octets() {
        [0, ..] => "an unspecified address",
        [127, ..] => "a loopback address",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [169, 254, ..] => "a link-local or metadata address",
        [100, 64..=127, ..] => "a shared (CGNAT) address",
        [192, 0, 0, _] => "a protocol assignment",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "a documentation address",
        [192, 88, 99, _] => "a 6to4 relay",
        [198, 18..=19, ..] => "a benchmarking address",
        [224..=239, ..] => "a multicast address",
        [240..=255, ..] => "a reserved address",
        _ => return None,
    };
    Some(kind)
}

fn kind_v6(v6: Ipv6Addr) -> Option<&'static str> {
    let kind = match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "an unspecified address",
        [0, 0, 0, 0, 0, 0, 0, 1] => "a loopback address",
        [0xfc00..=0xfdff, ..] => "a private address",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xfec0..=0xfeff, ..] => "a site-local address",
        [0xff00..=0xffff, ..] => "a multicast address",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => "a documentation address",
        [0x64, 0xff9b, 1, ..] => "a local NAT64 address",
        [0x2001, 0, ..] => "a Teredo address",
        [0x100, 0, 0, 0, ..] => "a discard address",
        _ => return None,
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_may_be_dialled() {
        for refused in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fd00:ec2::254",
            "fe80::1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "::10.0.0.1",
            "::ffff:0:10.0.0.1",
            "3fff::1",
            "192.88.99.1",
            "ff02::1",
            "192.0.2.1",
            "198.18.0.1",
        ] {
            assert!(check(refused.parse().unwrap(), &[]).is_err(), "{refused}");
        }
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
        ] {
            assert_eq!(check(public.parse().unwrap(), &[]), Ok(()), "{public}");
        }
    }

    #[test]
    fn a_named_internal_range_may_be_dialled_and_nothing_beside_it() {
        let ranges = ["10.20.0.0/16".parse().unwrap()];
        assert_eq!(check("10.20.3.4".parse().unwrap(), &ranges), Ok(()));
        assert_eq!(check("::ffff:10.20.3.4".parse().unwrap(), &ranges), Ok(()));
        assert!(check("10.21.0.1".parse().unwrap(), &ranges).is_err());
        assert!(check("127.0.0.1".parse().unwrap(), &ranges).is_err());
    }
}
