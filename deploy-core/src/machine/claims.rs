//! From whom a place may be taken. Within a store a claim is taken only from an ended deployment or by its next holder; another
//! store's only by adoption, as asked, and only before anything that serves may have changed.

use super::Machine;
use super::state::Reach;
use crate::id::{DeploymentId, StoreId};
use crate::port::target::{Adopt, ClaimRequest, Held};

impl Machine {
    /// Whether another store's places may be taken now. Who was adopted away from, or adopted us away, is not fought over once
    /// something was touched.
    pub fn may_adopt(&self, asked: Option<Adopt>) -> Adopt {
        if self.state.reach < Reach::Activating {
            asked.unwrap_or(Adopt::Refuse)
        } else {
            Adopt::Refuse
        }
    }
}

/// What may be tried after a place said that somebody holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taking {
    /// Nothing: it is another's, or nobody's that is known.
    Refused,
    /// A deployment of this very store holds it: its claim may be taken once it has ended.
    OnceEnded(DeploymentId),
    /// Another store's, which is named where the place tells: it is adopted, as was asked, and that is recorded.
    Adopt(Option<StoreId>),
}

impl Taking {
    /// What a request that was refused may try next.
    pub fn of(request: &ClaimRequest, held: Option<&Held>) -> Self {
        match held {
            Some(held) if held.store != request.store && request.adopt == Adopt::Take => {
                Self::Adopt(Some(held.store.clone()))
            }
            Some(held) if held.store == request.store => {
                let holder = held.deployment.clone();
                holder
                    .filter(|holder| !request.may_take.contains(holder))
                    .map_or(Self::Refused, Self::OnceEnded)
            }
            None if request.adopt == Adopt::Take => Self::Adopt(None),
            Some(_) | None => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Epoch;
    use crate::port::target::HolderNote;

    fn store(digit: char) -> StoreId {
        StoreId::new(digit.to_string().repeat(26)).expect("a store")
    }

    fn deployment(digit: char) -> DeploymentId {
        DeploymentId::new(format!("01J{}", digit.to_string().repeat(23))).expect("a deployment")
    }

    #[test]
    fn a_claim_is_taken_from_an_ended_deployment_or_adopted_as_asked() {
        let request = |adopt| ClaimRequest {
            store: store('1'),
            deployment: deployment('1'),
            known: Epoch(1),
            may_take: vec![deployment('1')],
            adopt,
            note: HolderNote::default(),
        };
        let held = |by: char, holder: Option<char>| Held {
            store: store(by),
            deployment: holder.map(deployment),
            epoch: Epoch(7),
            note: HolderNote::default(),
        };
        for (adopt, held, then) in [
            (Adopt::Refuse, None, Taking::Refused),
            (Adopt::Take, None, Taking::Adopt(None)),
            (
                Adopt::Refuse,
                Some(held('1', Some('2'))),
                Taking::OnceEnded(deployment('2')),
            ),
            (
                Adopt::Take,
                Some(held('1', Some('2'))),
                Taking::OnceEnded(deployment('2')),
            ),
            (Adopt::Refuse, Some(held('1', Some('1'))), Taking::Refused),
            (Adopt::Refuse, Some(held('2', Some('2'))), Taking::Refused),
            (
                Adopt::Take,
                Some(held('2', None)),
                Taking::Adopt(Some(store('2'))),
            ),
        ] {
            assert_eq!(Taking::of(&request(adopt), held.as_ref()), then, "{held:?}");
        }
    }
}
