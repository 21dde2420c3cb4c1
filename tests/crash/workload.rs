//! What happens in a run, made up from a seed.

/// One thing that a run does.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// The producer writes so many lines, and they are accepted together.
    Accept(u64),
    /// So many lines are fetched and recorded.
    Fetch(u64),
    /// What was recorded is to last; so many lines are recorded while that is under way.
    Commit(u64),
    /// The outputs go on in other files.
    Switch,
    /// Somebody takes away the outputs that are finished.
    Take,
}

#[derive(Clone, Debug)]
pub struct Workload {
    pub seed: u64,
    pub acts: Vec<Act>,
}

impl Workload {
    /// A shorter one of the same seed is its beginning.
    pub fn new(seed: u64, length: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let acts = (0..length).map(|_| act(&mut random)).collect();
        Self { seed, acts }
    }
}

fn act(random: &mut fastrand::Rng) -> Act {
    match random.u8(..10) {
        0..3 => Act::Accept(random.u64(1..4)),
        3..6 => Act::Fetch(random.u64(1..4)),
        6..8 => Act::Commit(random.u64(..2)),
        8 => Act::Switch,
        _ => Act::Take,
    }
}
