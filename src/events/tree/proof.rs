//! Proofs over the leaves of a log (RFC 6962, sections 2.1.1 and 2.1.2): that a record is in a tree,
//! and that one tree is the beginning of another. It makes them; whoever checks them does so with a
//! program of their own (`airut-verify`).

use crate::events::id::Sha256;
use crate::events::tree::CompactRange;

/// Returns the root over all leaves.
pub fn root(leaves: &[Sha256]) -> Sha256 {
    let mut range = CompactRange::default();
    leaves.iter().for_each(|leaf| range.push(*leaf));
    range.root()
}

/// Returns the hashes that lead from the leaf at `index` (from 0) to the root over all leaves,
/// beginning with the leaf's neighbour; nothing when there is no such leaf.
pub fn inclusion(leaves: &[Sha256], index: usize) -> Option<Vec<Sha256>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut leaves, mut index) = (leaves, index);
    let mut path = Vec::new();
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if index < left.len() {
            path.push(root(right));
            leaves = left;
        } else {
            path.push(root(left));
            index -= left.len();
            leaves = right;
        }
    }
    path.reverse();
    Some(path)
}

/// Returns the hashes that show that the tree over the first `old` leaves is the beginning of the
/// tree over all of them; nothing when there are fewer, and none when `old` is 0 or all of them.
pub fn consistency(leaves: &[Sha256], old: usize) -> Option<Vec<Sha256>> {
    if old > leaves.len() {
        return None;
    }
    if old == 0 {
        return Some(Vec::new());
    }
    let (mut leaves, mut old) = (leaves, old);
    let mut path = Vec::new();
    // Whether the old tree's root itself is what remains; the reader of the proof has it.
    let mut whole = true;
    while old != leaves.len() {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if old <= left.len() {
            path.push(root(right));
            leaves = left;
        } else {
            path.push(root(left));
            old -= left.len();
            leaves = right;
            whole = false;
        }
    }
    if !whole {
        path.push(root(leaves));
    }
    path.reverse();
    Some(path)
}

/// Returns the largest power of two below a number of leaves, which is at least two.
fn split(leaves: usize) -> usize {
    leaves.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::tree::tests::published_leaves;
    use crate::events::tree::{leaf_hash, node_hash};

    /// Returns the root that an inclusion proof leads to.
    fn root_of(leaf: Sha256, index: usize, size: usize, path: &[Sha256]) -> Sha256 {
        let Some((last, below)) = path.split_last() else {
            return leaf;
        };
        let left = split(size);
        if index < left {
            node_hash(&root_of(leaf, index, left, below), last)
        } else {
            node_hash(last, &root_of(leaf, index - left, size - left, below))
        }
    }

    fn leaves(count: u32) -> Vec<Sha256> {
        (0..count)
            .map(|number| leaf_hash(&number.to_le_bytes()))
            .collect()
    }

    fn published() -> Vec<Sha256> {
        let leaves = published_leaves();
        leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
    }

    fn shown(path: Option<Vec<Sha256>>) -> Vec<String> {
        path.unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn proofs_match_the_published_vectors() {
        let leaves = published();
        assert_eq!(
            shown(inclusion(&leaves, 0)),
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        );
        assert_eq!(
            shown(inclusion(&leaves[..3], 2)),
            ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]
        );
        assert_eq!(
            shown(consistency(&leaves, 6)),
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
        assert_eq!(shown(consistency(&leaves, 8)), [""; 0]);
    }

    #[test]
    fn every_leaf_of_every_size_leads_to_the_root() {
        for size in 1..70 {
            let leaves = leaves(size);
            for (index, leaf) in leaves.iter().enumerate() {
                let path = inclusion(&leaves, index).unwrap();
                let led_to = root_of(*leaf, index, leaves.len(), &path);
                assert_eq!(led_to, root(&leaves), "{index} of {size}");
            }
            assert_eq!(inclusion(&leaves, leaves.len()), None);
            assert_eq!(consistency(&leaves, leaves.len() + 1), None);
        }
    }
}
