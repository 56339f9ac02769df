//! The fuzz targets on the stable compiler: over the kept inputs of each, and seeded changes of them.
//! `make fuzz` looks further, with a nightly compiler.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fs;
use std::path::Path;

#[path = "../fuzz/targets.rs"]
mod targets;

/// Changed inputs for each target; a count, so that every machine does the same.
const CHANGES_MAX: usize = 3000;

/// Bytes that mean something to one parser or another.
const TELLING: &[u8] = b"\0\n\r\t \"'*?/\\.%:;,<>@=[]{}|&!-\xff\xc0\x80";

/// Dice with a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % sides.max(1)
    }

    /// Changes an input in a few places: a byte, a piece left out, a piece of another put in.
    fn change(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut changed = input.to_vec();
        for _ in 0..=self.roll(4) {
            let at = self.roll(changed.len() + 1);
            let end = (at + self.roll(16)).min(changed.len());
            let piece = match self.roll(4) {
                0 => vec![u8::try_from(self.roll(256)).unwrap()],
                1 => vec![TELLING[self.roll(TELLING.len())]; 1 + self.roll(3)],
                2 => {
                    let from = self.roll(other.len() + 1);
                    other[from..(from + self.roll(64)).min(other.len())].to_vec()
                }
                _ => vec![],
            };
            changed.splice(at..end, piece);
        }
        changed
    }
}

fn inputs(directory: &Path, inputs: &mut Vec<Vec<u8>>) {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            self::inputs(&path, inputs);
        } else {
            inputs.push(fs::read(path).unwrap());
        }
    }
}

#[test]
fn every_fuzz_target_takes_its_kept_inputs_and_changes_of_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, target) in targets::TARGETS {
        let mut kept = Vec::new();
        inputs(&root.join("fuzz/corpus").join(name), &mut kept);
        match name {
            "codec" => inputs(&root.join("tests/golden/events"), &mut kept),
            "mail" => inputs(&root.join("tests/golden/eml"), &mut kept),
            _ => {}
        }
        kept.iter().for_each(|input| target(input));
        let mut dice = Dice(0x5eed);
        for _ in 0..CHANGES_MAX {
            let (one, other) = (dice.roll(kept.len()), dice.roll(kept.len()));
            target(&dice.change(&kept[one], &kept[other]));
        }
    }
}

#[test]
fn the_kept_inputs_stay_small() {
    let mut kept = Vec::new();
    inputs(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus"),
        &mut kept,
    );
    let bytes: usize = kept.iter().map(Vec::len).sum();
    assert!(bytes < 200 * 1024, "{bytes} bytes");
}
