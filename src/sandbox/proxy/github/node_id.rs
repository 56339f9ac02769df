//! GitHub's node ids, from which the repository that an object belongs to can be read: a prefix of
//! its kind, `_`, and base64 of a msgpack list whose second item is the repository's number. The form
//! is not documented; whatever does not read as it is refused. Pure.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Kinds of objects that belong to no repository: users, organisations, teams, bots, managed users.
const OWNED_BY_NONE: [&str; 5] = ["U", "O", "T", "BOT", "EMU"];

/// Where an object belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// To no repository.
    None,
    /// To the repository with this number.
    Repository(u64),
    /// That cannot be told.
    Unknown,
}

/// Returns where the object with this id belongs.
pub fn owner(id: &str) -> Owner {
    let Some((kind, rest)) = id.split_once('_') else {
        return Owner::Unknown;
    };
    let upper = kind.bytes().all(|byte| byte.is_ascii_uppercase());
    if !(1..=6).contains(&kind.len()) || !upper || rest.len() < 4 {
        return Owner::Unknown;
    }
    if OWNED_BY_NONE.contains(&kind) {
        return Owner::None;
    }
    let bytes = BASE64.decode(rest.trim_end_matches('=')).ok();
    let number = bytes.and_then(|bytes| second_of_list(&bytes));
    number.map_or(Owner::Unknown, Owner::Repository)
}

/// Reads the second item of a msgpack list of at least two, as a number.
fn second_of_list(bytes: &[u8]) -> Option<u64> {
    let (head, rest) = bytes.split_first()?;
    if !(0x92..=0x9f).contains(head) {
        return None;
    }
    let (_, rest) = number(rest)?;
    number(rest).map(|(number, _)| number)
}

/// Reads a msgpack number that is not negative.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first()?;
    let length = match head {
        0..=0x7f => return Some((u64::from(*head), rest)),
        0xcc | 0xd0 => 1,
        0xcd | 0xd1 => 2,
        0xce | 0xd2 => 4,
        0xcf | 0xd3 => 8,
        _ => return None,
    };
    let (digits, rest) = rest.split_at_checked(length)?;
    let is_signed = *head >= 0xd0;
    if is_signed && digits[0] >= 0x80 {
        return None;
    }
    let number = digits
        .iter()
        .fold(0, |sum, digit| sum << 8 | u64::from(*digit));
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(kind: &str, list: &[u8]) -> String {
        format!("{kind}_{}", BASE64.encode(list))
    }

    #[test]
    fn an_object_tells_its_repository() {
        // The repository octocat/Hello-World, as GitHub's documentation shows it.
        assert_eq!(owner("R_kgDOABPHjQ"), Owner::Repository(1_296_269));
        let list = [0x93, 0, 0xcd, 1, 2, 7];
        assert_eq!(owner(&id("PR", &list)), Owner::Repository(258));
        assert_eq!(owner("U_kgDOABPHjQ"), Owner::None);
    }

    #[test]
    fn what_does_not_read_is_unknown() {
        let unknown = [
            "MDEwOlJlcG9zaXRvcnkxMjk2MjY5".to_owned(),
            "R_".to_owned(),
            "r_kgDOABPHjQ".to_owned(),
            "TOOLONGG_kgDOABPHjQ".to_owned(),
            "R_kgDO!BPHjQ".to_owned(),
            id("R", &[0x91, 1, 2]),
            id("R", &[0x92, 0, 0xce, 1]),
            id("R", &[0x92, 0, 0xd2, 0xff, 0, 0, 1]),
            id("R", &[0x92, 0, 0xa1, b'a']),
        ];
        for id in unknown {
            assert_eq!(owner(&id), Owner::Unknown, "{id}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[A-Z]{0,7}_?[A-Za-z0-9_=-]{0,40}") {
            owner(&text);
        }
    }
}
