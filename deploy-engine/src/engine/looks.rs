//! Looking at the release that runs in an environment: every slice, one look with each probe. What a stay turns on is written down as a
//! fact of the environment; what that means for a gate is the core's to say.

use super::scene::{Of, Views};
use super::status::as_it_lies_there;
use super::{Engine, failed, usage};
use crate::api::{EngineError, SliceHealth};
use crate::configure::bind::{Binder, Secrets};
use crate::drive::{ASK, Eyes, Masks, Needs, look};
use deploy_core::event::{Event, EventKind, SCHEMA};
use deploy_core::failure::{Code, Failure};
use deploy_core::gate::Rules;
use deploy_core::id::{EnvName, ServiceName, SliceName};
use deploy_core::manifest::Service;
use deploy_core::model::Release;
use deploy_core::plan::Kind;
use deploy_core::port::journal::Stream;
use deploy_core::port::target::{HealthSeen, Inside, Runs, SliceSeen};
use deploy_core::time::Timestamp;
use deploy_core::view::EnvironmentView;
use deploy_core::view::status::Drift;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// What was found where the soak of a release matters: the look as a fact, or why there was none.
pub(super) type Looks = BTreeMap<EnvName, Result<Event, String>>;

/// The slices of a service as they were found, with what its platform told; or why it told nothing.
pub(super) type Looked = Result<Vec<(Seen, Option<SliceSeen>)>, Failure>;

/// One slice, looked at.
pub(super) struct Seen {
    /// For people.
    pub(super) health: SliceHealth,
    /// What is not well about it.
    note: String,
    unbroken_since: Option<Timestamp>,
}

impl Seen {
    /// By what the platform says runs, what the journal says should, and what the probes say.
    pub(super) fn new(
        mut health: SliceHealth,
        seen: Option<&SliceSeen>,
        should: Option<&Runs>,
        probes: usize,
    ) -> Self {
        let (word, drift, note) = match seen.map(|seen| &seen.runs) {
            None => (HealthSeen::Unknown, Drift::Unknown, "nothing was told of it"),
            Some(Err(failure)) => (HealthSeen::Unknown, Drift::Unknown, &*failure.message),
            Some(Ok(is)) if should.is_some_and(|should| !is.is_same(should)) => {
                (HealthSeen::Unhealthy, Drift::Drifted, "something else runs there")
            }
            Some(Ok(_)) if probes == 0 => (HealthSeen::Healthy, Drift::None, ""),
            Some(Ok(_)) => (health.health, Drift::None, ""),
        };
        let said = [note, &*health.note].into_iter().filter(|part| !part.is_empty());
        health.note = said.collect::<Vec<_>>().join("; ");
        health.counts_as = word;
        health.drift = if health.edited.is_empty() {
            drift
        } else {
            Drift::Drifted
        };
        Self {
            note: format!("{} {}: {}", health.service, health.slice, health.note),
            health,
            unbroken_since: seen.and_then(|seen| seen.unbroken_since),
        }
    }
}

impl Engine {
    /// Looks at every slice of some services of a release that runs, or of all.
    ///
    /// # Errors
    /// No such service, or a target that cannot be asked.
    pub(super) async fn look_at_release(
        &self,
        views: &Views,
        name: &EnvName,
        release: Release,
        services: &[ServiceName],
    ) -> Result<Vec<Seen>, EngineError> {
        let scene = self.scene(release, name, views, Of::Now).await?;
        let view = views.environment(name);
        let binder = self.binder(&scene);
        let all = &scene.to.environment.services;
        if let Some(unknown) = services.iter().find(|service| !all.contains_key(*service)) {
            return Err(usage(
                Code::UnknownName,
                format!("there is no service {unknown} in {name}"),
                "deploy config shows what is",
            ));
        }
        let wanted: Vec<_> = all
            .values()
            .filter(|service| services.is_empty() || services.contains(&service.name))
            .collect();
        let mut found = Vec::new();
        for (_, looked) in self.look_at_services(&binder, &wanted, &view).await? {
            let looked = looked.map_err(|failure| EngineError::Unreachable(Box::new(failure)))?;
            found.extend(looked.into_iter().map(|(found, _)| found));
        }
        Ok(found)
    }

    /// Services, looked at: what the platform of each tells of its slices, all at once, and one look with each probe; or why a platform
    /// told nothing.
    pub(super) async fn look_at_services<'a>(
        &self,
        binder: &Binder<'_>,
        services: &[&'a Service],
        known: &EnvironmentView,
    ) -> Result<Vec<(&'a Service, Looked)>, EngineError> {
        let mut asking = JoinSet::new();
        for (at, service) in services.iter().enumerate() {
            let made = binder.target(service, Needs::Nothing).await.map_err(failed)?;
            asking.spawn(async move {
                let names: Vec<_> = made.slices.iter().map(|spec| spec.name.clone()).collect();
                let told = made.target.observe(&names).await;
                (at, made, told.map(|told| (names, told)))
            });
        }
        let mut told: Vec<_> = asking.join_all().await;
        told.sort_by_key(|(at, ..)| *at);
        let mut all = Vec::new();
        for (at, made, told) in told {
            let service = services[at];
            let (names, told) = match told {
                Ok(told) => told,
                Err(error) => {
                    all.push((service, Err(*error.failure)));
                    continue;
                }
            };
            let running = told
                .iter()
                .filter_map(|seen| Some((seen.slice.clone(), seen.runs.clone().ok()?)))
                .collect();
            let eyes = match binder.eyes(service, &made, &running).await {
                // Nothing was ever deployed, so that there are no facts to look by.
                Err(failure) if failure.code == Code::VariableUnset && binder.release.sources.is_empty() => {
                    BTreeMap::new()
                }
                eyes => eyes.map_err(failed)?,
            };
            let looked = self.look_at_slices(binder, service, known, &eyes, names, told);
            all.push((service, Ok(looked.await)));
        }
        Ok(all)
    }

    async fn look_at_slices(
        &self,
        binder: &Binder<'_>,
        service: &Service,
        known: &EnvironmentView,
        eyes: &BTreeMap<SliceName, Eyes>,
        names: Vec<SliceName>,
        mut told: Vec<SliceSeen>,
    ) -> Vec<(Seen, Option<SliceSeen>)> {
        let known = known.observed.get(&service.name);
        let mut found = Vec::new();
        for slice in names {
            let at = told.iter().position(|seen| seen.slice == slice);
            let seen = at.map(|at| told.swap_remove(at));
            let (health, mut note) = match (seen.as_ref().map(|seen| &seen.runs), eyes.get(&slice)) {
                (Some(Ok(Runs::Nothing)), Some(_)) => (HealthSeen::Unknown, "nothing runs there".to_owned()),
                (Some(Ok(runs @ Runs::Release { .. })), Some(eyes)) => {
                    let mut eyes = eyes.clone().of_what_stays();
                    let started = binder.started_as(&service.name, &slice, Some(runs));
                    let is = known.and_then(|slices| slices.get(&slice)?.release);
                    if started.is_none() && is != Some(binder.release.to_ref()) {
                        // As which release it was started, nobody knows: no version of it is wrong.
                        eyes.new.iter_mut().for_each(|spec| spec.version = None);
                    }
                    look(&*eyes.probe, &eyes.new).await.word()
                }
                _ => (HealthSeen::Unknown, String::new()),
            };
            if health != HealthSeen::Healthy && !service.secrets.is_empty() {
                // Only here something may be quoted, and only now it is worth asking for what must not be.
                let masks = Masks::default();
                let given = binder.desired(service, Secrets::Resolve);
                if let Ok(Ok(desired)) = tokio::time::timeout(ASK, given).await {
                    masks.learn(&desired);
                }
                note = masks.text(&note);
            }
            let edited = seen
                .as_ref()
                .map(|seen| seen.inside.edited.clone())
                .unwrap_or_default();
            if let Some(at) = seen.as_ref().and_then(|seen| seen.inside.at.as_ref()) {
                note = format!("{note}; at {at}");
            }
            if !edited.is_empty() {
                note = format!("{note}; drifted: {}", Inside::few(&edited));
            }
            let should = known.and_then(|slices| slices.get(&slice)?.runs.as_ref());
            let probes = eyes.get(&slice).map_or(0, |eyes| eyes.new.len());
            let health = SliceHealth {
                service: service.name.clone(),
                slice,
                health,
                counts_as: health,
                drift: Drift::Unknown,
                note,
                edited,
            };
            found.push((Seen::new(health, seen.as_ref(), should, probes), seen));
        }
        found
    }

    /// A look at all of a release, as a fact of its environment; unless nothing could be told, then why.
    fn look_as_fact(
        &self,
        view: &EnvironmentView,
        release: &Release,
        seen: &[Seen],
    ) -> Result<Event, String> {
        let first = |is: &dyn Fn(&Seen) -> bool| seen.iter().find(|seen| is(seen));
        let bad = first(&|seen| matches!(seen.health.counts_as, HealthSeen::Unhealthy | HealthSeen::Stopped));
        let unknown = first(&|seen| seen.health.counts_as == HealthSeen::Unknown);
        let (health, note) = match (bad, unknown) {
            (Some(bad), _) => (bad.health.counts_as, bad.note.clone()),
            (None, Some(untold)) => return Err(untold.note.clone()),
            (None, None) => (HealthSeen::Healthy, String::new()),
        };
        let since: Option<Vec<_>> = seen.iter().map(|seen| seen.unbroken_since).collect();
        let kind = EventKind::LookedAt {
            release: release.to_ref(),
            health,
            note,
            unbroken_since: since.and_then(|since| since.into_iter().max()),
        };
        let draft = self.draft(None, kind);
        Ok(Event {
            seq: view.last.next(),
            at: draft.at,
            environment: Some(view.name.clone()),
            deployment: None,
            actor: draft.actor,
            schema: SCHEMA,
            kind: draft.kind,
        })
    }

    /// Writes a look down, if a stay turns on it.
    async fn write_down(&self, view: &EnvironmentView, event: &Event, wanted: Duration) {
        if !view.turns_on(event, wanted) {
            return;
        }
        let stream = Stream::Environment(view.name.clone());
        // A state that only can be read, or is full, takes nothing from what was seen: whoever looked has it, the next looks again.
        let _unwritten = self
            .append_facts(&stream, vec![self.draft(None, event.kind.clone())])
            .await;
    }

    /// Writes down what somebody saw of all slices of the release that runs, if a stay turns on it.
    pub(super) async fn note_look(&self, view: &EnvironmentView, release: &Release, seen: &[Seen]) {
        if let Ok(event) = self.look_as_fact(view, release, seen) {
            let wanted = self.longest_soak(&view.name).await;
            self.write_down(view, &event, wanted).await;
        }
    }

    /// The longest soak that any environment wants of a release in this one.
    async fn longest_soak(&self, name: &EnvName) -> Duration {
        let mut longest = Duration::ZERO;
        for next in self.manifest.environments() {
            if let Ok(next) = self.environment(next).await
                && next.after.contains(name)
            {
                longest = longest.max(next.soak);
            }
        }
        longest
    }

    /// What is to be said of the soak that an environment asks for: that it counts between two looks, where no platform proves that
    /// nothing broke in between.
    ///
    /// # Errors
    /// The manifest or the state cannot be read.
    pub async fn unproven_soak(&self, name: &EnvName) -> Result<Option<String>, EngineError> {
        let environment = self.environment(name).await?;
        if environment.soak == Duration::ZERO {
            return Ok(None);
        }
        let project = self.project_view().await?;
        let mut unproven = Vec::new();
        for name in &environment.after {
            let scene = as_it_lies_there(self.environment(name).await?, &project);
            let binder = self.binder(&scene);
            for service in scene.to.environment.services.values() {
                // One that cannot be made proves nothing.
                let made = binder.target(service, Needs::Nothing).await;
                if !made.is_ok_and(|made| made.target.abilities().unbroken_since) {
                    unproven.push(name.to_string());
                    break;
                }
            }
        }
        Ok((!unproven.is_empty()).then(|| {
            let places = unproven.join(", ");
            format!("the soak in {places} counts between two healthy looks: nobody looks in between")
        }))
    }

    /// Looks, now, wherever the soak of a release matters. What could not be looked at is in the answer, too: it is not met, and
    /// hides no other gate.
    pub(super) async fn look_upstream(
        &self,
        kind: Kind,
        rules: &Rules,
        release: &Release,
        views: &Views,
    ) -> Looks {
        let mut looks = Looks::new();
        if kind == Kind::Rollback || rules.soak == Duration::ZERO {
            return looks;
        }
        for name in &rules.after {
            let view = views.environment(name);
            let runs = view.current.release() == Some(release.to_ref()) && !view.is_moving();
            if !runs || view.stays.counting(release.digest()).is_none() {
                continue;
            }
            let seen = self.look_at_release(views, name, release.clone(), &[]).await;
            let look = match seen {
                Ok(seen) => self.look_as_fact(&view, release, &seen),
                Err(error) => Err(error.failure().message),
            };
            if let Ok(event) = &look {
                self.write_down(&view, event, rules.soak).await;
            }
            looks.insert(name.clone(), look);
        }
        looks
    }
}
