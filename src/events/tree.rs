//! RFC 6962 leaf hashes and the compact range over stored records. It knows no store and no event.
//!
//! A compact range keeps the roots of the perfect subtrees that cover `size` leaves, largest first:
//! at most 64 hashes, from which the Merkle tree hash follows and to which a leaf can be added.

use sha2::{Digest as _, Sha256 as Hasher};

use crate::events::id::Sha256;

pub mod proof;

/// The compact range `[0, size)` of a growing Merkle tree (RFC 6962, section 2.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompactRange {
    size: u64,
    roots: Vec<Sha256>,
}

/// Returns the leaf hash of a record: SHA-256(0x00 ‖ bytes).
pub fn leaf_hash(bytes: &[u8]) -> Sha256 {
    Sha256(
        Hasher::new()
            .chain_update([0])
            .chain_update(bytes)
            .finalize()
            .into(),
    )
}

/// Returns the hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Sha256, right: &Sha256) -> Sha256 {
    let hasher = Hasher::new()
        .chain_update([1])
        .chain_update(left.0)
        .chain_update(right.0);
    Sha256(hasher.finalize().into())
}

impl CompactRange {
    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Sha256) {
        let mut root = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self
                .roots
                .pop()
                .expect("a set bit of the size has its subtree's root");
            root = node_hash(&left, &root);
        }
        self.roots.push(root);
        self.size += 1;
    }

    /// Returns the Merkle tree hash; SHA-256 of nothing for an empty tree.
    pub fn root(&self) -> Sha256 {
        let mut roots = self.roots.iter().rev();
        let Some(smallest) = roots.next() else {
            return Sha256::of(b"");
        };
        roots.fold(*smallest, |right, left| node_hash(left, &right))
    }

    /// Returns the stored form: size (u64 little-endian), then the roots.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_le_bytes().to_vec();
        for root in &self.roots {
            bytes.extend(root.0);
        }
        bytes
    }

    /// Reads the stored form; nothing when the number of roots does not fit the size.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk()?;
        let size = u64::from_le_bytes(*size);
        let (roots, tail) = rest.as_chunks::<32>();
        let fits = tail.is_empty() && roots.len() == size.count_ones() as usize;
        fits.then(|| Self {
            size,
            roots: roots.iter().map(|root| Sha256(*root)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The naive definition of RFC 6962, 2.1.
    fn merkle_tree_hash(leaves: &[Vec<u8>]) -> Sha256 {
        match leaves {
            [] => Sha256::of(b""),
            [leaf] => leaf_hash(leaf),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(split);
                node_hash(&merkle_tree_hash(left), &merkle_tree_hash(right))
            }
        }
    }

    /// The leaves of Certificate Transparency's published test vectors.
    pub(super) fn published_leaves() -> Vec<Vec<u8>> {
        [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ]
        .iter()
        .map(|leaf| hex::decode(leaf).expect("valid hexadecimal digits"))
        .collect()
    }

    #[test]
    fn the_root_matches_the_published_vectors() {
        let expected = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut range = CompactRange::default();
        for (leaf, expected) in published_leaves().iter().zip(expected) {
            range.push(leaf_hash(leaf));
            assert_eq!(
                range.root().to_string(),
                expected,
                "at size {}",
                range.size()
            );
        }
    }

    #[test]
    fn every_size_agrees_with_the_naive_definition_and_reads_back() {
        let leaves: Vec<Vec<u8>> = (0..130_u8).map(|n| vec![n; 3]).collect();
        let mut range = CompactRange::default();
        assert_eq!(range.root(), merkle_tree_hash(&[]));
        for size in 1..=leaves.len() {
            range.push(leaf_hash(&leaves[size - 1]));
            assert_eq!(range.root(), merkle_tree_hash(&leaves[..size]));
            assert_eq!(
                CompactRange::from_bytes(&range.to_bytes()),
                Some(range.clone())
            );
        }
    }

    #[test]
    fn stored_ranges_of_the_wrong_length_are_refused() {
        let mut range = CompactRange::default();
        range.push(leaf_hash(b"x"));
        let bytes = range.to_bytes();
        assert_eq!(CompactRange::from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(CompactRange::from_bytes(&bytes[..8]), None);
        assert_eq!(CompactRange::from_bytes(&[]), None);
    }
}
