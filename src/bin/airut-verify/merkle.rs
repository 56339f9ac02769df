//! Merkle tree hashes and the two ways to check a proof (RFC 6962, section 2.1; the checking is that
//! of RFC 9162, sections 2.1.3.2 and 2.1.4.2).

use sha2::{Digest as _, Sha256};

/// A hash of the tree.
pub(crate) type Hash = [u8; 32];

/// Returns the hash of a record.
pub(crate) fn leaf(record: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(record)
        .finalize()
        .into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let both = Sha256::new().chain_update([1]).chain_update(left);
    both.chain_update(right).finalize().into()
}

/// Returns the root that a path leads to from the leaf at `index` in a tree of `size` leaves;
/// nothing when the path does not fit.
pub(crate) fn root_from_inclusion(
    leaf: Hash,
    index: u64,
    size: u64,
    path: &[Hash],
) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut at, mut last, mut root) = (index, size - 1, leaf);
    for hash in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            root = node(hash, &root);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            root = node(&root, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}

/// Tells whether the tree of `old` leaves and root `old_root` is the beginning of the other.
pub(crate) fn is_consistent(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    path: &[Hash],
) -> bool {
    if old == 0 || old > new {
        return false;
    }
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    // When the old tree is a whole subtree of the new one, its root is not in the path.
    let (mut first, path) = match path.split_first() {
        _ if old.is_power_of_two() => (*old_root, path),
        Some((first, rest)) => (*first, rest),
        None => return false,
    };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let mut second = first;
    for hash in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            (first, second) = (node(hash, &first), node(hash, &second));
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            second = node(&second, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && first == *old_root && second == *new_root
}
