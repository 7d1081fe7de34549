//! Breadth first through every world of a configuration; the shortest run to a violation; and whether an end stays in reach.

use crate::actions::Action;
use crate::config::Config;
use crate::faults::Fault;
use crate::invariants::{Invariant, Violation};
use crate::world::World;
use deploy_core::machine::Outcome;
use deploy_core::machine::state::Stage;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// What a search found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) states: usize,
    /// Whether everything was seen.
    pub(crate) complete: bool,
    pub(crate) steps: usize,
    pub(crate) outcomes: BTreeSet<Outcome>,
    pub(crate) faults: BTreeSet<Fault>,
    pub(crate) works: BTreeSet<String>,
    pub(crate) violation: Option<(Violation, Vec<Action>)>,
}

/// Keys are hashes already.
#[derive(Default)]
pub(crate) struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().take(8) {
            self.0 = (self.0 << 8) | u64::from(*byte);
        }
    }
    fn write_u128(&mut self, key: u128) {
        self.0 = u64::try_from(key & u128::from(u64::MAX)).expect("masked");
    }
}

type Seen = HashMap<u128, u32, BuildHasherDefault<Taken>>;

/// Everything that can be reached, or the shortest run to the first violation.
pub(crate) fn search(config: &Config, limit: usize) -> Found {
    let start = World::new(config);
    let mut seen = Seen::default();
    let mut from: Vec<(u32, Option<Action>)> = vec![(0, None)];
    let mut helpful: Vec<(u32, u32)> = Vec::new();
    let mut ends: Vec<u32> = Vec::new();
    let mut found = Found {
        states: 0,
        complete: true,
        steps: 0,
        outcomes: BTreeSet::new(),
        faults: BTreeSet::new(),
        works: BTreeSet::new(),
        violation: None,
    };
    seen.insert(start.key(config), 0);
    let mut open = VecDeque::from([(0u32, start)]);
    while let Some((at, world)) = open.pop_front() {
        found
            .outcomes
            .extend(world.sides.iter().filter_map(|side| side.machine.ended()));
        if rests(&world) {
            ends.push(at);
        }
        for action in world.actions(config) {
            found.steps += 1;
            found.faults.extend(action.fault());
            if let Action::Perform(_, work, _) = action {
                let name = format!("{work:?}")
                    .split('(')
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                if !found.works.contains(&name) {
                    found.works.insert(name);
                }
            }
            match world.after(config, action) {
                Err(violation) => {
                    let mut run = run_to(&from, at);
                    run.push(action);
                    found.states = from.len();
                    found.violation = Some((violation, run));
                    return found;
                }
                Ok(None) => {}
                Ok(Some(next)) => {
                    let next_at = *seen.entry(next.key(config)).or_insert_with(|| {
                        let new = u32::try_from(from.len()).expect("bounded");
                        from.push((at, Some(action)));
                        open.push_back((new, next));
                        new
                    });
                    if action.helps() && next_at != at {
                        helpful.push((at, next_at));
                    }
                }
            }
        }
        if from.len() > limit {
            found.states = from.len();
            found.complete = false;
            return found;
        }
    }
    found.states = from.len();
    if let Some(stuck) = cannot_end(from.len(), &helpful, &ends) {
        let violation = Violation {
            invariant: Invariant::AnEndIsReachable,
            detail: "from here no end can be reached by what drivers, people and clocks do".to_owned(),
        };
        found.violation = Some((violation, run_to(&from, stuck)));
    }
    found
}

/// The first world, by the shortest run, of which this holds.
pub(crate) fn first(config: &Config, wanted: impl Fn(&World) -> bool) -> World {
    let start = World::new(config);
    let mut seen = BTreeSet::from([start.key(config)]);
    let mut open = VecDeque::from([start]);
    while let Some(world) = open.pop_front() {
        if wanted(&world) {
            return world;
        }
        for action in world.actions(config) {
            if let Ok(Some(next)) = world.after(config, action)
                && seen.insert(next.key(config))
            {
                open.push_back(next);
            }
        }
    }
    panic!("there is no such world in {:?}", config.name);
}

/// Over, or waiting for people.
fn rests(world: &World) -> bool {
    world.sides.iter().all(|side| {
        let state = side.machine.state();
        matches!(state.stage, Stage::Ended(_) | Stage::Waiting)
    })
}

fn run_to(from: &[(u32, Option<Action>)], mut at: u32) -> Vec<Action> {
    let mut run = Vec::new();
    while let (parent, Some(action)) = from[at as usize] {
        run.push(action);
        at = parent;
    }
    run.reverse();
    run
}

/// The first state from which no end can be reached.
pub(crate) fn cannot_end(states: usize, steps: &[(u32, u32)], ends: &[u32]) -> Option<u32> {
    let mut first = vec![0u32; states + 1];
    for (_, to) in steps {
        first[*to as usize + 1] += 1;
    }
    for at in 0..states {
        first[at + 1] += first[at];
    }
    let mut next = first.clone();
    let mut before = vec![0u32; steps.len()];
    for (at, to) in steps {
        let slot = &mut next[*to as usize];
        before[*slot as usize] = *at;
        *slot += 1;
    }
    let mut good = vec![false; states];
    let mut open = ends.to_vec();
    for end in ends {
        good[*end as usize] = true;
    }
    while let Some(at) = open.pop() {
        for earlier in &before[first[at as usize] as usize..first[at as usize + 1] as usize] {
            if !good[*earlier as usize] {
                good[*earlier as usize] = true;
                open.push(*earlier);
            }
        }
    }
    good.iter()
        .position(|good| !good)
        .map(|at| u32::try_from(at).expect("bounded"))
}
