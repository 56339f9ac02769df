use super::*;
use crate::projections::usage::Usage;

fn checkpoint(code_version: u32) -> Checkpoint {
    Checkpoint {
        code_version,
        ..Feed::<Usage>::new().checkpoint()
    }
}

#[test]
fn snapshots_of_two_versions_stand_side_by_side() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::below(directory.path());
    let (old, new) = (Usage::CODE_VERSION - 1, Usage::CODE_VERSION);
    snapshots
        .write(&CompactRange::default(), &checkpoint(old))
        .unwrap();
    assert!(snapshots.read::<Usage>().is_none());
    let before = std::fs::read(snapshots.file(Usage::NAME, old)).unwrap();
    snapshots
        .write(&CompactRange::default(), &checkpoint(new))
        .unwrap();
    assert!(snapshots.read::<Usage>().is_some());
    assert_eq!(
        std::fs::read(snapshots.file(Usage::NAME, old)).unwrap(),
        before
    );
    let numbers = snapshots.found().unwrap().into_iter();
    let numbers: Vec<u32> = numbers.map(|found| found.code_version).collect();
    assert_eq!(numbers, [old, new]);
}

#[test]
fn a_damaged_snapshot_is_told_and_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::below(directory.path());
    let number = Usage::CODE_VERSION;
    snapshots
        .write(&CompactRange::default(), &checkpoint(number))
        .unwrap();
    let file = snapshots.file(Usage::NAME, number);
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert!(snapshots.read::<Usage>().is_none());
    assert_eq!(snapshots.found().unwrap()[0].position, None);
}
