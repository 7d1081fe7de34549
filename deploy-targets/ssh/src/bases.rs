//! What releases hold, as hosts told: a release's name stands for its content, so that one host's word does for all of them. It is a
//! hint: every file is proven on the host that takes it over.

use crate::seen::{Base, Seen};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many are kept: hosts of one service commonly run one release, and two in the middle of a deployment.
const MOST: usize = 4;

/// The listings of releases that run.
#[derive(Debug, Default)]
pub(crate) struct Bases {
    /// A deployment claims its places, and none of them has told one yet.
    needed: AtomicBool,
    asked: AtomicBool,
    known: Mutex<BTreeMap<String, Arc<Base>>>,
}

impl Bases {
    /// One is going to be needed: a deployment claims its places. It is asked for at one of them.
    pub(crate) fn need(&self) {
        if !self.asked.swap(true, Ordering::Relaxed) {
            self.needed.store(true, Ordering::Relaxed);
        }
    }

    /// The release whose listing the look that is about to begin should bring along: once what runs, then none.
    pub(crate) fn wanted(&self) -> &'static str {
        if self.needed.swap(false, Ordering::Relaxed) {
            "current"
        } else {
            ""
        }
    }

    /// Keeps what a look brought along.
    pub(crate) fn learn(&self, seen: &Seen) {
        let Some(base) = &seen.base else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(base.id.clone(), Arc::clone(base));
    }

    /// The one of that name.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Base>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).cloned()
    }
}
