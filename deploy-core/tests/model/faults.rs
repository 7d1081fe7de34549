//! What can go wrong, how often in one run, and what of it was ever reached.

/// A kind of fault. Each run may have a few of each kind, and a few in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Fault {
    /// An orchestrator is killed.
    Crash,
    /// It sleeps past its lease and wakes up later.
    Sleep,
    /// A request stays in the network and arrives whenever it likes, perhaps a second time.
    Linger,
    /// A request or an answer is lost: the outcome is unknown.
    Lose,
    /// An answer comes late, or twice.
    Delay,
    /// A step fails.
    Fail,
    /// An armed revert fires.
    Fire,
    /// Somebody changes what a slice runs, by hand.
    Hand,
    /// Health turns bad.
    Sicken,
    /// A place cannot be reached.
    Cut,
    /// Another store takes a place.
    Intrude,
    /// Somebody asks for something.
    Ask,
    /// An approval is withdrawn.
    Revoke,
}

pub(crate) const KINDS: usize = 13;

impl Fault {
    pub(crate) const ALL: [Self; KINDS] = [
        Self::Crash,
        Self::Sleep,
        Self::Linger,
        Self::Lose,
        Self::Delay,
        Self::Fail,
        Self::Fire,
        Self::Hand,
        Self::Sicken,
        Self::Cut,
        Self::Intrude,
        Self::Ask,
        Self::Revoke,
    ];
}

/// How often each kind may happen in one run, and how many in all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) each: [u8; KINDS],
    pub(crate) all: u8,
}

impl Budget {
    pub(crate) const fn none() -> Self {
        Self {
            each: [0; KINDS],
            all: 0,
        }
    }

    pub(crate) const fn of(all: u8) -> Self {
        Self {
            each: [0; KINDS],
            all,
        }
    }

    #[must_use]
    pub(crate) const fn with(mut self, fault: Fault, times: u8) -> Self {
        self.each[fault as usize] = times;
        self
    }
}

/// What a run has used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Spent {
    each: [u8; KINDS],
    all: u8,
}

impl Spent {
    pub(crate) fn may(&self, fault: Fault, budget: &Budget) -> bool {
        self.all < budget.all && self.each[fault as usize] < budget.each[fault as usize]
    }

    pub(crate) fn spend(&mut self, fault: Fault) {
        self.each[fault as usize] += 1;
        self.all += 1;
    }

    /// What of it still matters: how much is left of each kind.
    pub(crate) fn left(&self, budget: &Budget) -> [u8; KINDS] {
        std::array::from_fn(|kind| {
            budget.each[kind]
                .saturating_sub(self.each[kind])
                .min(budget.all - self.all)
        })
    }
}
