//! What happens in a run, made up from a seed.

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// The producer writes so many lines, and they are accepted together.
    Accept(u64),
    /// So many lines are fetched and recorded.
    Fetch(u64),
    /// What was recorded is to last; so many lines are recorded while that is under way.
    Commit(u64),
    /// Somebody gives outputs that grow another name, where they have but one.
    Move,
    /// The outputs go on in other files.
    Switch,
    /// Somebody takes away the outputs that are finished.
    Take,
}

/// How the outputs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In one file each.
    One,
    /// In numbered files.
    Numbered,
    /// In numbered files that are compressed.
    Packed,
    /// In numbered files that only every other run compresses.
    Changing,
}

impl Layout {
    /// How this run of several keeps them.
    pub fn in_life(self, life: u64) -> Self {
        match self {
            Self::Changing if life.is_multiple_of(2) => Self::Numbered,
            Self::Changing => Self::Packed,
            other => other,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Workload {
    pub seed: u64,
    pub layout: Layout,
    pub acts: Vec<Act>,
}

impl Workload {
    /// A shorter one of the same seed is its beginning.
    pub fn new(seed: u64, length: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let layout = [Layout::One, Layout::Numbered, Layout::Packed, Layout::Changing][random.usize(..4)];
        let acts = (0..length).map(|_| act(&mut random)).collect();
        Self { seed, layout, acts }
    }

    /// Many records, in any order, and no commit.
    pub fn burst(seed: u64) -> Self {
        Self { seed, layout: Layout::One, acts: vec![Act::Accept(9), Act::Fetch(9)] }
    }
}

fn act(random: &mut fastrand::Rng) -> Act {
    match random.u8(..12) {
        0..3 => Act::Accept(random.u64(1..4)),
        3..6 => Act::Fetch(random.u64(1..4)),
        6..8 => Act::Commit(random.u64(..2)),
        8 => Act::Move,
        9..11 => Act::Switch,
        _ => Act::Take,
    }
}
