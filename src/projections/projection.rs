//! The contract of a projection, and the feed that runs one. It knows no particular projection.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::events::Recorded;
use crate::events::id::Position;

/// A pure fold over the log: the same events give the same value, byte for byte.
///
/// `apply` cannot fail and decides nothing; what it does not care about it passes over.
pub trait Projection: Default + Serialize + DeserializeOwned {
    /// Its name, under which checkpoints are kept.
    const NAME: &'static str;

    /// Number of its code: raised whenever `apply` or the value's shape changes, so that older
    /// checkpoints are not used and the value is rebuilt from the first event.
    const CODE_VERSION: u32;

    /// Takes one event into account.
    fn apply(&mut self, recorded: &Recorded);
}

/// A projection's value at a position, to start from instead of the first event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Checkpoint {
    /// The projection's name.
    pub name: String,
    /// The number of its code.
    pub code_version: u32,
    /// The last position taken into account.
    pub position: Position,
    /// The value as JSON.
    pub value: String,
}

/// A projection and how far it has read.
#[derive(Debug, Clone, Default)]
pub struct Feed<P> {
    view: P,
    position: Position,
}

impl<P: Projection> Feed<P> {
    /// Returns the value before the first event.
    pub fn new() -> Self {
        Self {
            view: P::default(),
            position: Position(0),
        }
    }

    /// Returns the value a checkpoint holds; nothing when it is of another projection or code
    /// version, or damaged: then start from the first event.
    pub fn restore(checkpoint: &Checkpoint) -> Option<Self> {
        if checkpoint.name != P::NAME || checkpoint.code_version != P::CODE_VERSION {
            return None;
        }
        let view = serde_json::from_str(&checkpoint.value).ok()?;
        Some(Self {
            view,
            position: checkpoint.position,
        })
    }

    /// Returns the value as a checkpoint.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            name: P::NAME.to_owned(),
            code_version: P::CODE_VERSION,
            position: self.position,
            value: serde_json::to_string(&self.view)
                .expect("projections hold text, numbers, lists and maps with text keys"),
        }
    }

    /// Takes the next event into account; one that was taken already changes nothing.
    ///
    /// # Panics
    /// When an event was left out: a gap would make every later value wrong.
    pub fn apply(&mut self, recorded: &Recorded) {
        if recorded.position <= self.position {
            return;
        }
        let expected = Position(self.position.0 + 1);
        assert_eq!(
            recorded.position,
            expected,
            "{} was fed with a gap",
            P::NAME
        );
        self.view.apply(recorded);
        self.position = recorded.position;
    }

    /// Returns the value.
    pub fn view(&self) -> &P {
        &self.view
    }

    /// Returns the last position taken into account.
    pub fn position(&self) -> Position {
        self.position
    }
}
