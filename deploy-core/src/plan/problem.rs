//! Why there is no plan. Each problem is one sentence and knows what to do next; the planner reports all of them at once.

use crate::failure::{Code, Failure};
use crate::id::{EnvName, PlaceId, ReleaseNumber, ServiceName, SliceName, UnitId};
use crate::time::format_duration;
use std::time::Duration;

/// The most slices, and so places and units, that one plan may have: indices are 16 bits wide.
pub const MOST_SLICES: usize = 65_535;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanProblem {
    /// Nothing is left to plan: a deployment without a slice could not end.
    #[error("no service of the release has a slice in this environment")]
    Empty,
    /// More than [`MOST_SLICES`].
    #[error("{slices} slices are more than one plan may have ({MOST_SLICES})")]
    TooManySlices {
        /// How many.
        slices: usize,
    },
    /// The service is enabled here and has nowhere to go.
    #[error("`{service}` has no slice in this environment")]
    NoSlice {
        /// Which.
        service: ServiceName,
    },
    /// Two services of one name.
    #[error("`{service}` is given twice")]
    ServiceTwice {
        /// Which.
        service: ServiceName,
    },
    /// Two slices of one name in a service.
    #[error("`{service}` has two slices named `{slice}`")]
    SliceTwice {
        /// Of which service.
        service: ServiceName,
        /// Which.
        slice: SliceName,
    },
    /// A unit goes back in one place; this one would be in two.
    #[error("the restore unit `{unit}` is in `{first}` and in `{second}`")]
    UnitInTwoPlaces {
        /// Which.
        unit: UnitId,
        /// One place.
        first: PlaceId,
        /// The other.
        second: PlaceId,
    },
    /// What goes back together belongs to one service; two would overwrite each other.
    #[error("`{first}` and `{second}` both run in `{unit}`: each would overwrite the other")]
    UnitOfTwoServices {
        /// Where.
        unit: UnitId,
        /// One of them.
        first: ServiceName,
        /// The other.
        second: ServiceName,
    },
    /// Services that need each other.
    #[error("`needs` goes round in a circle: {}", .services.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(" → "))]
    Cycle {
        /// The circle; the first is repeated at the end.
        services: Vec<ServiceName>,
    },
    /// It needs something that is no service.
    #[error("`{service}` needs `{needs}`, which is no service of this environment")]
    UnknownNeed {
        /// Which.
        service: ServiceName,
        /// What it needs.
        needs: ServiceName,
    },
    /// It needs a service that the release does not have: absent is not verified.
    #[error("`{service}` needs `{needs}`, which is absent from the release")]
    NeedsAbsent {
        /// Which.
        service: ServiceName,
        /// What it needs.
        needs: ServiceName,
    },
    /// The release says nothing of a service that is enabled here: who made it could not. Going on would end well without it.
    #[error("`{service}` is not in {release}: the program that made the release has no target of its kind")]
    NotMade {
        /// Which.
        service: ServiceName,
        /// The release.
        release: ReleaseNumber,
    },
    /// It needs a service that is to be removed.
    #[error("`{service}` needs `{needs}`, which was dropped")]
    NeedsDropped {
        /// Which.
        service: ServiceName,
        /// What it needs.
        needs: ServiceName,
    },
    /// What runs there cannot be learned, and without that nothing may be changed there.
    #[error("`{service}` on `{slice}`: {failure}")]
    Unreachable {
        /// Of which service.
        service: ServiceName,
        /// Which slice.
        slice: SliceName,
        /// Why.
        failure: Box<Failure>,
    },
    /// It runs in another place than the configuration says, and this deployment would not touch that.
    #[error(
        "`{service}` on `{slice}` runs in {from}; this configuration puts it in {to}: going back could not put {from} back"
    )]
    Elsewhere {
        /// In which environment.
        environment: EnvName,
        /// Which.
        service: ServiceName,
        /// Which slice.
        slice: SliceName,
        /// Where it runs.
        from: PlaceId,
        /// Where it would run.
        to: PlaceId,
    },
    /// An older deployment's revert may still change what runs there.
    #[error("`{service}` on `{slice}` may still go back by itself, in {}", format_duration(*.fires_in))]
    Armed {
        /// Of which service.
        service: ServiceName,
        /// Which slice.
        slice: SliceName,
        /// When at the latest.
        fires_in: Duration,
    },
    /// What fails could not be taken out of service: it would serve beside the release.
    #[error("`max_failures` of `{service}`: {target} cannot stop one slice while the others serve")]
    CannotStop {
        /// Which.
        service: ServiceName,
        /// On what.
        target: String,
    },
    /// A limit of zero would end every deployment at once.
    #[error("the limit `{limit}` is zero")]
    ZeroLimit {
        /// Which.
        limit: &'static str,
    },
    /// The destination is below the floor.
    #[error("{release} is below {floor}: something was passed since that cannot be undone")]
    BelowFloor {
        /// The destination.
        release: ReleaseNumber,
        /// The floor.
        floor: ReleaseNumber,
    },
}

impl PlanProblem {
    /// The same for every frontend: code, sentence, and what to do next.
    pub fn failure(&self) -> Failure {
        let of = |code, next: &str| Failure::new(code, self.to_string(), next);
        match self {
            Self::Unreachable {
                service,
                slice,
                failure,
            } => (**failure).clone().on(service, Some(slice)),
            Self::Armed { service, slice, .. } => of(
                Code::ClaimHeld,
                "wait until it has gone back, then plan again; `deploy status --refresh` looks",
            )
            .on(service, Some(slice)),
            Self::Elsewhere {
                environment,
                service,
                slice,
                ..
            } => of(
                Code::ManifestInvalid,
                &format!(
                    "keep the path (give a host that replaces another a name of its own), or `deploy retire {service} -e {environment}`, then deploy again"
                ),
            )
            .on(service, Some(slice)),
            Self::Empty => of(
                Code::ManifestInvalid,
                "enable a service here, or deploy a release that has one",
            ),
            Self::NoSlice { service } => of(
                Code::ManifestInvalid,
                "give this environment a host of its group, or set `enabled = false` for it here",
            )
            .on(service, None),
            Self::TooManySlices { .. } => of(Code::ManifestInvalid, "split the environment"),
            Self::Cycle { .. } => of(Code::ManifestInvalid, "remove one of these `needs`"),
            Self::UnknownNeed { service, .. } => {
                of(Code::UnknownName, "`deploy check` names the services").on(service, None)
            }
            Self::NeedsAbsent { service, .. } => of(
                Code::ManifestInvalid,
                "deploy what it needs first, or both together: `deploy up` without -s",
            )
            .on(service, None),
            Self::NotMade { service, .. } => of(
                Code::ArtifactMissing,
                "make the release anew with this program: `deploy up`, where releases begin",
            )
            .on(service, None),
            Self::NeedsDropped { service, .. } => of(
                Code::ManifestInvalid,
                "remove it from `needs`, or take the service up again",
            )
            .on(service, None),
            Self::CannotStop { service, target } => {
                let next = if target == "ssh" {
                    "say how: `stop = \"systemctl stop …\"` in its ssh table"
                } else {
                    "leave `max_failures` out: the first failure turns back"
                };
                of(Code::ManifestInvalid, next).on(service, None)
            }
            Self::ZeroLimit { .. } => of(Code::ManifestInvalid, "set a limit above zero"),
            Self::BelowFloor { .. } => of(
                Code::NothingToGoBackTo,
                "choose a later release: `deploy releases` lists them",
            ),
            Self::UnitOfTwoServices { .. } => Failure::new(
                Code::ManifestInvalid,
                self.to_string(),
                "give each service a path of its own",
            ),
            Self::ServiceTwice { .. } | Self::SliceTwice { .. } | Self::UnitInTwoPlaces { .. } => {
                of(Code::Defect, "report this: the target listed its slices wrongly")
            }
        }
    }
}
