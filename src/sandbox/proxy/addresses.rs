//! Which addresses an allowed host may resolve to. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::sandbox::proxy::wire::InternalRange;

/// Why an address must not be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind}")]
pub struct Refused {
    /// The address.
    pub address: IpAddr,
    /// What it is, for example `a private address`.
    pub kind: &'static str,
}

/// Addresses at which clouds hand out credentials to whoever asks: AWS (instance, containers, IPv6),
/// Alibaba, Azure's wire server, Oracle, Google over IPv6. Google, Azure and others share the first.
const METADATA: [IpAddr; 8] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Checks an address that `host` resolved to: public ones may be dialled, others only inside a range
/// named for that host. A range opens a metadata address only if it is that address alone.
///
/// # Errors
/// [`Refused`] saying what it is.
pub fn check(host: &str, address: IpAddr, ranges: &[InternalRange]) -> Result<(), Refused> {
    let plain = unwrap(address);
    let metadata = METADATA.contains(&plain);
    let kind = if metadata {
        Some("a cloud's metadata address")
    } else {
        kind(plain)
    };
    let named = |range: &InternalRange| {
        let inside = range.range.contains(&address) || range.range.contains(&plain);
        let narrow = range.range.prefix_len() == range.range.max_prefix_len();
        inside && (narrow || !metadata) && range.is_for(host)
    };
    match kind {
        Some(kind) if !ranges.iter().any(named) => Err(Refused { address, kind }),
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
        [0x2001, 0..=0x1ff, ..] => "a protocol assignment",
        [0x100, 0, 0, 0, ..] => "a discard address",
        // Nothing else is handed out as global unicast (RFC 4291, 2.4; IANA's registry).
        [0x2000..=0x3fff, ..] => return None,
        _ => "no global address",
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(address: &str, ranges: &[InternalRange]) -> Result<(), &'static str> {
        let checked = check("a.test", address.parse().unwrap(), ranges);
        checked.map_err(|refused| refused.kind)
    }

    fn range(range: &str, hosts: &[&str]) -> InternalRange {
        InternalRange {
            range: range.parse().unwrap(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        }
    }

    /// First and last address of each block that is refused, and what it is.
    const REFUSED: [(&str, &str, &str); 37] = [
        ("0.0.0.0", "0.255.255.255", "an unspecified address"),
        ("10.0.0.0", "10.255.255.255", "a private address"),
        ("100.64.0.0", "100.127.255.255", "a shared (CGNAT) address"),
        ("127.0.0.0", "127.255.255.255", "a loopback address"),
        (
            "169.254.0.0",
            "169.254.255.255",
            "a link-local or metadata address",
        ),
        ("172.16.0.0", "172.31.255.255", "a private address"),
        ("192.0.0.0", "192.0.0.255", "a protocol assignment"),
        ("192.0.2.0", "192.0.2.255", "a documentation address"),
        ("192.88.99.0", "192.88.99.255", "a 6to4 relay"),
        ("192.168.0.0", "192.168.255.255", "a private address"),
        ("198.18.0.0", "198.19.255.255", "a benchmarking address"),
        ("198.51.100.0", "198.51.100.255", "a documentation address"),
        ("203.0.113.0", "203.0.113.255", "a documentation address"),
        ("224.0.0.0", "239.255.255.255", "a multicast address"),
        ("240.0.0.0", "255.255.255.255", "a reserved address"),
        ("::", "::", "an unspecified address"),
        ("::1", "::1", "a loopback address"),
        ("::7f00:1", "::127.255.255.255", "a loopback address"),
        (
            "::ffff:10.0.0.0",
            "::ffff:10.255.255.255",
            "a private address",
        ),
        (
            "::ffff:0:127.0.0.1",
            "::ffff:0:127.0.0.2",
            "a loopback address",
        ),
        (
            "64:ff9b::127.0.0.1",
            "64:ff9b::127.9.9.9",
            "a loopback address",
        ),
        (
            "64:ff9b:1::",
            "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
            "a local NAT64 address",
        ),
        ("100::", "100::ffff:ffff:ffff:ffff", "a discard address"),
        (
            "2001::",
            "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
            "a Teredo address",
        ),
        (
            "2001:2::",
            "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
            "a protocol assignment",
        ),
        (
            "2001:db8::",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "a documentation address",
        ),
        ("2002:a00::", "2002:aff:ffff::1", "a private address"),
        (
            "2002:7f00:1::",
            "2002:7f00:1:ffff:ffff:ffff:ffff:ffff",
            "a loopback address",
        ),
        (
            "3fff::",
            "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
            "a documentation address",
        ),
        (
            "4000::",
            "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "no global address",
        ),
        (
            "5f00::",
            "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "no global address",
        ),
        (
            "fc00::",
            "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "a private address",
        ),
        (
            "fe80::",
            "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "a link-local address",
        ),
        (
            "fec0::",
            "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "a site-local address",
        ),
        (
            "ff00::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "a multicast address",
        ),
        ("64:ff9b:2::", "64:ffff::", "no global address"),
        ("::a00:1", "::10.255.255.255", "a private address"),
    ];

    #[test]
    fn whole_blocks_are_refused_from_their_first_address_to_their_last() {
        for (first, last, kind) in REFUSED {
            assert_eq!(judge(first, &[]), Err(kind), "{first}");
            assert_eq!(judge(last, &[]), Err(kind), "{last}");
        }
    }

    #[test]
    fn metadata_addresses_are_refused_in_every_form() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "::ffff:168.63.129.16",
            "2002:a9fe:a9fe::",
        ] {
            let metadata = Err("a cloud's metadata address");
            assert_eq!(judge(address, &[]), metadata, "{address}");
            let wide = [range("0.0.0.0/0", &[]), range("::/0", &[])];
            assert_eq!(judge(address, &wide), metadata, "{address}");
        }
        let alone = [range("169.254.169.254/32", &["a.test"])];
        assert_eq!(judge("169.254.169.254", &alone), Ok(()));
    }

    #[test]
    fn addresses_beside_the_refused_blocks_may_be_dialled() {
        for public in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::1",
            "2606:4700::1111",
            "2003::",
            "64:ff9b::1.1.1.1",
            "::ffff:1.1.1.1",
            "2002:101:101::",
        ] {
            assert_eq!(judge(public, &[]), Ok(()), "{public}");
        }
    }

    #[test]
    fn a_named_internal_range_may_be_dialled_and_nothing_beside_it() {
        let ranges = [range("10.20.0.0/16", &[])];
        assert_eq!(judge("10.20.0.0", &ranges), Ok(()));
        assert_eq!(judge("10.20.255.255", &ranges), Ok(()));
        assert_eq!(judge("::ffff:10.20.3.4", &ranges), Ok(()));
        for beside in ["10.19.255.255", "10.21.0.0", "127.0.0.1"] {
            assert!(judge(beside, &ranges).is_err(), "{beside}");
        }
    }

    #[test]
    fn a_range_named_for_some_hosts_is_closed_to_others() {
        let open = |hosts: &[&str]| judge("10.20.3.4", &[range("10.20.0.0/16", hosts)]);
        assert_eq!(open(&["a.test"]), Ok(()));
        assert_eq!(open(&["b.test", "*.TEST"]), Ok(()));
        assert_eq!(open(&["b.test"]), Err("a private address"));
    }
}
